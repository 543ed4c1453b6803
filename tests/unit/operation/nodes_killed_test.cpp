#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "support/process.hpp"
#include "unit/operation/lab.hpp"

/// A drain and a repair, killed at each of their moments in a process of their own: what the machines and the store
/// hold then is what the next command finds.

namespace k4t::operation {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

namespace fs = std::filesystem;

constexpr const char* folder_variable = "K4T_TEST_FOLDER";
constexpr const char* verb_variable = "K4T_TEST_VERB";
constexpr std::uint32_t replicas = 2;

/// The same machines in every process.
struct Stage {
  Stage(const fs::path& folder, std::string change) : verb(std::move(change)), lab(folder) {
    lab.world.keep_in(folder / "world.json");
    lab.world.node("n2").faults.down = verb == "repair";
  }
  Result<Report> run() {
    return verb == "repair" ? lab.master().repair({"n2"}, "", {}) : lab.master().drain({"n2"}, "", {});
  }
  std::string verb;
  Lab lab;
};

/// Not a test of its own: what the other one starts and kills.
TEST(NodesVictim, DISABLED_Runs) {
  const char* folder = std::getenv(folder_variable);
  const char* verb = std::getenv(verb_variable);
  ASSERT_TRUE(folder != nullptr && verb != nullptr);
  Stage stage(folder, verb);
  const auto report = stage.run();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->ending, Ending::done);
}

class NodesKilled : public ::testing::TestWithParam<const char*> {};

/// True: the change was made. Otherwise all is as it was before.
bool expect_before_or_after(Stage& stage, const std::vector<std::string>& before) {
  EXPECT_THAT(stage.lab.unfinished(), IsEmpty());
  EXPECT_EQ(stage.lab.routes("gw1"), stage.lab.routes("gw2"));
  EXPECT_THAT(stage.lab.routes("gw1"), SizeIs(replicas));
  const auto marks = *stage.lab.store().marks();
  const bool made = !marks.empty();
  const auto leads_to_n2 = Contains(StartsWith("192.0.2.2"));
  if (!made) {
    EXPECT_EQ(stage.lab.world.instances(), before);
    EXPECT_THAT(stage.lab.routes("gw1"), leads_to_n2);
    return false;
  }
  EXPECT_EQ(marks.front().mark, stage.verb == "repair" ? model::Mark::lost : model::Mark::draining);
  EXPECT_THAT(stage.lab.routes("gw1"), Not(leads_to_n2));
  EXPECT_THAT(stage.lab.world.node("n1").instances, SizeIs(replicas));
  if (stage.verb == "drain") {
    EXPECT_THAT(stage.lab.world.node("n2").instances, IsEmpty());
  }
  return true;
}

TEST_P(NodesKilled, AtEachMomentTheNextCommandFinishesOrUndoesIt) {
  const k4t::testing::Scratch scratch;
  const fs::path live = scratch.path() / "live";
  const fs::path kept = scratch.path() / "kept";
  fs::create_directories(live);
  std::vector<std::string> before;
  {
    Stage stage(live, "drain");
    ASSERT_TRUE(stage.lab.apply({{Lab::web(replicas)}, {}}));
    before = stage.lab.world.instances();
    ASSERT_THAT(stage.lab.world.node("n2").instances, SizeIs(1));
  }
  fs::copy(live, kept, fs::copy_options::recursive);
  int undone = 0;
  int finished = 0;
  for (int moment = 1;; ++moment) {
    SCOPED_TRACE("killed at moment " + std::to_string(moment));
    fs::remove_all(live);
    fs::copy(kept, live, fs::copy_options::recursive);
    const auto victim = k4t::testing::run(
        {"env", std::string(folder_variable) + "=" + live.string(), std::string(verb_variable) + "=" + GetParam(),
         "K4T_KILL_AT_STEP=" + std::to_string(moment), fs::read_symlink("/proc/self/exe").string(),
         "--gtest_also_run_disabled_tests", "--gtest_filter=NodesVictim.DISABLED_Runs"});
    if (victim.exit_code == 0) {
      EXPECT_GT(moment, 20) << "it has durable writes and calls";
      break;
    }
    ASSERT_EQ(victim.exit_code, 128 + SIGKILL) << victim.out;

    Stage stage(live, GetParam());
    EXPECT_THAT(stage.lab.world.broken_routes(), IsEmpty());
    const auto recovered = stage.lab.master().recover();
    ASSERT_TRUE(recovered) << recovered.error().message;
    ASSERT_NE(recovered->ending, Ending::unfinished) << (recovered->why ? recovered->why->message : "");
    ++(expect_before_or_after(stage, before) ? finished : undone);
    const auto again = stage.run();
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_THAT(again->ending, AnyOf(Ending::done, Ending::unchanged)) << (again->why ? again->why->message : "");
    EXPECT_TRUE(expect_before_or_after(stage, before));
    EXPECT_THAT(stage.lab.world.broken_routes(), IsEmpty());
    if (HasFailure()) break;
  }
  EXPECT_GT(undone, 0);
  EXPECT_GT(finished, 0);
}

INSTANTIATE_TEST_SUITE_P(Verbs, NodesKilled, ::testing::Values("drain", "repair"),
                         [](const auto& verb) { return std::string(verb.param); });

}  // namespace
}  // namespace k4t::operation
