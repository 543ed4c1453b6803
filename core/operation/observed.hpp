#pragma once

#include <set>
#include <vector>

#include "operation/environment.hpp"
#include "plan/plan.hpp"
#include "txn/ports.hpp"

/// What the master sees of its world, and what it remembers for a day when a node cannot be read.

namespace k4t::operation {

/// Reads everything that a plan needs. `latest` nullptr: nothing was ever decided.
Result<plan::World> observe_world(const Environment& environment, const txn::EntryPtr& latest);

/// Keeps what was read of the nodes; what is known of a node that cannot be read stays.
Result<void> remember(const Environment& environment, const std::vector<plan::NodeView>& views);

/// Keeps what is on the nodes once `plan` has made its instances, those included that it will remove.
Result<void> remember_plan(const Environment& environment, const plan::Plan& plan);

/// Endpoints that `latest` sends traffic to; none for nullptr.
std::set<gateway::Endpoint> routed_endpoints(const txn::EntryPtr& latest);

/// Instances that must be healthy before `plan`'s state may be decided: what the operation with this label made (empty:
/// those were judged before), and what the state sends traffic to for the first time.
std::vector<plan::Placed> to_be_healthy(const plan::Plan& plan, const txn::EntryPtr& latest, const std::string& label);

}  // namespace k4t::operation
