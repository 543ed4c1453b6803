#include <atomic>
#include <csignal>
#include <fstream>
#include <set>
#include <thread>

#include "rig.hpp"

namespace k4t::haproxy::testing {
namespace {

class Life : public Rig {
 protected:
  PeerEndpoint red_{"red"};
  PeerEndpoint blue_{"blue"};
};

TEST_F(Life, AServerThatK4tNeverWroteToIsBlank) {
  const auto seen = observe();
  ASSERT_TRUE(seen.ok()) << text_of(seen);
  EXPECT_EQ(*seen, (Observation{{}, {}, Content::clean, false, {}, {}}));
}

TEST_F(Life, TheFirstCommitOnABlankServerIsServed) {
  const auto target = deploy(web({&red_}));
  expect_at(observe(), target);
  EXPECT_EQ(ask(port_).body, "red");
}

TEST_F(Life, EveryVerbTwiceIsTheSameAsOnce) {
  const auto target = next();
  EXPECT_OK(prepare({}, target, web({&red_})));
  EXPECT_OK(prepare({}, target, web({&red_})));
  ASSERT_EQ(observe()->staged, std::vector<std::string>{target.txn});
  EXPECT_OK(commit({}, target));
  const auto worker = haproxy_.worker();
  EXPECT_OK(commit({}, target));
  EXPECT_EQ(haproxy_.worker(), worker);
  expect_at(observe(), target);
  const auto dropped = next();
  EXPECT_OK(prepare(target, dropped, web({&blue_})));
  EXPECT_OK(abort(dropped.txn));
  EXPECT_OK(abort(dropped.txn));
  EXPECT_OK(abort("../no/file's name"));
  EXPECT_TRUE(observe()->staged.empty());
  EXPECT_STATUS(commit(target, dropped), not_found);
  EXPECT_EQ(ask(port_).body, "red");
}

TEST_F(Life, AnotherRegisterIsAConflictAndChangesNothing) {
  const auto target = deploy(web({&red_}));
  const auto late = next();
  EXPECT_STATUS(prepare({}, late, web({&blue_})), conflict);
  EXPECT_OK(prepare(target, late, web({&blue_})));
  auto other = target;
  other.writer += "0";
  EXPECT_STATUS(commit(other, late), conflict);
  EXPECT_STATUS(commit({}, late), conflict);
  expect_at(observe(), target);
  EXPECT_EQ(ask(port_).body, "red");
}

TEST_F(Life, ARestartServesTheCommittedVersion) {
  const auto target = deploy(web({&red_}));
  haproxy_.restart();
  expect_at(observe(), target);
  EXPECT_EQ(ask(port_).body, "red");
}

TEST_F(Life, AMasterThatWasKilledIsUnavailableNeverBlank) {
  const auto target = deploy(web({&red_}));
  haproxy_.kill_master();
  EXPECT_STATUS(observe(), unavailable);
  EXPECT_STATUS(prepare(target, next(), web({&blue_})), unavailable);
  EXPECT_STATUS(commit(target, next()), unavailable);
  EXPECT_NE(observe().error().message.find("-W -S"), std::string::npos);
  haproxy_.restart();
  expect_at(observe(), target);
}

TEST_F(Life, AnAdministratorsBrokenFileMakesPrepareInvalidAndChangesNothing) {
  const auto target = deploy(web({&red_}));
  haproxy_.set_config("global\n  no-such-keyword 1\n");
  const auto refused = prepare(target, next(), web({&blue_}));
  ASSERT_EQ(refused.status(), Status::invalid_argument) << text_of(refused);
  EXPECT_NE(refused.error().detail.find("no-such-keyword"), std::string::npos) << refused.error().detail;
  const auto seen = observe();
  expect_at(seen, target);
  EXPECT_TRUE(seen->staged.empty());
  EXPECT_EQ(ask(port_).body, "red");
}

TEST_F(Life, ConfigurationThatK4tDidNotWriteIsNeverOverwritten) {
  const std::string theirs = "defaults\n  timeout client 1s\n";
  std::ofstream(haproxy_.file()) << theirs;
  EXPECT_STATUS(prepare({}, next(), web({&red_})), invalid_argument);
  EXPECT_EQ(observe()->content, Content::drifted);
  EXPECT_EQ(Scratch::read(haproxy_.file()), theirs);
}

TEST_F(Life, APortThatSomebodyHoldsMakesPrepareInvalidAndNamesTheHolder) {
  const PeerEndpoint holder("holder", "127.0.0.1", port_);
  const auto refused = prepare({}, next(), web({&red_}));
  ASSERT_EQ(refused.status(), Status::invalid_argument) << text_of(refused);
  EXPECT_NE(refused.error().message.find(std::to_string(port_) + " is held by"), std::string::npos)
      << refused.error().message;
}

TEST_F(Life, APortTakenAfterPrepareLeavesTheOldVersionInFileAndProcess) {
  const auto target = deploy(web({&red_}));
  auto more = web({&red_});
  more.listeners.push_back(more.listeners[0]);
  more.listeners[1].port = free_port();
  if (more.listeners[1].port < port_) std::swap(more.listeners[0], more.listeners[1]);
  const std::uint16_t second = more.listeners[0].port == port_ ? more.listeners[1].port : more.listeners[0].port;
  const auto later = next();
  EXPECT_OK(prepare(target, later, more));
  {
    const PeerEndpoint thief("thief", "127.0.0.1", second);
    const auto failed = commit(target, later);
    ASSERT_EQ(failed.status(), Status::unavailable) << text_of(failed);
    EXPECT_NE(failed.error().message.find(std::to_string(second) + " is held by"), std::string::npos)
        << failed.error().message;
    expect_at(observe(), target);
    EXPECT_EQ(ask(port_).body, "red");
  }
  EXPECT_OK(commit(target, later));
  expect_at(observe(), later);
  EXPECT_EQ(ask(second).body, "red");
}

TEST_F(Life, AChangeOfServersAloneIsServedByTheSameWorker) {
  deploy(web({&red_}));
  const auto worker = haproxy_.worker();
  const auto both = deploy(web({&red_, &blue_}));
  EXPECT_EQ(haproxy_.worker(), worker);
  expect_at(observe(), both);
  std::set<std::string> answers;
  for (int i = 0; i < 8; ++i) answers.insert(ask(port_).body);
  EXPECT_EQ(answers, (std::set<std::string>{"red", "blue"}));
  const auto one = deploy(web({&blue_}));
  EXPECT_EQ(haproxy_.worker(), worker);
  expect_at(observe(), one);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(ask(port_).body, "blue");
  haproxy_.restart();
  expect_at(observe(), one);
  EXPECT_EQ(ask(port_).body, "blue");
}

TEST_F(Life, ServersOfEveryBalanceAndHealthCanComeAndGoWithoutAReload) {
  for (const auto balance :
       {gateway::Balance::round_robin, gateway::Balance::least_connections, gateway::Balance::source_hash}) {
    for (const bool http : {false, true}) {
      auto state = web({&red_});
      state.backends[0].balance = balance;
      state.backends[0].health = gateway::Health{};
      if (http) state.backends[0].health = {gateway::Protocol::http, "/health", 200, 100, 1, 2};
      deploy(state);
      const auto worker = haproxy_.worker();
      state.backends[0].endpoints = {endpoint_of(blue_)};
      expect_at(observe(), deploy(state));
      EXPECT_EQ(haproxy_.worker(), worker) << to_string(balance) << (http ? " http" : " tcp");
      EXPECT_EQ(ask(port_).body, "blue");
    }
  }
}

TEST_F(Life, AServerWithConnectionsLeavesWithoutCuttingThemAndMayComeBack) {
  deploy(web({&red_, &blue_}));
  const auto worker = haproxy_.worker();
  std::vector<std::jthread> clients;
  std::atomic<int> served = 0;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back([&] { served += ask(port_, {.path = "/hold"}).status == 200 ? 1 : 0; });
  }
  ASSERT_TRUE(eventually([&] { return red_.holding() + blue_.holding() == 2; }));
  EXPECT_EQ(connections(red_), 1u);
  expect_at(observe(), deploy(web({&blue_})));
  EXPECT_EQ(haproxy_.worker(), worker);
  EXPECT_EQ(connections(red_), 1u) << "the request that still runs is drain evidence";
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ask(port_).body, "blue");
  expect_at(observe(), deploy(web({&red_, &blue_})));
  red_.release();
  blue_.release();
  for (auto& client : clients) client.join();
  EXPECT_EQ(served, 2);
  EXPECT_TRUE(eventually([&] { return connections(red_) == 0; }));
}

