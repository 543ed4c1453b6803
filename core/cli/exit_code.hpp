#pragma once

namespace k4t::cli {

/// What a command's exit code says; documented in `k4t help exit-codes` and docs/operations.md.
enum class Exit : int {
  done = 0,        ///< done, or nothing to do
  failed = 1,      ///< failed, and nothing has changed
  usage = 2,       ///< wrong arguments or configuration; nothing was tried
  lagging = 3,     ///< done, but a gateway or DNS server does not serve it yet
  unfinished = 4,  ///< cut short; the next command finishes or undoes it
};

}  // namespace k4t::cli
