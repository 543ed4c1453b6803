#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.hpp"
#include "scripts.hpp"
#include "support/sshd_server.hpp"

/// k4t's program on HAProxy's host: what happens when it, its client or the connection between them ends.

namespace k4t::haproxy::testing {
namespace {

/// One of the verbs on a driver of one's own.
template <class Use>
auto with_call(Use use) {
  HostCall host(CallOptions{});
  Call call(*host.raw());
  return use(call);
}

class OnHost : public Rig {
 protected:
  /// The processes that run k4t's program for this HAProxy.
  [[nodiscard]] std::vector<pid_t> programs() const {
    std::vector<pid_t> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      // Of one that ends meanwhile nothing can be read.
      std::ifstream in(entry.path() / "cmdline");
      std::string line;
      for (std::string part; std::getline(in, part);) line += part;
      if (line.starts_with("perl") && line.find(paths().work()) != std::string::npos) found.push_back(std::stoi(name));
    }
    return found;
  }
  void kill_programs() const {
    const auto all = programs();
    ASSERT_EQ(all.size(), 1U);
    ::kill(all.front(), SIGKILL);
    // A signal takes its time. What is asked until then has an unknown outcome, which is not what is tested here.
    ASSERT_TRUE(eventually([&] { return k4t::testing::has_ended(all.front()); }));
  }
  static std::size_t resident_kib(pid_t pid) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
    }
    return 0;
  }

  PeerEndpoint red_{"red"};
  PeerEndpoint blue_{"blue"};
};

TEST_F(OnHost, OneProgramServesAllCallsAndEndsWithItsDriver) {
  deploy(web({&red_}));
  const auto first = programs();
  ASSERT_EQ(first.size(), 1U);
  deploy(web({&blue_}));
  EXPECT_EQ(connections(blue_), 0U);
  EXPECT_EQ(programs(), first);
  driver_.reset();
  EXPECT_TRUE(programs().empty());
}

TEST_F(OnHost, ItsMemoryDoesNotGrow) {
  deploy(web({&red_}));
  const auto calls = [&](int count) {
    for (int n = 0; n < count; ++n) EXPECT_OK(observe());
  };
  calls(50);
  const auto before = resident_kib(programs().at(0));
  ASSERT_GT(before, 0U);
  calls(250);
  deploy(web({&red_, &blue_}));
  EXPECT_LT(resident_kib(programs().at(0)), before + 1024);
}

TEST_F(OnHost, OneThatDiesBetweenRequestsIsStartedAnew) {
  auto target = deploy(web({&red_}));
  kill_programs();
  expect_at(observe(), target);
  kill_programs();
  const auto later = next();
  EXPECT_OK(prepare(target, later, web({&blue_})));
  kill_programs();
  EXPECT_OK(commit(target, later));
  expect_at(observe(), later);
  kill_programs();
  EXPECT_EQ(connections(blue_), 0U);
}

TEST_F(OnHost, KilledAtAnyStepOfACommitItConverges) {
  deploy(web({&red_}));
  int settled = 0;
  for (const bool reload : {false, true}) {
    for (const bool planned : {false, true}) {
      for (const std::string step : {"locked", "kept", "renamed", "changed", "reloading", "verdict"}) {
        if (step == (reload ? "changed" : "reloading")) continue;
        SCOPED_TRACE(step + (reload ? " with a reload" : " without a reload") + (planned ? ", planned" : ""));
        auto& now = ask(port_).body == "red" ? blue_ : red_;
        auto state = web({&now});
        state.backends[0].idle_timeout_ms = 60000;
        if (reload) state.backends[0].idle_timeout_ms = now.name() == "red" ? 70000 : 80000;
        const auto target = next();
        const auto killed = open_with_step(step, "kill 'KILL', $$;");
        auto& preparer = planned ? killed : driver_;
        EXPECT_OK(with_call([&](Call& call) { return preparer->prepare({seen_, target, state, {}}, call); }));
        EXPECT_STATUS(with_call([&](Call& call) { return killed->commit({seen_, target}, call); }), unavailable);
        const auto between = with_call([&](Call& call) { return killed->observe({}, call); });
        ASSERT_TRUE(between.ok()) << text_of(between);
        EXPECT_TRUE(between->stored == seen_ || between->stored == target);
        EXPECT_TRUE(between->half || between->content == Content::clean) << between->detail;
        EXPECT_OK(commit(seen_, target));
        expect_at(observe(), target);
        EXPECT_EQ(ask(port_).body, now.name());
        seen_ = target;
        ++settled;
      }
    }
    auto state = web({&red_});
    state.backends[0].idle_timeout_ms = 60000;
    deploy(state);
  }
  EXPECT_EQ(settled, 20);
}