TEST_F(Life, ConnectionsOfRetiringWorkersAreCounted) {
  deploy(web({&red_}));
  std::jthread client([&] { EXPECT_EQ(ask(port_, {.path = "/hold"}).status, 200); });
  ASSERT_TRUE(eventually([&] { return red_.holding() == 1; }));
  auto state = web({&blue_});
  state.backends[0].idle_timeout_ms = 50000;
  const auto worker = haproxy_.worker();
  deploy(state);
  EXPECT_NE(haproxy_.worker(), worker);
  EXPECT_EQ(connections(red_), 1u);
  red_.release();
  client.join();
  EXPECT_TRUE(eventually([&] { return connections(red_) == 0; }));
}

TEST_F(Life, NoOldAnswerComesOnceACommitIsOk) {
  deploy(web({&red_}));
  std::atomic<int> failures = 0;
  std::vector<std::jthread> load;
  for (int i = 0; i < 3; ++i) {
    load.emplace_back([&](const std::stop_token& ending) {
      while (!ending.stop_requested()) failures += ask(port_).status == 200 ? 0 : 1;
    });
  }
  for (int round = 0; round < 6; ++round) {
    auto& now = round % 2 == 0 ? blue_ : red_;
    auto state = web({&now});
    // Every second pair of rounds by a reload.
    state.backends[0].idle_timeout_ms = 60000 + static_cast<std::uint32_t>(round / 2);
    deploy(state);
    for (int i = 0; i < 20; ++i) ASSERT_EQ(ask(port_).body, now.name());
  }
  load.clear();
  EXPECT_EQ(failures, 0);
}

