#include "operation/node_set.hpp"

#include <algorithm>

#include "model/subnet.hpp"
#include "operation/nodes.hpp"
#include "operation/observed.hpp"

namespace k4t::operation {
namespace {

bool share_addresses(const model::Node& a, const model::Node& b) {
  const auto one = model::Subnet::parse(a.subnet);
  const auto other = model::Subnet::parse(b.subnet);
  return one && other && one->overlaps(*other);
}

}  // namespace

Result<void> require_nodes(const Environment& environment, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (environment.fleet.node(name) != nullptr) continue;
    return Error{k4t::Status::invalid_argument, "there is no node '" + name + "'; `k4t node ls` lists them", {}};
  }
  return {};
}

Result<void> cordon(const Environment& environment, const std::vector<std::string>& nodes, const std::string& why) {
  K4T_TRY(require_nodes(environment, nodes));
  return environment.store.atomically([&]() -> Result<void> {
    for (const auto& node : nodes) {
      K4T_TRY(environment.store.put_mark({node, model::Mark::cordoned, why, environment.holder, environment.now_s()}));
    }
    return {};
  });
}

Result<void> uncordon(const Environment& environment, const std::vector<std::string>& nodes) {
  K4T_TRY(require_nodes(environment, nodes));
  return environment.store.atomically([&]() -> Result<void> {
    for (const auto& node : nodes) K4T_TRY(environment.store.remove_mark(node));
    return {};
  });
}

Result<void> forget_strangers(store::Store& store, const model::Cluster& cluster) {
  K4T_ASSIGN(const auto marks, store.marks());
  for (const auto& mark : marks) {
    const auto named = [&](const model::Node& node) { return node.name == mark.node; };
    if (std::none_of(cluster.nodes.begin(), cluster.nodes.end(), named)) K4T_TRY(store.remove_mark(mark.node));
  }
  return {};
}

Result<void> check_distinct(const model::Cluster& cluster, const model::Node& node) {
  for (const auto& other : cluster.nodes) {
    if (other.name == node.name) {
      return Error{k4t::Status::conflict, "there is a node '" + node.name + "' already, at " + other.address, {}};
    }
    if (share_addresses(other, node)) {
      return Error{k4t::Status::conflict,
                   "node '" + other.name + "' has the subnet " + other.subnet +
                       ", with addresses of the new one's: give each node a block of its own",
                   {}};
    }
    const bool overlap = node.first_port <= other.last_port && other.first_port <= node.last_port;
    if (other.address != node.address || !overlap) continue;
    return Error{k4t::Status::conflict,
                 "node '" + other.name + "' has the address " + other.address + " and ports " +
                     std::to_string(other.first_port) + "-" + std::to_string(other.last_port) +
                     ", some of which are the new one's: give it its own address, or --ports that do not overlap",
                 {}};
  }
  return {};
}

Result<void> check_empty(const Environment& environment, const std::string& node) {
  K4T_TRY(require_nodes(environment, {node}));
  auto views = read_nodes(environment);
  std::erase_if(views, [&](const plan::NodeView& view) { return view.name != node; });
  read_again(environment, views);
  const auto& view = views.front();
  if (view.problem) {
    return Error{k4t::Status::unavailable,
                 "whether instances of the cluster are on node '" + node + "' is not known: " + view.problem->message +
                     "; if it is gone for good, say --lost",
                 view.problem->detail};
  }
  if (view.instances.empty()) return {};
  return Error{k4t::Status::conflict,
               "instances of the cluster are on node '" + node + "', " + std::to_string(view.instances.size()) +
                   " in all: `k4t node drain " + node + "` moves them elsewhere",
               {}};
}

Result<void> forget_node(const Environment& environment, const std::string& node) {
  return environment.store.atomically([&]() -> Result<void> {
    K4T_TRY(environment.store.remove_node(node));
    K4T_TRY(environment.store.remove_mark(node));
    return forget_sight(environment, node);
  });
}

}  // namespace k4t::operation
