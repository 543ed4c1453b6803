#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "explorer.hpp"

namespace k4t::simulation {

/// A world small enough for every interleaving.
struct SmallWorld {
  std::string_view name;
  Config config;
};

const std::vector<SmallWorld>& small_worlds();

/// For random schedules that meet little else: four runs, two faults, and one of three registers is lost. Who promises
/// again after that brings a version back that another one had passed, which takes a whole version before the loss.
Config losing_world();

/// Looks for a planted mistake, first in random schedules from the seed `first` on, then, since those alone miss some,
/// in schedules of losing_world(), and in the small worlds. `states` is 0 where a schedule found it, and `schedules`
/// counts those of both.
Report hunt(Mistake mistake, std::uint64_t first, std::uint64_t schedules);

}  // namespace k4t::simulation
