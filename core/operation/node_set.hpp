#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operation/environment.hpp"

/// What users say of nodes without moving anything: which are to get nothing new, and which there are.

namespace k4t::operation {

/// INVALID_ARGUMENT: the cluster has no node of one of these names.
Result<void> require_nodes(const Environment& environment, const std::vector<std::string>& names);

/// Gives the nodes nothing new; what runs there stays. INVALID_ARGUMENT: there is no such node.
Result<void> cordon(const Environment& environment, const std::vector<std::string>& nodes, const std::string& why);

/// Takes back whatever set the nodes apart. INVALID_ARGUMENT: there is no such node.
Result<void> uncordon(const Environment& environment, const std::vector<std::string>& nodes);

/// A node's mark goes with its name: forgets those of nodes that the cluster does not have.
Result<void> forget_strangers(store::Store& store, const model::Cluster& cluster);

/// CONFLICT: the cluster has a node of that name, or one with that address and some of its ports.
Result<void> check_distinct(const model::Cluster& cluster, const model::Node& node);

/// CONFLICT: instances of the cluster are there. UNAVAILABLE: it cannot be read, even when asked twice.
Result<void> check_empty(const Environment& environment, const std::string& node);

/// Forgets an added node with all that is known of it.
Result<void> forget_node(const Environment& environment, const std::string& node);

}  // namespace k4t::operation
