#pragma once

#include <string_view>

namespace k4t::platform {

/// Marks a moment at which the process could die: called right before and right after every durable write and every
/// driver call that changes something. Does nothing in ordinary use. The crash tests enumerate the steps of an
/// operation with K4T_STEPS_FILE=FILE, which gets one line per step, and then kill it (SIGKILL) at each of them: with
/// K4T_KILL_AT_STEP=N at the N-th step, counted from 1; with K4T_KILL_AT_STEP="N PATTERN" at the N-th step whose name
/// matches the shell pattern, since calls that go side by side are reached in another order each time. Thread-safe.
void step(std::string_view name);

}  // namespace k4t::platform
