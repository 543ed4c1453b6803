#pragma once

#include "operation/master.hpp"

namespace k4t::cli {

/// What a command's exit code says; documented in `k4t --help`, k4t(1) and docs/operations.md.
enum class Exit : int {
  done = 0,         ///< done, or nothing to do
  failed = 1,       ///< failed, and nothing has changed
  usage = 2,        ///< wrong arguments or configuration; nothing was tried
  lagging = 3,      ///< done, but a gateway or DNS server does not serve it yet
  unfinished = 4,   ///< cut short; the next command finishes or undoes it
  single_copy = 5,  ///< done, but the record of it, or the metadata, is on no machine besides the master
  differs = 6,  ///< `diff`: there is a difference, or it is not known whether there is one; `master status`: stay on
  partly = 7,   ///< `node drain`, `node rm --lost`, `repair`: as far as there is room; `image push`, `backup now`: not
                ///< on all nodes
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

/// Of a command that changed something. `accepts_single_copy`: the configuration says that one copy is meant.
inline Exit exit_of(const operation::Report& report, bool accepts_single_copy) {
  const Exit exit = exit_of(report.ending);
  if (exit == Exit::done && !report.left_undone.empty()) return Exit::partly;
  return report.ending == operation::Ending::done && report.single_copy && !accepts_single_copy ? Exit::single_copy
                                                                                                : exit;
}

}  // namespace k4t::cli
