#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "rig.hpp"

namespace k4t::nginx::testing {
namespace {

namespace fs = std::filesystem;

class Life : public Rig {};

TEST_F(Life, AnUntouchedServerIsBlank) {
  const auto now = observe();
  ASSERT_TRUE(now) << text_of(now);
  EXPECT_EQ(Json(*now), Json(Observation{{}, {}, Content::clean, false, {}, {}}));
}

TEST_F(Life, AChangeGoesThroughAllVerbsEachOfThemTwice) {
  const auto first = serve("one");
  const auto second = serve("two");
  const Register one = next();
  for (int i = 0; i < 2; ++i) EXPECT_OK(prepare({}, one, web({first})));
  EXPECT_EQ(observe()->staged, std::vector<std::string>{one.txn});
  EXPECT_EQ(observe()->stored, std::nullopt);
  for (int i = 0; i < 2; ++i) EXPECT_OK(commit({}, one));
  EXPECT_EQ(request(port_, "app.example.net", "/").body, "one");

  const Register two = next();
  for (int i = 0; i < 2; ++i) EXPECT_OK(prepare(one, two, web({second})));
  for (int i = 0; i < 2; ++i) EXPECT_OK(commit(one, two));
  EXPECT_EQ(request(port_, "app.example.net", "/").body, "two");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Json(*observe()), Json(Observation{two, two, Content::clean, false, {}, {}}));

