#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "world.hpp"

/// Two ways through a world's choices: all of them, or many random ones.

namespace k4t::simulation {

struct Report {
  std::uint64_t states = 0;              ///< distinct ones (a search)
  std::uint64_t schedules = 0;           ///< whole paths (random)
  std::uint64_t steps = 0;               ///< choices taken
  std::uint64_t recoveries = 0;          ///< fresh runs that were tried
  std::uint64_t decided = 0;             ///< versions, in all paths together
  std::uint64_t seed = 0;                ///< of the path that broke an invariant
  bool complete = false;                 ///< a search: nothing was left out
  std::optional<std::string> violation;  ///< with the steps that led there and the state
};

/// Depth first through every choice, each distinct state once, at most `limit_states`. A fresh run is tried in every
/// state where nothing more can happen, and in one of `recovery_every` others.
Report exhaust(Config config, std::uint64_t limit_states, std::uint64_t recovery_every);

/// One random path: configuration and every choice follow from the seed and the mistake alone. `step`, where given, is
/// told each step before it is taken.
void stroll(std::uint64_t seed, Mistake mistake, Report& report,
            const std::function<void(const std::string&)>& step = {});

/// The paths of `count` seeds from `first` on; ends at the first that breaks an invariant.
Report walk(std::uint64_t first, std::uint64_t count, Mistake mistake);

/// The same in one world: only the choices follow from the seeds.
Report walk_in(const Config& config, std::uint64_t first, std::uint64_t count);

/// A configuration in words.
std::string describe(const Config& config);

}  // namespace k4t::simulation