TEST_F(OnHost, InputThatBreaksOffChangesNothing) {
  const auto target = deploy(web({&red_}));
  const std::string there = Scratch::read(haproxy_.file());
  const auto program_with = [&](const std::string& input) {
    return k4t::testing::run({"perl", "-e", program(), paths().file, paths().work(), paths().master_socket, "60"},
                             input);
  };
  const auto whole = [&](const std::string& old) {
    return "verb 7\nreplace\nold " + std::to_string(old.size()) + "\n" + old +
           "\nnew 2\n#\n\nstage 8\nnone.cfg\nmarker 4\ntext\nseconds 1\n5\nvouched 0\n\nworker 0\n\nplanned 1\n0\nend "
           "0\n\n";
  };
  EXPECT_NE(program_with(whole(there + "#")).out.find("conflict"), std::string::npos) << "this is how it is asked";
  const std::string good = whole(there);
  for (std::size_t bytes = 0; bytes < good.size(); bytes += bytes + 60 < good.size() ? 97 : 1) {
    const auto ended = program_with(good.substr(0, bytes));
    EXPECT_EQ(ended.out.find("outcome"), std::string::npos) << bytes;
  }
  EXPECT_NE(program_with("verb seven\n").exit_code, 0);
  EXPECT_EQ(Scratch::read(haproxy_.file()), there);
  expect_at(observe(), target);
}

TEST_F(OnHost, OneThatNobodyAsksEndsThoughItsInputDoesNot) {
  transport::Command command;
  command.argv = {"perl", "-e", program(), paths().file, paths().work(), paths().master_socket, "1"};
  const auto started = transport::local_host()->start(command);
  ASSERT_TRUE(started.ok());
  const auto end = (*started)->read(1, std::chrono::seconds(20));
  ASSERT_TRUE(end.ok()) << text_of(end);
  EXPECT_EQ(*end, "");
}

TEST_F(OnHost, ALockIsWaitedForButNotForEver) {
  deploy(web({&red_}));
  const auto target = next();
  EXPECT_OK(prepare(seen_, target, web({&blue_})));
  const int lock = ::open((paths().work() + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  EXPECT_STATUS(commit(seen_, target), busy);
  std::jthread holder([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    ::flock(lock, LOCK_UN);
  });
  EXPECT_OK(commit(seen_, target));
  ::close(lock);
  expect_at(observe(), target);
}

TEST_F(OnHost, NoneIsLeftWhenK4tIsKilled) {
  driver_.reset();
  const pid_t child = ::fork();
  if (child == 0) {
    const auto own = open();
    static_cast<void>(with_call([&](Call& call) { return own->observe({}, call); }));
    for (;;) ::pause();
  }
  EXPECT_TRUE(eventually([&] { return programs().size() == 1; }));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(eventually([&] { return programs().empty(); }));
}

TEST_F(OnHost, WhatHasBegunIsFinishedWhenK4tIsKilled) {
  deploy(web({&red_}));
  const auto target = next();
  EXPECT_OK(prepare(seen_, target, web({&blue_})));
  driver_.reset();
  const auto mark = scratch_.path() / "begun";
  const pid_t child = ::fork();
  if (child == 0) {
    const auto slow = open_with_step("renamed", "open my $m, '>', '" + mark.string() + "'; close $m; sleep 1;");
    static_cast<void>(with_call([&](Call& call) { return slow->commit({seen_, target}, call); }));
    ::_exit(0);
  }
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(mark); }));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(eventually([&] { return programs().empty(); }));
  driver_ = open();
  expect_at(observe(), target);
  EXPECT_EQ(ask(port_).body, "blue");
}