  HostCall host(CallOptions{});
  Call call(*host.raw());
  for (int i = 0; i < 2; ++i) EXPECT_OK(driver_->abort({two.txn}, call));
  EXPECT_EQ(observe()->stored, two);
}

TEST_F(Life, AnotherRegisterIsAConflictAndNothingChanges) {
  const auto endpoint = serve("one");
  const Register one = deploy(web({endpoint}));
  Register other = one;
  other.writer = "fedcba9876543210.1";
  const Register two = next();
  EXPECT_EQ(prepare(other, two, web({})).status(), Status::conflict);
  EXPECT_EQ(prepare({}, two, web({})).status(), Status::conflict);
  EXPECT_OK(prepare(one, two, web({})));
  EXPECT_EQ(commit(other, two).status(), Status::conflict);
  EXPECT_EQ(commit({}, two).status(), Status::conflict);
  EXPECT_EQ(observe()->stored, one);
  EXPECT_EQ(request(port_, "app.example.net", "/").body, "one");
}

TEST_F(Life, WhatIsNotStagedOrWasAbortedIsNotFound) {
  const Register one = next();
  EXPECT_EQ(commit({}, one).status(), Status::not_found);
  EXPECT_OK(prepare({}, one, web({})));
  HostCall host(CallOptions{});
  Call call(*host.raw());
  EXPECT_OK(driver_->abort({one.txn}, call));
  EXPECT_EQ(commit({}, one).status(), Status::not_found);
  EXPECT_EQ(observe()->stored, std::nullopt);
}

TEST_F(Life, ARestartServesTheCommittedVersion) {
  const Register one = deploy(web({serve("one")}));
  nginx_.restart();
  const auto now = observe();
  ASSERT_TRUE(now) << text_of(now);
  EXPECT_EQ(now->served, one);
  EXPECT_EQ(now->content, Content::clean);
  EXPECT_EQ(request(port_, "app.example.net", "/").body, "one");
}

TEST_F(Life, AKilledMasterIsUnavailableThoughItsWorkersServe) {
  deploy(web({serve("one")}));
  nginx_.kill_master();
  ASSERT_TRUE(eventually([&] { return !observe(); }));
  EXPECT_EQ(request(port_, "app.example.net", "/").body, "one");
  const auto now = observe();
  EXPECT_EQ(now.status(), Status::unavailable);
  EXPECT_NE(now.error().message.find("end them and start nginx again"), std::string::npos);
  EXPECT_EQ(prepare(seen_, next(), web({})).status(), Status::unavailable);
  EXPECT_EQ(commit(seen_, next()).status(), Status::unavailable);
}

TEST_F(Life, AServerThatDoesNotRunIsUnavailable) {
  nginx_.stop();
  EXPECT_EQ(observe().status(), Status::unavailable);
}

TEST_F(Life, SomebodyElsesBrokenFileIsToldInNginxsWords) {
  const Register one = deploy(web({serve("one")}));
  nginx_.set_http("wrong_directive on;");
  const Register two = next();
  const auto outcome = prepare(one, two, web({}));
  EXPECT_EQ(outcome.status(), Status::invalid_argument);
  EXPECT_NE(outcome.error().message.find("unknown directive \"wrong_directive\""), std::string::npos)
      << outcome.error().message;
  EXPECT_TRUE(observe()->staged.empty());
  EXPECT_EQ(observe()->stored, one);
  EXPECT_EQ(commit(one, two).status(), Status::not_found);
}

TEST_F(Life, AConfigurationWithoutOurIncludeIsRefusedWithTheRemedy) {
  std::string text = Scratch::read(nginx_.config());
  const std::string include = "include " + nginx_.folder().string() + "/live/http*.conf;";
  text.replace(text.find(include), include.size(), "");
  std::ofstream(nginx_.config()) << text;
  const auto outcome = prepare({}, next(), web({}));
  EXPECT_EQ(outcome.status(), Status::invalid_argument);
  EXPECT_NE(outcome.error().message.find("live/http*.conf: add that line"), std::string::npos) << text_of(outcome);
}

TEST_F(Life, APortInUseIsRefusedBeforehandNamingItsHolder) {
  const auto foreign = serve("foreign");
  auto state = web({});
  state.listeners[0].port = foreign.port;
  const auto outcome = prepare({}, next(), state);
  EXPECT_EQ(outcome.status(), Status::invalid_argument);
  EXPECT_NE(outcome.error().message.find("nginx (pid "), std::string::npos) << text_of(outcome);
  EXPECT_TRUE(observe()->staged.empty()) << "what is refused is not staged";
}

/// The proofs of checks are collected and deleted now and then; what was proved for one check proves nothing for
/// another.
TEST_F(Life, EveryCheckNeedsAProofOfItsOwn) {
  const std::string text = Scratch::read(nginx_.config());
  const std::string include = "include " + nginx_.folder().string() + "/live/http*.conf;";
  for (int round = 0; round < 110; ++round) {
    const bool included = round % 10 != 9;
    std::string now = text;
    if (!included) now.replace(now.find(include), include.size(), "");
    std::ofstream(nginx_.config()) << now;
    ASSERT_EQ(prepare({}, next(), web({})).ok(), included) << round;
  }
  const auto files = std::distance(fs::directory_iterator(nginx_.folder() / "check"), fs::directory_iterator());
  EXPECT_LT(files, 110);
}

TEST_F(Life, AStreamFileOfAnySizeArrives) {
  gateway::State state;
  gateway::Backend backend;
  backend.name = "tcp";
  backend.protocol = gateway::Protocol::tcp;
  const auto endpoint = serve("one");
  for (std::uint16_t port = 1; port <= 2000; ++port) backend.endpoints.push_back({"127.99.0.1", port});
  backend.endpoints.push_back(endpoint);
  std::sort(backend.endpoints.begin(), backend.endpoints.end());
  gateway::Listener listener;
  listener.port = port_;
  listener.protocol = gateway::Protocol::tcp;
  listener.backend = "tcp";
  state.backends = {backend};
  state.listeners = {listener};
  deploy(state);
  EXPECT_GT(fs::file_size(nginx_.folder() / "live/stream.conf"), 64U << 10);
  EXPECT_EQ(Json(*observe()), Json(Observation{seen_, seen_, Content::clean, false, {}, {}}));
  state.backends[0].endpoints = {endpoint};
  deploy(state);
  EXPECT_EQ(request(port_, "app.example.net", "/").body, "one");
}

TEST_F(Life, AnIncludeBelowAnotherNameIsProvedTo) {
  std::string text = Scratch::read(nginx_.config());
  const std::string include = "/live/http*.conf;";
  text.replace(text.find(include), include.size(), "/live/*ttp.conf;");
  std::ofstream(nginx_.config()) << text;
  EXPECT_OK(prepare({}, next(), web({})));
}

/// Without a log that can be followed nginx's own command says what is wrong.
TEST_F(Life, AReloadThatFailsWithoutALogIsToldAndPutBack) {
  std::string text = Scratch::read(nginx_.config());
  const std::string log = "error_log " + nginx_.error_log().string() + " notice;";
  text.replace(text.find(log), log.size(), "error_log /dev/null;");
  std::ofstream(nginx_.config()) << text;
  nginx_.restart();
  const Register one = deploy(web({serve("one")}));
  const Register two = next();
  EXPECT_OK(prepare(one, two, web({serve("two")})));
  std::ofstream(nginx_.config()) << text << "wrong_directive on;\n";
  const auto outcome = commit(one, two);
  EXPECT_EQ(outcome.status(), Status::invalid_argument);
  EXPECT_NE(text_of(outcome).find("wrong_directive"), std::string::npos) << text_of(outcome);
  std::ofstream(nginx_.config()) << text;
  EXPECT_EQ(Json(*observe()), Json(Observation{one, one, Content::clean, false, {two.txn}, {}}));
  EXPECT_OK(commit(one, two));
  EXPECT_EQ(request(port_, "app.example.net", "/").body, "two");
}

TEST_F(Life, AStatusPortThatSomebodyElseAnswersIsUnavailable) {
  status_port_ = serve("foreign").port;
  driver_ = open();
  EXPECT_EQ(observe().status(), Status::unavailable);
}

TEST_F(Life, APortTakenAfterPreparePutsTheOldVersionBack) {
  const Register one = deploy(web({serve("one")}));
  auto state = web({serve("two")});
  state.listeners.push_back(state.listeners[0]);
  state.listeners[1].port = free_port();
  const Register two = next();
  EXPECT_OK(prepare(one, two, state));

  NginxServer thief(scratch_, "thief");
  thief.set_http("server { listen 127.0.0.1:" + std::to_string(state.listeners[1].port) + "; return 418; }");
  thief.start();
  const auto outcome = commit(one, two);
  EXPECT_EQ(outcome.status(), Status::unavailable);
  EXPECT_NE(outcome.error().message.find("Address already in use"), std::string::npos) << text_of(outcome);
  EXPECT_EQ(Json(*observe()), Json(Observation{one, one, Content::clean, false, {two.txn}, {}}));
  EXPECT_EQ(request(port_, "app.example.net", "/").body, "one");

  thief.stop();
  EXPECT_OK(commit(one, two));
  EXPECT_EQ(request(state.listeners[1].port, "app.example.net", "/").body, "two");
}

TEST_F(Life, AFirstCommitThatFailsLeavesABlankServer) {
  const Register one = next();
  EXPECT_OK(prepare({}, one, web({})));
  NginxServer thief(scratch_, "thief");
  thief.set_http("server { listen 127.0.0.1:" + std::to_string(port_) + "; return 418; }");
  thief.start();
  EXPECT_EQ(commit({}, one).status(), Status::unavailable);
  EXPECT_EQ(Json(*observe()), Json(Observation{{}, {}, Content::clean, false, {one.txn}, {}}));
}

TEST_F(Life, ACommitThatDiedBeforeItsReloadIsPutBackByTheNextWhenNginxCannotReload) {
  const Register one = deploy(web({serve("one")}));
  auto state = web({});
  state.listeners.push_back(state.listeners[0]);
  state.listeners[1].port = free_port();
  const Register two = next();
  EXPECT_OK(prepare(one, two, state));
  const fs::path folder = nginx_.folder();
  fs::rename(folder / ("s-" + two.txn), folder / "v2-died");
  std::ofstream(folder / "v2-died/previous") << fs::read_symlink(folder / "live").string() << '\n';
  fs::remove(folder / "live");
  fs::create_symlink("v2-died", folder / "live");
  const auto half = observe();
  ASSERT_TRUE(half) << text_of(half);
  EXPECT_TRUE(half->half);
  EXPECT_EQ(half->stored, two);
  EXPECT_EQ(half->served, one);

  NginxServer thief(scratch_, "thief");
  thief.set_http("server { listen 127.0.0.1:" + std::to_string(state.listeners[1].port) + "; return 418; }");
  thief.start();
  EXPECT_EQ(commit(one, two).status(), Status::unavailable);
  EXPECT_EQ(Json(*observe()), Json(Observation{one, one, Content::clean, false, {two.txn}, {}}));
}

TEST_F(Life, AVersionThatIsServedNeverGoesBackWhenAReloadFails) {
  const Register one = deploy(web({serve("one")}));
  const Register two = deploy(web({serve("two")}));
  nginx_.set_http("wrong_directive on;");
  EXPECT_EQ(commit(one, two).status(), Status::invalid_argument);
  EXPECT_EQ(observe()->stored, two);
  EXPECT_EQ(request(port_, "app.example.net", "/").body, "two");
}

TEST_F(Life, AHandEditIsDriftAndIsRepaired) {
  const auto endpoint = serve("one");
  const Register one = deploy(web({endpoint}));
  std::ofstream(nginx_.folder() / "live/http.conf", std::ios::app) << "# tuned by hand\n";
  const auto drifted = observe();
  ASSERT_TRUE(drifted) << text_of(drifted);
  EXPECT_EQ(drifted->content, Content::drifted);
  EXPECT_EQ(drifted->stored, one);
  EXPECT_NE(drifted->detail.find("http.conf"), std::string::npos);

  Register repaired = one;
  repaired.writer = "0123456789abcdef.99";
  EXPECT_OK(prepare(one, repaired, web({endpoint})));
  EXPECT_OK(commit(one, repaired));
  EXPECT_EQ(Json(*observe()), Json(Observation{repaired, repaired, Content::clean, false, {}, {}}));
}

TEST_F(Life, ARegisterThatIsOverwrittenIsUnavailableNeverBlank) {
  deploy(web({}));
  for (const char* name : {"live/http.conf", "live/stream.conf"}) std::ofstream(nginx_.folder() / name) << "# empty\n";
  EXPECT_EQ(observe().status(), Status::unavailable);
  EXPECT_EQ(commit({}, next()).status(), Status::unavailable);
}

TEST_F(Life, ALiveLinkThatIsRemovedIsHalf) {
  const Register one = deploy(web({}));
  fs::remove(nginx_.folder() / "live");
  const auto now = observe();
  ASSERT_TRUE(now) << text_of(now);
  EXPECT_EQ(now->stored, std::nullopt);
  EXPECT_EQ(now->served, one);
  EXPECT_TRUE(now->half);
}

TEST_F(Life, OnlyTheLiveAndThePreviousVersionAreKept) {
  for (int i = 0; i < 4; ++i) deploy(web({}));
  std::vector<std::string> versions;
  for (const auto& entry : fs::directory_iterator(nginx_.folder())) {
    const std::string name = entry.path().filename();
    if (name.starts_with("v") || name.starts_with("s-") || name.starts_with(".tmp")) versions.push_back(name);
  }
  ASSERT_EQ(versions.size(), 2u);
}

TEST_F(Life, AFrozenServerEndsCallsAtTheirDeadline) {
  deploy(web({}));
  nginx_.signal_all(SIGSTOP);
  CallOptions options;
  options.timeout = std::chrono::milliseconds(1500);
  HostCall host(options);
  Call call(*host.raw());
  const auto begun = std::chrono::steady_clock::now();
  const auto now = driver_->observe({}, call);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(4));
  EXPECT_TRUE(now.status() == Status::deadline || now.status() == Status::unavailable) << text_of(now);
  nginx_.signal_all(SIGCONT);
}

