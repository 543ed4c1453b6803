#pragma once

#include "operation/master.hpp"

namespace k4t::cli {

/// What a command's exit code says; documented in `k4t --help`, k4t(1) and docs/operations.md.
enum class Exit : int {
  done = 0,        ///< done, or nothing to do
  failed = 1,      ///< failed, and nothing has changed
  usage = 2,       ///< wrong arguments or configuration; nothing was tried
  lagging = 3,     ///< done, but a gateway or DNS server does not serve it yet
  unfinished = 4,  ///< cut short; the next command finishes or undoes it
};

constexpr Exit exit_of(operation::Ending ending) {
  switch (ending) {
    case operation::Ending::unchanged:
    case operation::Ending::done: return Exit::done;
    case operation::Ending::lagging: return Exit::lagging;
    case operation::Ending::failed: return Exit::failed;
    case operation::Ending::unfinished: return Exit::unfinished;
  }
  return Exit::failed;
}

}  // namespace k4t::cli
