#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/cluster.hpp"
#include "model/node_record.hpp"
#include "model/service.hpp"
#include "model/state.hpp"
#include "plan/instance.hpp"

/// What has to be done to get from what is to what is wanted. Pure: no I/O, and the only chance in it is passed in.

namespace k4t::plan {

/// A node as it was read just now, or why it could not be. Unknown is never empty: of a node with a `problem` nothing
/// is known, and nothing is decided about its instances.
struct NodeView {
  std::string name;
  std::optional<Error> problem;
  runtime::NodeInfo info;
  std::vector<runtime::Instance> instances;
  std::optional<model::NodeMark> mark{};  ///< how a user set it apart
};

/// Everything that was observed.
struct World {
  std::vector<NodeView> nodes;                  ///< one per configured node
  std::optional<model::State> latest;           ///< the latest decided state; absent: nothing was ever decided
  std::vector<gateway::Endpoint> not_reusable;  ///< endpoints that a lagging participant may still send traffic to
  std::vector<Placed> last_known;               ///< what the master saw the last time, for nodes that cannot be read
  bool as_room_allows = false;                  ///< what finds no room is left undone and is no problem
};

struct Creation {
  Placed placed;  ///< as it will be once it runs
  runtime::InstanceSpec spec;
};

enum class Cause { scaled_down, replaced, not_running, wrong_node, node_drained, node_returned, service_deleted };
K4T_JSON_ENUM_DECLARE(Cause, {Cause::scaled_down, "scaled down"}, {Cause::replaced, "replaced by a new revision"},
                      {Cause::not_running, "no longer running"}, {Cause::wrong_node, "its node lacks a label"},
                      {Cause::node_drained, "its node is drained"},
                      {Cause::node_returned, "its node was lost and has returned"},
                      {Cause::service_deleted, "service deleted"})

struct Removal {
  Placed placed;
  Cause cause = Cause::scaled_down;
};

struct Plan {
  std::vector<Creation> creations;
  std::vector<Removal> removals;  ///< after the new state is served, and drained
  std::vector<Placed> kept;       ///< instances that stay as they are, those on unreadable nodes included
  std::vector<Placed> given_up;   ///< last known on lost nodes that cannot be read; neither kept nor removed
  model::State state;             ///< what gateways and DNS servers shall serve once creations are healthy
  bool state_changes = false;     ///< `state` differs from World::latest
  bool complete = true;           ///< false: room was short, another round must follow this one
  std::vector<std::string> warnings;
  std::vector<std::string> left_undone;  ///< what should move or be started and finds no room, each with its reason
  std::vector<std::string> problems;     ///< not empty: this cannot be done as it is; each says why and what would help

  [[nodiscard]] bool empty() const { return creations.empty() && removals.empty() && !state_changes; }
};

/// Draws an instance id that is unlikely to have been used before: 6 characters of [a-z0-9], the first a letter.
using DrawId = std::function<std::string()>;

/// `operation` is what new instances are labelled with. `services` is all that is wanted, not only what changes.
Plan make_plan(const model::Cluster& cluster, const std::vector<model::Service>& services, const World& world,
               const std::string& operation, const DrawId& draw_id);

/// Why the node's runtime cannot give instances the addresses that k4t.toml promises; empty: it can, or none are
/// promised.
std::string subnet_problem(const model::Node& node, const runtime::NodeInfo& info);

/// The share of this cluster's instances that the plan scales down, in percent: what a slip in a number could cost.
/// Services that the user deleted by name do not count.
std::uint32_t scaled_down_percent(const Plan& plan);

}  // namespace k4t::plan
