#pragma once

namespace k4t::process {

/// How `k4t-supervise` ends. `exec` ends as its command does, or with kNoSuchCommand.
enum SuperviseExit : int {
  kRuns = 0,  ///< the instance runs, or ran and has ended by now
  kUsage = 2,
  kSupervised = 3,  ///< another supervisor holds the lock
  kCannotRun = 4,   ///< the instance's program cannot be started as specified
  kBroken = 5,      ///< the folder or the machine is in the way
  kNoSuchCommand = 127,
};

}  // namespace k4t::process
