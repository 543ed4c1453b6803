#include "searches.hpp"

#include <utility>

namespace k4t::simulation {
namespace {

/// Of one small world with a mistake in it, which can make it larger than it would be.
constexpr std::uint64_t kHuntedStates = 2'000'000;
/// Of losing_world(): forty times what its mistakes took from each of two seeds.
constexpr std::uint64_t kLosingSchedules = 20'000;

Config small(int witnesses, int gateways, int faults, int crashes) {
  Config config;
  config.witnesses = witnesses;
  config.gateways = gateways;
  config.faults = faults;
  config.crashes = crashes;
  return config;
}

Config changing(Config config, std::vector<int> set, std::vector<int> plan) {
  config.sets = {std::move(set)};
  config.set_plan = std::move(plan);
  return config;
}

std::vector<SmallWorld> make() {
  Config twice = small(1, 0, 1, 1);
  twice.proposals = 2;
  Config in_dns = small(3, 0, 0, 0);
  in_dns.in_dns = 2;
  in_dns.wipes = 1;
  Config forced = small(3, 0, 0, 1);
  forced.runs = 1;
  forced.forces = 2;
  Config forced_once = forced;
  forced_once.forces = 1;
  forced_once.proposals = 2;
  return {
      {"a_folder_and_two_in_dns_of_which_one_loses_its_register", in_dns},
      {"two_runs_three_witnesses_both_groups_with_a_crash", small(3, 1, 0, 1)},
      {"the_same_and_three_witnesses_give_way_to_one", changing(small(3, 1, 0, 1), {4}, {0, 1})},
      {"one_witness_gives_way_to_three", changing(small(1, 0, 0, 1), {2, 3, 4}, {1, 0})},
      {"two_versions_each_with_a_fault_and_a_crash", twice},
      {"both_groups_with_a_fault_and_a_crash", small(1, 1, 1, 1)},
      {"history_is_forced_twice_beside_a_run_with_a_crash", forced},
      {"history_is_forced_beside_a_run_with_two_versions_and_a_crash", forced_once},
  };
}

}  // namespace

const std::vector<SmallWorld>& small_worlds() {
  static const std::vector<SmallWorld> all = make();
  return all;
}

Config losing_world() {
  Config config = small(3, 0, 2, 0);
  config.runs = 4;
  config.wipes = 1;
  return config;
}

Report hunt(Mistake mistake, std::uint64_t first, std::uint64_t schedules) {
  Report report = walk(first, schedules, mistake);
  if (!report.violation) {
    Config losing = losing_world();
    losing.mistake = mistake;
    const std::uint64_t before = report.schedules;
    report = walk_in(losing, first, kLosingSchedules);
    report.schedules += before;
  }
  // Too large a world to search it all, and full of what random schedules seldom meet.
  std::vector<SmallWorld> worlds{{"two_runs_three_witnesses_with_a_fault", small(3, 0, 1, 0)}};
  worlds.insert(worlds.end(), small_worlds().begin(), small_worlds().end());
  for (const auto& world : worlds) {
    if (report.violation) break;
    Config config = world.config;
    config.mistake = mistake;
    const std::uint64_t before = report.states;
    report = exhaust(config, kHuntedStates, 64);
    report.states += before;
  }
  return report;
}

}  // namespace k4t::simulation
