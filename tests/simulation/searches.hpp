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

/// Looks for a planted mistake, first in random schedules from the seed `first` on, then, since those alone miss some,
/// in the small worlds. `states` is 0 where a random schedule found it.
Report hunt(Mistake mistake, std::uint64_t first, std::uint64_t schedules);

}  // namespace k4t::simulation
