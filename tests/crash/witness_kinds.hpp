#pragma once

#include "crash/crash_world.hpp"

namespace k4t::testing {

/// Changes of the witnesses, and a user's --force where most of them are gone. They leave the world with witnesses of
/// its own, so they come after all other kinds.
std::vector<Kind> witness_kinds();

}  // namespace k4t::testing
