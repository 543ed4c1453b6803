#include "operation/observed.hpp"

#include <algorithm>

#include "operation/nodes.hpp"
#include "platform/parallel.hpp"

namespace k4t::operation {

K4T_JSON_DEFINE(NodeFacts, at_s, info)
namespace {

using plan::Placed;

/// Under which name the store keeps what was seen on the nodes.
constexpr const char* memory = "instances";
constexpr const char* facts_memory = "nodes";

using AllFacts = std::map<std::string, NodeFacts>;

Result<AllFacts> recalled_facts(const Environment& environment) {
  K4T_ASSIGN(const auto remembered, environment.store.recall(facts_memory));
  if (!remembered) return AllFacts{};
  return decode<AllFacts>(*remembered);
}

Result<void> remember_facts(const Environment& environment, const std::vector<plan::NodeView>& views) {
  K4T_ASSIGN(auto all, recalled_facts(environment));
  std::erase_if(all, [&](const auto& one) { return environment.fleet.node(one.first) == nullptr; });
  for (const auto& view : views) {
    if (!view.problem) all[view.name] = {environment.now_s(), view.info};
  }
  return environment.store.remember(facts_memory, Json(all));
}

Result<std::vector<Placed>> recalled(const Environment& environment) {
  K4T_ASSIGN(const auto remembered, environment.store.recall(memory));
  if (!remembered) return std::vector<Placed>{};
  return decode<std::vector<Placed>>(*remembered);
}

}  // namespace

Result<plan::World> observe_world(const Environment& environment, const txn::EntryPtr& latest) {
  plan::World world;
  world.nodes = read_nodes(environment);
  K4T_TRY(add_marks(environment, world.nodes));
  if (latest != nullptr) world.latest = latest->state;
  K4T_ASSIGN(const auto reservations, environment.store.reservations());
  for (const auto& reservation : reservations) world.not_reusable.push_back({reservation.address, reservation.port});
  K4T_ASSIGN(world.last_known, recalled(environment));
  return world;
}

Result<void> add_marks(const Environment& environment, std::vector<plan::NodeView>& views) {
  K4T_ASSIGN(const auto marks, environment.store.marks());
  for (auto& view : views) {
    view.mark.reset();
    for (const auto& mark : marks) {
      if (mark.node == view.name) view.mark = mark;
    }
  }
  return {};
}

Result<void> remember(const Environment& environment, const std::vector<plan::NodeView>& views) {
  K4T_ASSIGN(auto all, recalled(environment));
  std::set<std::string> read;
  for (const auto& view : views) {
    if (!view.problem) read.insert(view.name);
  }
  std::erase_if(all, [&](const Placed& placed) { return read.contains(placed.node); });
  for (auto& placed : placed_instances(environment, views)) all.push_back(std::move(placed));
  return environment.store.atomically([&]() -> Result<void> {
    K4T_TRY(environment.store.remember(memory, Json(all)));
    return remember_facts(environment, views);
  });
}

Result<void> remember_plan(const Environment& environment, const plan::Plan& plan) {
  std::vector<Placed> all = plan.kept;
  all.insert(all.end(), plan.given_up.begin(), plan.given_up.end());
  for (const auto& removal : plan.removals) all.push_back(removal.placed);
  for (const auto& creation : plan.creations) {
    all.push_back(creation.placed);
    all.back().phase = runtime::Phase::running;
  }
  return environment.store.remember(memory, Json(all));
}

Result<void> forget_given_up(const Environment& environment, const plan::Plan& plan) {
  if (plan.given_up.empty()) return {};
  K4T_ASSIGN(auto all, recalled(environment));
  std::erase_if(all, [&](const Placed& placed) {
    return std::any_of(plan.given_up.begin(), plan.given_up.end(),
                       [&](const Placed& gone) { return gone.node == placed.node && gone.name == placed.name; });
  });
  return environment.store.remember(memory, Json(all));
}

Result<void> forget_sight(const Environment& environment, const std::string& node) {
  K4T_ASSIGN(auto all, recalled(environment));
  K4T_ASSIGN(auto facts, recalled_facts(environment));
  std::erase_if(all, [&](const Placed& placed) { return placed.node == node; });
  facts.erase(node);
  K4T_TRY(environment.store.remember(memory, Json(all)));
  return environment.store.remember(facts_memory, Json(facts));
}

Result<std::vector<NodeSight>> look_at_nodes(const Environment& environment, bool note) {
  auto views = read_nodes(environment);
  K4T_TRY(add_marks(environment, views));
  K4T_ASSIGN(const auto before, recalled(environment));
  K4T_ASSIGN(const auto facts, recalled_facts(environment));
  if (note) K4T_TRY(remember(environment, views));
  std::vector<NodeSight> all;
  for (auto& view : views) {
    NodeSight sight;
    sight.config = environment.fleet.node(view.name)->config();
    sight.added = environment.added_nodes.contains(view.name);
    for (const auto& instance : view.instances) {
      auto placed = plan::read_labels(view.name, sight.config.address, instance);
      placed ? sight.instances.push_back(*std::move(placed)) : sight.odd_labels.push_back(placed.error().message);
    }
    if (view.problem) {
      std::copy_if(before.begin(), before.end(), std::back_inserter(sight.instances),
                   [&](const Placed& placed) { return placed.node == view.name; });
      if (const auto found = facts.find(view.name); found != facts.end()) sight.last = found->second;
    }
    std::sort(sight.instances.begin(), sight.instances.end(),
              [](const Placed& a, const Placed& b) { return a.name < b.name; });
    sight.view = std::move(view);
    all.push_back(std::move(sight));
  }
  return all;
}

void look_at_usage(const Environment& environment, std::vector<NodeSight>& nodes) {
  std::vector<NodeSight*> readable;
  for (auto& node : nodes) {
    if (!node.view.problem) readable.push_back(&node);
  }
  platform::parallel_map(readable, most_reads, [&](NodeSight* node) {
    auto usage = environment.fleet.node(node->config.name)->usage();
    if (usage) node->usage = *usage;
    return usage.ok();
  });
}

plan::Routes routes_of(const txn::EntryPtr& latest) {
  return latest == nullptr ? plan::Routes() : plan::Routes(latest->state);
}

std::vector<Placed> to_be_healthy(const plan::Plan& plan, const txn::EntryPtr& latest, const std::string& label) {
  const auto served = routes_of(latest);
  const plan::Routes wanted(plan.state);
  std::vector<Placed> fresh;
  for (const auto& creation : plan.creations) fresh.push_back(creation.placed);
  for (const auto& placed : plan.kept) {
    if (served.lead_to(placed)) continue;
    if (placed.operation == label || wanted.lead_to(placed)) fresh.push_back(placed);
  }
  return fresh;
}

}  // namespace k4t::operation
