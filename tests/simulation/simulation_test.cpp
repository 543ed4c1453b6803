#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "explorer.hpp"

namespace k4t::simulation {
namespace {

/// Another seed for the random walks, e.g. to look longer by hand.
std::uint64_t seed() {
  const char* text = std::getenv("K4T_SIMULATION_SEED");  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

void expect_clean(const Report& report) {
  EXPECT_FALSE(report.violation) << *report.violation;
  EXPECT_GT(report.recoveries, 0U);
  std::cout << report.states << " states, " << report.transitions << " transitions, " << report.recoveries
            << " recoveries" << std::endl;
}

/// More than any of the complete searches below needs: a search that grows beyond it must be noticed.
constexpr std::uint64_t kLimit = 1'000'000;

void expect_all_clean(const Config& config) {
  const Report report = exhaust(config, kLimit, 64);
  expect_clean(report);
  EXPECT_TRUE(report.complete);
}

TEST(Exhaustive, TwoRunsAtThreeWitnessesWithACrashKeepEveryInvariant) {
  Config config;
  config.gateways = 0;
  config.faults = 0;
  expect_all_clean(config);
}

TEST(Exhaustive, TwoVersionsEachWithFaultsAndACrashKeepEveryInvariant) {
  Config config;
  config.witnesses = 1;
  config.gateways = 0;
  config.proposals = 2;
  expect_all_clean(config);
}

TEST(Exhaustive, BothGroupsWithAFaultAndACrashKeepEveryInvariant) {
  Config config;
  config.witnesses = 1;
  config.faults = 1;
  expect_all_clean(config);
}

TEST(Random, RunsThatCrashAndOvertakeEachOtherKeepEveryInvariant) {
  Config config;
  config.proposals = 2;
  config.runs = 3;
  config.faults = 6;
  config.crashes = 2;
  expect_clean(walk(config, seed(), 10000));
}

TEST(Random, APairInEachGroupKeepsEveryInvariant) {
  Config config;
  config.gateways = 2;
  config.dns = 2;
  config.proposals = 2;
  config.faults = 8;
  expect_clean(walk(config, seed(), 10000));
}

TEST(Random, ALostRegisterCountsForNothing) {
  Config config;
  config.wipes = 1;
  config.proposals = 2;
  config.faults = 4;
  expect_clean(walk(config, seed(), 10000));
}

class PlantedMistake : public testing::TestWithParam<Mistake> {};

TEST_P(PlantedMistake, IsFound) {
  Config config;
  config.mistake = GetParam();
  config.gateways = 0;
  config.runs = 3;
  config.proposals = 2;
  config.faults = 4;
  config.crashes = 2;
  config.wipes = GetParam() == Mistake::blank_counts_as_fresh ? 1 : 0;
  const Report report = walk(config, seed(), 100000);
  ASSERT_TRUE(report.violation) << report.states << " steps without noticing";
  std::cout << report.states << " steps: " << report.violation->substr(0, report.violation->find('\n')) << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Each, PlantedMistake,
                         testing::Values(Mistake::witness_keeps_epoch_only, Mistake::late_vote_overwrites,
                                         Mistake::minority_votes_are_dropped, Mistake::blank_counts_as_fresh,
                                         Mistake::runs_share_an_epoch, Mistake::commit_ignores_the_register));

}  // namespace
}  // namespace k4t::simulation