TEST_F(OnHost, WhatAPrepareFoundOutIsNotBelievedOnceItIsNotSo) {
  const auto target = deploy(web({&red_}));
  auto later = next();
  EXPECT_OK(prepare(target, later, web({&blue_})));
  const std::string good = Scratch::read(haproxy_.file());
  std::ofstream(haproxy_.file()) << "";
  EXPECT_STATUS(commit(target, later), conflict);
  EXPECT_EQ(Scratch::read(haproxy_.file()), "");
  std::ofstream(haproxy_.file()) << good;
  ASSERT_TRUE(haproxy_.reload());

  EXPECT_OK(prepare(target, later, web({&blue_})));
  ASSERT_TRUE(haproxy_.reload()) << "another process serves";
  EXPECT_OK(commit(target, later));
  expect_at(observe(), later);
  EXPECT_EQ(ask(port_).body, "blue");

  const auto last = next();
  EXPECT_OK(prepare(later, last, web({&red_})));
  EXPECT_OK(with_call([&](Call& call) { return open()->abort({last.txn}, call); }));
  EXPECT_STATUS(commit(later, last), not_found);
  expect_at(observe(), later);
}

/// The same gateway, reached over SSH.
class OverSsh : public OnHost {
 protected:
  void SetUp() override {
    if (!k4t::testing::SshdServer::available()) K4T_SKIP_OR_FAIL("sshd is not installed, or this is not root");
    Rig::SetUp();
    if (IsSkipped()) return;
    sshd_.emplace("MaxSessions 1");
    sshd_->start();
    auto request = open_request();
    request.options["host"] = sshd_->url();
    request.options["ssh"] = {{"identity", {sshd_->identity()}}, {"known_hosts", sshd_->known_hosts()}};
    driver_ = with_call([&](Call& call) { return open_driver(request, call).value(); });
  }

  std::optional<k4t::testing::SshdServer> sshd_;
};

TEST_F(OverSsh, AWholeLife) {
  EXPECT_EQ(*observe(), (Observation{{}, {}, Content::clean, false, {}, {}}));
  expect_at(observe(), deploy(web({&red_})));
  EXPECT_EQ(ask(port_).body, "red");
  const auto worker = haproxy_.worker();
  expect_at(observe(), deploy(web({&blue_})));
  EXPECT_EQ(haproxy_.worker(), worker) << "without a reload";
  EXPECT_EQ(ask(port_).body, "blue");
  EXPECT_EQ(connections(blue_), 0U);
  auto state = web({&red_});
  state.backends[0].idle_timeout_ms = 50000;
  const auto target = deploy(state);
  EXPECT_NE(haproxy_.worker(), worker) << "by a reload";
  expect_at(observe(), target);
  const auto dropped = next();
  EXPECT_OK(prepare(target, dropped, web({&blue_})));
  EXPECT_EQ(observe()->staged, std::vector<std::string>{dropped.txn});
  EXPECT_OK(abort(dropped.txn));
  EXPECT_STATUS(commit(target, dropped), not_found);
  EXPECT_EQ(sshd_->logins(), 2U) << "one for the program that stays, one for commands";
  driver_.reset();
  EXPECT_TRUE(eventually([&] { return programs().empty(); }));
}

TEST_F(OverSsh, ACutConnectionIsMadeAnewAndACommitIsSettledByObserving) {
  const auto target = deploy(web({&red_}));
  sshd_->cut_connections();
  expect_at(observe(), target);
  const auto later = next();
  EXPECT_OK(prepare(target, later, web({&blue_})));
  sshd_->cut_connections();
  const auto outcome = commit(target, later);
  if (!outcome) {
    EXPECT_EQ(outcome.status(), Status::unavailable) << text_of(outcome);
    EXPECT_TRUE(observe().ok());
    EXPECT_OK(commit(target, later));
  }
  expect_at(observe(), later);
  EXPECT_EQ(ask(port_).body, "blue");
}

TEST_F(OverSsh, AMachineThatHangsIsADeadline) {
  const auto target = deploy(web({&red_}));
  sshd_->freeze();
  HostCall host(CallOptions{std::chrono::milliseconds(500), nullptr});
  Call call(*host.raw());
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_STATUS(driver_->observe({}, call), deadline);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(3));
  sshd_->thaw();
  expect_at(observe(), target);
}

}  // namespace
}  // namespace k4t::haproxy::testing
