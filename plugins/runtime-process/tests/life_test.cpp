#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "cgroup.hpp"
#include "fixture.hpp"
#include "k4t/conformance_gtest.hpp"
#include "log_file.hpp"

namespace k4t::process {
namespace {

using k4t::testing::eventually;
using k4t::testing::run;
using k4t::testing::Scratch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Two processes of the instance, the second in a session of its own so that no group signal reaches it.
constexpr const char* kFamily =
    "setsid sh -c 'trap \"\" TERM; echo $$ >> \"$1\"; exec sleep 1000' sh \"$1\" & echo $$ >> \"$1\"; wait; sleep 1000";

bool none_alive(const std::vector<int>& pids) {
  return eventually([&] { return std::none_of(pids.begin(), pids.end(), is_alive); });
}

TEST_F(ProcessTest, ConformsToTheRuntimeContract) {
  conformance::RuntimeSubject subject;
  subject.driver = &callee_;
  subject.capabilities = {runtime::capability::exec};
  subject.cluster = "conformance";
  subject.instance = script("echo it runs; exec sleep 1000");
  subject.instance.labels.clear();
  subject.log_line = "it runs";
  subject.exec_command = {"true"};
  auto foreign = script("exec sleep 1000");
  foreign.name = "foreign";
  foreign.labels.clear();
  ASSERT_TRUE(ask<method::Create>(foreign));
  subject.foreign_name = "foreign";
  K4T_EXPECT_CONFORMS(conformance::check_runtime(subject));
}

TEST_F(ProcessTest, ArgumentsAndEnvironmentArriveUnchanged) {
  const std::vector<std::string> args = {"-x", "--", "two words", "a\nb", "$HOME `id` $(id)", "\"'\\", "", "ü"};
  auto spec = script("cat /proc/$$/environ > \"$1.env\"; cat /proc/$$/cmdline > \"$1\"; exec sleep 1000", args);
  spec.env = {{"A", "x=\"1\"\n'$B' "}, {"PATH", "/usr/bin:/bin"}};
  begin(spec);
  std::string wanted;
  for (const auto& word : spec.command) wanted += word + '\0';
  EXPECT_TRUE(eventually([&] { return Scratch::read(file_) == wanted; })) << Scratch::read(file_);
  const char* home = ::getenv("HOME");
  EXPECT_EQ(Scratch::read(file_ + ".env"), std::string("A=x=\"1\"\n'$B' ") + '\0' +
                                               "HOME=" + (::geteuid() == 0 ? "/root" : home) + '\0' +
                                               "PATH=/usr/bin:/bin" + '\0');
}

TEST_F(ProcessTest, ACrashLoopIsSlowedDown) {
  begin(script("date +%s%N >> \"$1\"; exit 3"));
  ASSERT_TRUE(eventually([&] { return lines().size() >= 5; }));
  std::istringstream in(Scratch::read(file_));
  std::vector<double> times_ms;
  for (double time = 0; in >> time;) times_ms.push_back(time / 1e6);
  const double waits_ms[] = {100, 200, 400, 800};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_GE(times_ms[i + 1] - times_ms[i], waits_ms[i] - 1) << i;
  // The fifth life's line may come before its supervisor has noted that it began.
  ASSERT_TRUE(eventually([&] { return seen().restarts >= 4 && seen().phase == Phase::restarting; }));
  EXPECT_EQ(seen().exit_code, 3);
  // The wait itself can be interrupted.
  const auto before = std::chrono::steady_clock::now();
  EXPECT_TRUE(ask<method::Stop>({kName}));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(1500));
  EXPECT_EQ(seen().phase, Phase::exited);
}

TEST_F(ProcessTest, TheRestartPolicyDecides) {
  for (const auto& [policy, command, code] :
       {std::tuple{runtime::Restart::never, "exit 3", 3}, std::tuple{runtime::Restart::on_failure, "exit 0", 0}}) {
    auto spec = script(command);
    spec.restart = policy;
    begin(spec);
    EXPECT_TRUE(eventually([&] { return seen().phase == Phase::exited; }));
    EXPECT_EQ(seen().exit_code, code);
    EXPECT_EQ(seen().restarts, 0u);
    EXPECT_TRUE(ask<method::Remove>({kName}));
  }
  auto spec = script("echo life >> \"$1\"; test $(wc -l < \"$1\") -gt 2");
  spec.restart = runtime::Restart::on_failure;
  begin(spec);
  EXPECT_TRUE(eventually([&] { return seen().phase == Phase::exited; }));
  EXPECT_EQ(seen().restarts, 2u);
}

TEST_F(ProcessTest, AKilledInstanceIsStartedAgain) {
  begin(script("echo $$ >> \"$1\"; exec sleep 1000"));
  ::kill(pids(1)[0], SIGKILL);
  EXPECT_TRUE(is_alive(pids(2)[1]));
  EXPECT_TRUE(eventually([&] { return seen().phase == Phase::running; }));
  EXPECT_EQ(seen().restarts, 1u);
  EXPECT_EQ(seen().exit_code, 137);
}

TEST_F(ProcessTest, AKilledSupervisorTakesEverythingWithItAndTheInstanceCanBeStartedAgain) {
  begin(script(kFamily));
  const auto family = pids(2);
  const int supervisor = status().supervisor;
  ::kill(supervisor, SIGKILL);
  EXPECT_TRUE(eventually([&] { return seen().phase == Phase::exited; }));
  EXPECT_TRUE(none_alive(family));
  EXPECT_EQ(seen().exit_code, 137);
  EXPECT_THAT(seen().detail, HasSubstr("supervisor was killed"));
  ASSERT_TRUE(ask<method::Start>({kName}));
  EXPECT_EQ(seen().phase, Phase::running);
  EXPECT_NE(status().supervisor, supervisor);
}

TEST_F(ProcessTest, AStartWhileTheKilledLifeIsStillEndingWaitsForItsEnd) {
  begin(script(kFamily));
  const auto family = pids(2);
  const int keeper = keeper_of(status().supervisor);
  ::kill(keeper, SIGSTOP);
  ::kill(status().supervisor, SIGKILL);
  ASSERT_TRUE(eventually([&] { return seen().phase == Phase::exited; }));
  EXPECT_EQ(ask<method::Start>({kName}, {std::chrono::milliseconds(200)}).status(), Status::deadline);
  EXPECT_EQ(lines().size(), 2u);
  ::kill(keeper, SIGCONT);
  ASSERT_TRUE(ask<method::Start>({kName}));
  EXPECT_TRUE(none_alive(family));
}

TEST_F(ProcessTest, AKilledKeeperTakesItsLifeWithItAndAnotherBegins) {
  begin(script(kFamily));
  const auto family = pids(2);
  ::kill(keeper_of(status().supervisor), SIGKILL);
  EXPECT_TRUE(none_alive(family));
  EXPECT_TRUE(eventually([&] { return seen().phase == Phase::running && seen().restarts == 1; }));
}

TEST_F(ProcessTest, WhatSupervisorAndKeeperLeaveWhenKilledTogetherEndsAtTheNextStart) {
  if (find_hierarchies().v2.empty() && find_hierarchies().v1.empty()) K4T_SKIP_OR_FAIL("no control groups here");
  begin(script(kFamily));
  const auto family = pids(2);
  const int supervisor = status().supervisor;
  const int keeper = keeper_of(supervisor);
  // Stopped first, so that neither sees the other's death.
  for (const int number : {SIGSTOP, SIGKILL}) {
    for (const int pid : {keeper, supervisor}) ::kill(pid, number);
  }
  ASSERT_TRUE(eventually([&] { return seen().phase == Phase::exited; }));
  ASSERT_TRUE(ask<method::Start>({kName}));
  EXPECT_TRUE(none_alive(family));
  EXPECT_EQ(seen().phase, Phase::running);
}

TEST_F(ProcessTest, StopAsksPolitelyFirst) {
  begin(script("trap 'echo bye >> \"$1\"; exit 7' TERM; echo ready >> \"$1\"; while :; do sleep 0.02; done"));
  ASSERT_TRUE(eventually([&] { return lines().size() == 1; }));
  ASSERT_TRUE(ask<method::Stop>({kName}));
  EXPECT_THAT(lines(), ElementsAre("ready", "bye"));
  EXPECT_EQ(seen().phase, Phase::exited);
  EXPECT_EQ(seen().exit_code, 7);
}

TEST_F(ProcessTest, StopEndsADeafProcessAndAllItsChildrenByForce) {
  auto spec = script(std::string("trap '' TERM; ") + kFamily);
  spec.stop_timeout_s = 1;
  begin(spec);
  const auto family = pids(2);
  ASSERT_TRUE(ask<method::Stop>({kName}));
  for (const int pid : family) EXPECT_FALSE(is_alive(pid));
  EXPECT_EQ(seen().exit_code, 137);
}

TEST_F(ProcessTest, StopGetsRidOfAStuckSupervisor) {
  auto spec = script("echo $$ >> \"$1\"; exec sleep 1000");
  spec.stop_timeout_s = 0;
  begin(spec);
  const auto family = pids(1);
  ::kill(status().supervisor, SIGSTOP);
  ASSERT_TRUE(ask<method::Stop>({kName}));
  EXPECT_TRUE(none_alive(family));
  EXPECT_EQ(seen().phase, Phase::exited);
  for (const auto& group : plan_cgroups(find_hierarchies(), folder().launch()->cgroup, {}).folders) {
    EXPECT_FALSE(std::filesystem::exists(group)) << group;
  }
}

TEST_F(ProcessTest, AStopThatWasGivenUpIsStillCarriedOut) {
  begin(script("trap '' TERM; echo $$ >> \"$1\"; while :; do sleep 0.02; done"));
  pids(1);
  EXPECT_EQ(ask<method::Stop>({kName}, {std::chrono::milliseconds(50)}).status(), Status::deadline);
  EXPECT_TRUE(eventually([&] { return seen().phase == Phase::exited; }));
}

TEST_F(ProcessTest, ManyStartsAtOnceRunOneCopy) {
  ASSERT_TRUE(ask<method::Create>(script("echo $$ >> \"$1\"; exec sleep 1000")));
  for (std::size_t round = 1; round <= 5; ++round) {
    std::vector<std::thread> starters;
    for (int i = 0; i < 4; ++i) {
      starters.emplace_back([this] {
        const auto driver = open_driver();
        DirectCallee<runtime::Kind> callee(*driver);
        const auto started = invoke<method::Start>(callee, {kName});
        EXPECT_TRUE(started) << started.error().message;
      });
    }
    for (auto& starter : starters) starter.join();
    EXPECT_EQ(pids(round).size(), round);
    EXPECT_EQ(seen().phase, Phase::running);
    ASSERT_TRUE(ask<method::Stop>({kName}));
    EXPECT_EQ(lines().size(), round);
  }
}

TEST_F(ProcessTest, ASecondSupervisorGoesAway) {
  begin(script("echo $$ >> \"$1\"; exec sleep 1000"));
  pids(1);
  const auto second = run({std::string(K4T_BINARY_DIR) + "/bin/k4t-supervise", "run", folder().path()});
  EXPECT_EQ(second.exit_code, 3);
  EXPECT_THAT(second.out, HasSubstr("supervised already"));
  EXPECT_EQ(lines().size(), 1u);
}

TEST_F(ProcessTest, TheInstanceGoesOnWhenTheProcessThatStartedItEnds) {
  const pid_t starter = ::fork();
  if (starter == 0) {
    const bool started =
        ask<method::Create>(script("echo $$ >> \"$1\"; exec sleep 1000")).ok() && ask<method::Start>({kName}).ok();
    ::_exit(started ? 0 : 1);
  }
  int ended = 0;
  ASSERT_EQ(::waitpid(starter, &ended, 0), starter);
  ASSERT_EQ(ended, 0);
  EXPECT_TRUE(is_alive(pids(1)[0]));
  EXPECT_EQ(seen().phase, Phase::running);
  EXPECT_TRUE(ask<method::Stop>({kName}));
}

TEST_F(ProcessTest, NothingIsLeftAfterRemove) {
  auto spec = script(kFamily);
  spec.cpu_millis = 500;
  spec.memory_bytes = 64 << 20;
  begin(spec);
  const auto family = pids(2);
  const int supervisor = status().supervisor;
  const auto launch = folder().launch();
  ASSERT_TRUE(launch);
  const auto groups = plan_cgroups(find_hierarchies(), launch->cgroup, {500, 64 << 20, 0}).folders;
  for (const auto& group : groups) EXPECT_TRUE(std::filesystem::exists(group)) << group;
  ASSERT_TRUE(ask<method::Remove>({kName}));
  for (const int pid : family) EXPECT_FALSE(is_alive(pid));
  EXPECT_TRUE(none_alive({supervisor}));
  EXPECT_TRUE(std::filesystem::is_empty(root_));
  for (const auto& group : groups) EXPECT_FALSE(std::filesystem::exists(group)) << group;
}

TEST_F(ProcessTest, CallsThatCreateAtTheSameTimeDoNotSweepEachOther) {
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([this, caller] {
      const auto driver = open_driver();
      DirectCallee<runtime::Kind> callee(*driver);
      for (int number = 0; number < 100; ++number) {
        auto spec = script("exit 0");
        spec.name = "shop-web-" + std::to_string(caller) + "-" + std::to_string(number);
        const auto created = invoke<method::Create>(callee, spec);
        EXPECT_TRUE(created) << created.error().message;
      }
    });
  }
  for (auto& caller : callers) caller.join();
}

TEST_F(ProcessTest, WhatDeadCallsLeftHalfDoneIsSweptAndNeverListed) {
  for (const char* name : {".new-shop-web-2-abcdef", ".gone-shop-web-3-17"}) {
    std::filesystem::create_directories(root_ + "/" + name);
  }
  EXPECT_THAT(ask<method::List>({"shop"})->instances, IsEmpty());
  ASSERT_TRUE(ask<method::Create>(script("exit 0")));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(root_), {}), 1);
}

TEST_F(ProcessTest, AnInstanceWhoseFolderWasDeletedEnds) {
  begin(script("echo $$ >> \"$1\"; exec sleep 1000"));
  const auto family = pids(1);
  std::filesystem::remove_all(folder().path());
  EXPECT_TRUE(none_alive(family));
}

}  // namespace
}  // namespace k4t::process
