#include <gtest/gtest.h>

#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <string>
#include <vector>

#include "searches.hpp"
#include "support/process.hpp"

namespace k4t::simulation {

void PrintTo(const SmallWorld& world, std::ostream* out) { *out << world.name; }
void PrintTo(const MistakeText& one, std::ostream* out) { *out << one.name; }

namespace {

/// Another seed to begin with, e.g. to look elsewhere by hand.
std::uint64_t first_seed() {
  const char* text = std::getenv("K4T_SIMULATION_SEED");  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::vector<std::string> traced(std::uint64_t seed, Mistake mistake, Report& report) {
  std::vector<std::string> lines;
  stroll(seed, mistake, report, [&](const std::string& line) { lines.push_back(line); });
  return lines;
}

class EveryInterleaving : public ::testing::TestWithParam<SmallWorld> {};

TEST_P(EveryInterleaving, KeepsEveryInvariant) {
  // More than any of them needs: a search that grows beyond it must be noticed.
  constexpr std::uint64_t kLimit = 1'000'000;
  const Report report = exhaust(GetParam().config, kLimit, 64);
  EXPECT_FALSE(report.violation) << *report.violation;
  EXPECT_TRUE(report.complete);
  EXPECT_GT(report.recoveries, 0U);
  std::cout << report.states << " states, " << report.steps << " transitions, " << report.recoveries << " recoveries"
            << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Of, EveryInterleaving, ::testing::ValuesIn(small_worlds()),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(RandomSchedules, WithEverythingThatCanGoWrongKeepEveryInvariant) {
  const Report report = walk(first_seed(), 40000, Mistake::none);
  EXPECT_FALSE(report.violation) << *report.violation;
  // Schedules in which nothing gets decided would prove nothing.
  EXPECT_GT(report.decided, report.schedules);
  std::cout << report.schedules << " schedules, " << report.steps << " steps, " << report.decided
            << " versions decided, " << report.recoveries << " recoveries" << std::endl;
}

TEST(RandomSchedules, OfAWorldThatLosesARegisterKeepEveryInvariant) {
  const Report report = walk_in(losing_world(), first_seed(), 20000);
  EXPECT_FALSE(report.violation) << *report.violation;
  EXPECT_GT(report.decided, report.schedules);
}

/// A schedule that is written down: each step is the first choice whose description begins so.
class Script {
 public:
  explicit Script(const Config& config) : world_(config) {}

  [[nodiscard]] bool take(const std::string& what) {
    std::vector<Choice> all;
    world_.choices(all);
    for (const auto& choice : all) {
      const std::string text = world_.describe(choice);
      if (!text.starts_with(what)) continue;
      told_ += text + "\n";
      world_.take(choice);
      return true;
    }
    return false;
  }
  /// Everything that a run sends arrives, until it is at its end.
  void finish(const std::string& what) {
    while (take(what)) continue;
  }
  [[nodiscard]] std::string told() const { return told_ + world_.describe(); }
  [[nodiscard]] const World& world() const { return world_; }

 private:
  World world_;
  std::string told_;
};

// A master whose store is lost makes a lost register again, while a run elsewhere still relies on its promise.
TEST(ARegisterThatIsMadeAgain, HelpsNoRunThatRemembersTheLostOne) {
  Config config;
  config.gateways = 0;
  config.hosts = 2;
  config.ordered = false;
  config.stores = true;
  config.faults = 1;
  config.crashes = 0;
  config.wipes = 1;
  config.store_faults = 1;
  Script script(config);
  for (const char* step : {"run b starts at host 0", "run b: claim w1 (1,b): delivered", "run b: claim w2 (1,b): lost",
                           "w1 loses its state", "host 1 loses its store", "run a starts at host 1"}) {
    ASSERT_TRUE(script.take(step)) << step << " is not possible after\n" << script.told();
  }
  script.finish("run a: claim");
  for (const char* step : {"run a: prepare dns1", "run a: vote w1", "run a: vote w2"}) {
    ASSERT_TRUE(script.take(step)) << step << " is not possible after\n" << script.told();
  }
  EXPECT_EQ(script.world().watcher().decided().size(), 1U);
  script.finish("run b: ");
  EXPECT_FALSE(script.world().violation()) << *script.world().violation() << "\n" << script.told();
}

// A claim that makes a register arrives when others have made, used and lost it, and promises less than was promised
// there: with a majority only, runs c and d would each decide the first version.
TEST(ARegisterThatALateClaimMakes, LetsNoTwoRunsDecideTheFirstVersion) {
  Config config;
  config.gateways = 0;
  config.fresh = true;
  config.stores = true;
  config.runs = 4;
  config.faults = 3;
  config.crashes = 0;
  config.wipes = 1;
  Script script(config);
  const auto take = [&](std::initializer_list<const char*> steps) {
    for (const char* step : steps) {
      ASSERT_TRUE(script.take(step)) << step << " is not possible after\n" << script.told();
    }
  };
  take({"run a starts", "run a: claim w1", "run a: claim w2", "run a: claim w3",
        "run a: claim w1 (1,a) making it: delayed", "run a: claim w2 (1,a) making it",
        "run a: claim w3 (1,a) making it", "run b starts"});
  script.finish("run b: claim");
  take({"run c starts", "run d starts", "run d: claim w1", "run d: claim w2", "run d: claim w3 (1048578,d): lost",
        "w1 loses its state", "run a: claim w1 (1,a) making it: late", "run c: claim w1", "run c: claim w3",
        "run c: claim w2 (1048578,c): lost"});
  script.finish("run d: prepare");
  script.finish("run c: ");
  script.finish("run d: ");
  EXPECT_FALSE(script.world().violation()) << *script.world().violation() << "\n" << script.told();
  EXPECT_TRUE(script.world().watcher().decided().empty()) << script.told();
}

class PlantedMistake : public ::testing::TestWithParam<MistakeText> {};

TEST_P(PlantedMistake, IsFound) {
  const Report report = hunt(GetParam().mistake, first_seed(), 5000);
  ASSERT_TRUE(report.violation) << "nobody noticed that " << GetParam().what;
  std::cout << (report.states > 0 ? report.states : report.schedules) << (report.states > 0 ? " states" : " schedules")
            << ": " << first_line(*report.violation) << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Each, PlantedMistake, ::testing::ValuesIn(all_mistakes()),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(AFailure, NamesItsSeedAndReplaysExactly) {
  const Report found = walk(first_seed(), 1000, Mistake::late_vote_overwrites);
  ASSERT_TRUE(found.violation);
  EXPECT_EQ(found.violation->find("seed " + std::to_string(found.seed) + ": "), 0U);
  Report first;
  Report second;
  const auto lines = traced(found.seed, Mistake::late_vote_overwrites, first);
  EXPECT_EQ(lines, traced(found.seed, Mistake::late_vote_overwrites, second));
  EXPECT_GT(lines.size(), first.steps);
  ASSERT_TRUE(first.violation);
  EXPECT_EQ(first.violation, second.violation);
  EXPECT_NE(found.violation->find(*first.violation), std::string::npos);
}

TEST(TheProgram, SaysByItsExitCodeWhatItFound) {
  const std::string program = std::string(K4T_BINARY_DIR) + "/bin/k4t-sim";
  const auto clean = k4t::testing::run({program, "--seeds", "20", "--from", "7"});
  EXPECT_EQ(clean.exit_code, 0) << clean.out;
  EXPECT_NE(clean.out.find("schedules/s"), std::string::npos) << clean.out;
  const auto broken = k4t::testing::run({program, "--seeds", "1000", "--mistake", "late_vote_overwrites"});
  EXPECT_EQ(broken.exit_code, 1);
  EXPECT_NE(broken.out.find("replay: k4t-sim --seed "), std::string::npos) << broken.out;
  EXPECT_EQ(k4t::testing::run({program, "--seed", "7", "--trace"}).exit_code, 0);
  EXPECT_EQ(k4t::testing::run({program, "--trace"}).exit_code, 2);
  EXPECT_EQ(k4t::testing::run({program, "--mistake", "no_such_mistake"}).exit_code, 2);
  EXPECT_EQ(k4t::testing::run({program, "--help"}).exit_code, 0);
}

}  // namespace
}  // namespace k4t::simulation
