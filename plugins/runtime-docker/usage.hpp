#pragma once

#include <string>
#include <string_view>

#include "k4t/call.hpp"
#include "k4t/runtime.hpp"
#include "k4t/transport.hpp"

namespace k4t::docker {

/// What of that machine is in use; `folder` lies on the file system that counts. Nothing is known where the machine
/// runs no commands for us, or calls itself other than `machine`: then the engine's socket only leads elsewhere from
/// it.
runtime::NodeUsage read_usage(transport::Host& host, const std::string& machine, const std::string& folder,
                              const Call& call);

/// Reads what read_usage() asks for: the machine's name, /proc/loadavg, /proc/meminfo, and of the file system "disk",
/// its block size, all blocks, free ones and those free for others than root. What is not understood is not known.
runtime::NodeUsage parse_usage(const std::string& machine, std::string_view text);

}  // namespace k4t::docker
