#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "operation/environment.hpp"
#include "plan/plan.hpp"
#include "plan/routing.hpp"
#include "txn/ports.hpp"

/// What the master sees of its world, and what it remembers for a day when a node cannot be read.

namespace k4t::operation {

/// Reads everything that a plan needs. `latest` nullptr: nothing was ever decided.
Result<plan::World> observe_world(const Environment& environment, const txn::EntryPtr& latest);

/// Fills in how users set the nodes apart.
Result<void> add_marks(const Environment& environment, std::vector<plan::NodeView>& views);

/// Keeps what was read of the nodes; what is known of a node that cannot be read stays.
Result<void> remember(const Environment& environment, const std::vector<plan::NodeView>& views);

/// Keeps what is on the nodes once `plan` has made its instances, those included that it will remove or gives up:
/// whether it will be decided is not known yet.
Result<void> remember_plan(const Environment& environment, const plan::Plan& plan);

/// Forgets what a decided plan gave up: nothing is there any more as far as the cluster is concerned.
Result<void> forget_given_up(const Environment& environment, const plan::Plan& plan);

/// Forgets all that is known of a node.
Result<void> forget_sight(const Environment& environment, const std::string& node);

/// What a node last told of itself, and when.
struct NodeFacts {
  store::Seconds at_s = 0;
  runtime::NodeInfo info;
};
K4T_JSON_DECLARE(NodeFacts)

/// One node as people see it.
struct NodeSight {
  model::Node config;
  bool added = false;  ///< by a command; k4t.toml does not name it
  plan::NodeView view;
  std::vector<plan::Placed> instances;  ///< of the cluster, sorted by name; of a node that cannot be read: last known
  std::optional<NodeFacts> last;        ///< of a node that cannot be read: what it last told; absent: it never did
  std::optional<runtime::NodeUsage> usage;  ///< see look_at_usage()
  std::vector<std::string>
      odd_labels;  ///< instances whose labels say that they are the cluster's, but not what they are
};

/// Looks at all nodes. `note`: what is seen is remembered, for which the store must be open for changes.
Result<std::vector<NodeSight>> look_at_nodes(const Environment& environment, bool note);

/// Asks the nodes that could be read what of them is in use, all at once.
void look_at_usage(const Environment& environment, std::vector<NodeSight>& nodes);

/// What `latest` sends traffic to; nothing for nullptr.
plan::Routes routes_of(const txn::EntryPtr& latest);

/// Instances that must be healthy before `plan`'s state may be decided: what the operation with this label made (empty:
/// those were judged before), and what the state sends traffic to for the first time.
std::vector<plan::Placed> to_be_healthy(const plan::Plan& plan, const txn::EntryPtr& latest, const std::string& label);

}  // namespace k4t::operation