TEST_F(Life, AServerThatWaitedForItsLastConnectionIsInUseAfterAReloadThatNamesItAgain) {
  deploy(web({&red_, &blue_}));
  const Connection held("127.0.0.1", port_);
  held.send("GET /hold HTTP/1.1\r\nHost: www.example.net\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return red_.holding() + blue_.holding() == 1; }));
  auto& busy = red_.holding() == 1 ? red_ : blue_;
  auto& idle = red_.holding() == 1 ? blue_ : red_;
  deploy(web({&idle}));
  auto again = web({&busy});
  again.backends[0].idle_timeout_ms = 50000;
  expect_at(observe(), deploy(again));
  EXPECT_EQ(ask(port_).body, busy.name());
}

TEST_F(Life, AHandEditIsDriftAndIsRepairedByTheSameVersion) {
  const auto target = deploy(web({&red_}));
  const std::string good = Scratch::read(haproxy_.file());
  std::ofstream(haproxy_.file(), std::ios::app) << "# a word\n";
  EXPECT_EQ(observe()->content, Content::drifted);
  ASSERT_TRUE(haproxy_.reload());
  EXPECT_EQ(observe()->content, Content::drifted);
  // A process's start is known to a tick and a file's time to the kernel's coarse clock, no better.
  std::this_thread::sleep_for(2 * clock_coarseness);
  std::ofstream(haproxy_.file()) << good;
  EXPECT_NE(observe()->content, Content::clean) << "the running process still has the edited file";
  auto repaired = target;
  repaired.writer += "7";
  EXPECT_OK(prepare(target, repaired, web({&red_})));
  EXPECT_OK(commit(target, repaired));
  expect_at(observe(), repaired);
}

TEST_F(Life, AServerTakenOutOfUseByHandIsDriftAndIsRepaired) {
  const auto target = deploy(web({&red_, &blue_}));
  const std::string server = "k4t-be-web/127.0.0.1_" + std::to_string(red_.port());
  haproxy_.tell("@1 set server " + server + " state maint");
  const auto seen = observe();
  EXPECT_EQ(seen->content, Content::drifted);
  EXPECT_NE(seen->detail.find(server), std::string::npos) << seen->detail;
  auto repaired = target;
  repaired.writer += "7";
  EXPECT_OK(prepare(target, repaired, web({&red_, &blue_})));
  EXPECT_OK(commit(target, repaired));
  expect_at(observe(), repaired);
}

TEST_F(Life, AnEndpointThatIsDownStaysDownOverAReload) {
  PeerEndpoint sick("sick");
  sick.set_healthy(false);
  auto state = web({&red_, &sick});
  state.backends[0].health = {gateway::Protocol::http, "/health", 300, 200, 2, 1};
  deploy(state);
  ASSERT_TRUE(eventually([&] { return haproxy_.tell("@1 show stat -1 4 -1").find("DOWN") != std::string::npos; }));
  for (int round = 0; round < 3; ++round) {
    state.backends[0].idle_timeout_ms += 1;
    const auto worker = haproxy_.worker();
    deploy(state);
    ASSERT_NE(haproxy_.worker(), worker);
    for (int i = 0; i < 6; ++i) ASSERT_EQ(ask(port_).body, "red");
  }
  sick.set_healthy(true);
  EXPECT_TRUE(eventually([&] { return ask(port_).body == "sick"; }));
}

TEST_F(Life, ATcpRateLimitClosesTheExcessAndForgivesIt) {
  auto state = web({&red_});
  state.backends[0].protocol = gateway::Protocol::tcp;
  state.listeners[0] = {port_, gateway::Protocol::tcp, {}, "web", gateway::RateLimit{1, 4}, {}};
  deploy(state);
  int served = 0;
  for (int i = 0; i < 12; ++i) served += ask(port_).status == 200 ? 1 : 0;
  EXPECT_GE(served, 5);
  EXPECT_LE(served, 8) << "what the time of the test itself frees, on a slow machine";
  EXPECT_EQ(ask(port_, {.from = "127.0.0.8"}).status, 200) << "another client";
  EXPECT_TRUE(eventually([&] { return ask(port_).status == 200; })) << "asking on does not keep a client out";
}

TEST_F(Life, AnEditedFileBetweenTheLookAndTheLockIsAConflict) {
  const auto target = deploy(web({&red_}));
  const std::string there = Scratch::read(haproxy_.file());
  Client client(transport::local_host(), paths());
  HostCall host(CallOptions{});
  Call call(*host.raw());
  const auto outcome = client.replace({there + "# edited\n", "new\n", there, "text", "none.cfg", {}, {}}, call);
  ASSERT_TRUE(outcome.ok()) << text_of(outcome);
  EXPECT_EQ(outcome->outcome, Outcome::conflict);
  EXPECT_EQ(Scratch::read(haproxy_.file()), there);
  expect_at(observe(), target);
}

TEST_F(Life, ADeadlineIsKeptWhileHaproxyHangs) {
  const auto target = deploy(web({&red_}));
  haproxy_.signal_all(SIGSTOP);
  HostCall host(CallOptions{std::chrono::milliseconds(500), nullptr});
  Call call(*host.raw());
  const auto begun = std::chrono::steady_clock::now();
  const auto seen = driver_->observe({}, call);
  EXPECT_FALSE(seen.ok());
  EXPECT_TRUE(seen.status() == Status::deadline || seen.status() == Status::unavailable) << text_of(seen);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(3));
  haproxy_.signal_all(SIGCONT);
  expect_at(observe(), target);
}

}  // namespace
}  // namespace k4t::haproxy::testing
