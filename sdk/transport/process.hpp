#pragma once

#include "k4t/transport.hpp"

namespace k4t::transport {

/// Host::run for this machine. The command leads a process group of its own, which is killed as a whole when time runs
/// out or the caller gives up; what it leaves running when it ends by itself (a daemon) stays. When this program
/// dies the command goes on, like one on a remote host would.
Result<Output> run_process(const Command& command);

}  // namespace k4t::transport
