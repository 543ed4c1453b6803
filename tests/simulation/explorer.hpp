#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "world.hpp"

/// Two ways through a world's choices: all of them, or many random ones.

namespace k4t::simulation {

struct Report {
  std::uint64_t states = 0;  ///< distinct ones (exhaustive) or steps taken (random)
  std::uint64_t transitions = 0;
  std::uint64_t recoveries = 0;          ///< fresh runs that were tried
  bool complete = false;                 ///< exhaustive: nothing was left out
  std::optional<std::string> violation;  ///< with the steps that led there and the state
};

/// Depth first through every choice, each distinct state once, at most `limit_states`. A fresh run is tried in every
/// state where nothing more can happen, and in one of `recovery_every` others.
Report exhaust(const Config& config, std::uint64_t limit_states, std::uint64_t recovery_every);

/// `walks` random paths, the n-th with the seed `seed + n`, each with one fresh run tried at its end.
Report walk(const Config& config, std::uint64_t seed, std::uint64_t walks);

}  // namespace k4t::simulation
