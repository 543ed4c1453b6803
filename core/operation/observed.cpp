#include "operation/observed.hpp"

#include <algorithm>

#include "operation/nodes.hpp"
#include "plan/routing.hpp"

namespace k4t::operation {
namespace {

using plan::Placed;

/// Under which name the store keeps what was seen on the nodes.
constexpr const char* memory = "instances";

Result<std::vector<Placed>> recalled(const Environment& environment) {
  K4T_ASSIGN(const auto remembered, environment.store.recall(memory));
  if (!remembered) return std::vector<Placed>{};
  return decode<std::vector<Placed>>(*remembered);
}

bool any_in(const Placed& placed, const std::set<gateway::Endpoint>& endpoints) {
  const auto all = placed.endpoints();
  return std::any_of(all.begin(), all.end(), [&](const auto& endpoint) { return endpoints.contains(endpoint); });
}

}  // namespace

Result<plan::World> observe_world(const Environment& environment, const txn::EntryPtr& latest) {
  plan::World world;
  world.nodes = read_nodes(environment);
  if (latest != nullptr) world.latest = latest->state;
  K4T_ASSIGN(const auto reservations, environment.store.reservations());
  for (const auto& reservation : reservations) world.not_reusable.push_back({reservation.address, reservation.port});
  K4T_ASSIGN(world.last_known, recalled(environment));
  return world;
}

Result<void> remember(const Environment& environment, const std::vector<plan::NodeView>& views) {
  K4T_ASSIGN(auto all, recalled(environment));
  std::set<std::string> read;
  for (const auto& view : views) {
    if (!view.problem) read.insert(view.name);
  }
  std::erase_if(all, [&](const Placed& placed) { return read.contains(placed.node); });
  for (auto& placed : placed_instances(environment, views)) all.push_back(std::move(placed));
  return environment.store.remember(memory, Json(all));
}

Result<void> remember_plan(const Environment& environment, const plan::Plan& plan) {
  std::vector<Placed> all = plan.kept;
  for (const auto& removal : plan.removals) all.push_back(removal.placed);
  for (const auto& creation : plan.creations) {
    all.push_back(creation.placed);
    all.back().phase = runtime::Phase::running;
  }
  return environment.store.remember(memory, Json(all));
}

std::set<gateway::Endpoint> routed_endpoints(const txn::EntryPtr& latest) {
  if (latest == nullptr) return {};
  const auto endpoints = plan::routed_endpoints(latest->state);
  return {endpoints.begin(), endpoints.end()};
}

std::vector<Placed> to_be_healthy(const plan::Plan& plan, const txn::EntryPtr& latest, const std::string& label) {
  const auto served = routed_endpoints(latest);
  const auto next = plan::routed_endpoints(plan.state);
  const std::set<gateway::Endpoint> wanted(next.begin(), next.end());
  std::vector<Placed> fresh;
  for (const auto& creation : plan.creations) fresh.push_back(creation.placed);
  for (const auto& placed : plan.kept) {
    if (any_in(placed, served)) continue;
    if (placed.operation == label || any_in(placed, wanted)) fresh.push_back(placed);
  }
  return fresh;
}

}  // namespace k4t::operation
