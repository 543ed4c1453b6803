#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/call.hpp"

namespace k4t::process {

/// Takes a piece of output; false: no more is wanted, end the program.
using OutputSink = std::function<bool(Channel, std::string_view)>;

/// Runs `k4t-supervise ARGS…` to its end, which `run` reaches as soon as the instance runs, and returns its exit code.
/// DEADLINE: the call was given up; the program was ended, and what it had begun is not known. UNAVAILABLE: it could
/// not be run.
Result<int> run_supervise(const std::string& program, const std::vector<std::string>& args, const OutputSink& sink,
                          const Call& call);

}  // namespace k4t::process
