#pragma once

#include <functional>

#include "launch.hpp"

/// The process between a supervisor and one life of an instance. It is the subreaper (prctl(2)) of everything that the
/// instance starts, so when the instance's first process ends, or the supervisor dies in whatever way, it kills all of
/// that, and only then ends itself.

namespace k4t::process {

/// Signals that a keeper takes from its parent.
inline constexpr int kAskPolitely = 10;  ///< SIGUSR1: passes SIGTERM to the instance's process group
inline constexpr int kKillAll = 15;      ///< SIGTERM: kills everything at once

/// What a keeper tells, each at most once and in this order: `started` or `failed`, then `ended`.
struct KeeperReport {
  std::function<void(pid_t pid)> started;
  std::function<void(const std::string& why)> failed;
  std::function<void(int wait_status)> ended;  ///< everything that it had started is gone
};

/// Runs one life to its end in the calling process, which must have no other children and no threads; `parent` is the
/// process with which it dies. SIGCHLD, SIGUSR1 and SIGTERM have to be blocked.
void keep(const Birth& birth, int out_fd, int err_fd, pid_t parent, const KeeperReport& report);

/// Kills all children of the calling process, those they leave to it too, until there are none.
void kill_descendants();

}  // namespace k4t::process
