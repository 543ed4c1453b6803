#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "operation/environment.hpp"
#include "plan/plan.hpp"

/// What an operation does on the nodes.

namespace k4t::operation {

/// How many nodes are read at once. Threads that only wait cost little; a node behind a silent one in a queue would
/// cost that one's deadline too.
inline constexpr std::size_t most_reads = 1024;

/// Reads all nodes at once, each within its own deadline. A node that cannot be read is there with its problem. Marks
/// are not filled in. `on_read` is called with each as soon as it is read, from several threads.
std::vector<plan::NodeView> read_nodes(const Environment& environment,
                                       const std::function<void(const plan::NodeView&)>& on_read = nullptr);

/// Asks those that could not be read once more.
void read_again(const Environment& environment, std::vector<plan::NodeView>& views);

/// This cluster's instances among what was read; those with malformed labels are left out (the plan warns of them).
std::vector<plan::Placed> placed_instances(const Environment& environment, const std::vector<plan::NodeView>& views);

/// Makes images present, creates and starts the instances, many at once. The first error ends it, after what is under
/// way has ended; what was made then is left for the caller to undo. CONFLICT: a port of that instance was taken by
/// somebody else; `taken` gets the endpoints.
Result<void> create_instances(const Environment& environment, const std::vector<plan::Creation>& creations,
                              std::vector<gateway::Endpoint>& taken);

/// Waits until each instance is healthy: running, healthy by the runtime's own check where it has one, and by the
/// service's check `rise` times in a row. DEADLINE: one was not within its service's deadline, and why.
Result<void> await_healthy(const Environment& environment, const std::vector<plan::Placed>& instances,
                           const std::vector<model::Service>& services);

/// Waits until none of the gateways named in `serving` holds a connection to the instances any more, or an instance's
/// service has used up its drain time-out, which is told as a warning. A gateway that does not answer now may hold any
/// number. DEADLINE: the user interrupted it. Of several services of one name in `services` the first counts.
Result<void> await_drained(const Environment& environment, const std::vector<plan::Placed>& instances,
                           const std::vector<model::Service>& services, const std::set<std::string>& serving);

/// Stops and removes instances, many at once; goes on after an error and returns the first. `services` tell how long an
/// instance may take to stop.
Result<void> remove_instances(const Environment& environment, const std::vector<plan::Placed>& instances,
                              const std::vector<model::Service>& services);

}  // namespace k4t::operation