// The evidence of a commit: no connection that begins after it is answered by the version before.
TEST_F(Life, NoOldAnswerAfterACommitUnderLoad) {
  const std::vector<gateway::Endpoint> endpoints{serve("0"), serve("1")};
  deploy(web({endpoints[0]}));
  std::atomic<int> committed{0};
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::atomic<int> stale{0};
  std::atomic<int> answered{0};
  const auto load = [&] {
    while (!stop) {
      const int version = committed;
      const auto answer = request(port_, "app.example.net", "/");
      if (answer.status != 200) ++failed;
      // While a commit runs both are right; begun after commit n and before the next began, only n is.
      if (version % 2 == 0 && version == committed && answer.body != std::to_string(version / 2 % 2)) ++stale;
      ++answered;
    }
  };
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) clients.emplace_back(load);
  for (int round = 1; round <= 10; ++round) {
    const Register target = next();
    EXPECT_OK(prepare(seen_, target, web({endpoints[static_cast<std::size_t>(round) % 2]})));
    ++committed;  // odd: under way
    EXPECT_OK(commit(seen_, target));
    ++committed;
    seen_ = target;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // time in which an old answer would show
  }
  stop = true;
  for (auto& client : clients) client.join();
  EXPECT_GT(answered, 200);
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(stale, 0);
}

}  // namespace
}  // namespace k4t::nginx::testing
