#include "plan/plan.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "k4t/digest.hpp"
#include "model/subnet.hpp"
#include "plan/routing.hpp"
#include "schedule/schedule.hpp"

namespace k4t::plan {

K4T_JSON_ENUM_DEFINE(Cause)
namespace {

/// Former witnesses and a forced version are history, not a wish.
bool differs(model::State before, const model::State& after) {
  before.former_witnesses.reset();
  before.forced.reset();
  return !(before == after);
}

/// One call of make_plan.
class Planner {
 public:
  Planner(const model::Cluster& cluster, const std::vector<model::Service>& services, const World& world,
          const std::string& operation, const DrawId& draw_id)
      : cluster_(cluster), services_(services), world_(world), operation_(operation), draw_id_(draw_id) {
    for (const model::Node& node : cluster.nodes) nodes_.emplace(node.name, &node);
    for (const model::Service& service : services) wanted_.emplace(service.name, &service);
    if (world.latest) routed_.add(*world.latest);
  }

  Plan make() {
    for (const NodeView& view : world_.nodes) read_node(view);
    make_rooms();
    for (const model::Service& service : services_) plan_service(service);
    remove_orphans();
    finish();
    return std::move(plan_);
  }

 private:
  /// Absent where k4t.toml does not name it.
  [[nodiscard]] const model::Node* find_node(const std::string& name) const {
    const auto found = nodes_.find(name);
    return found == nodes_.end() ? nullptr : found->second;
  }

  void read_node(const NodeView& view) {
    const model::Node* node = find_node(view.name);
    if (node == nullptr) return;
    if (view.mark) marks_[view.name] = view.mark->mark;
    if (view.problem && has_mark(view.name, model::Mark::lost)) return give_up(view);
    if (view.problem) {
      plan_.warnings.push_back("node '" + view.name +
                               "' cannot be read, so nothing is changed there: " + view.problem->message);
      for (const Placed& placed : world_.last_known) {
        if (placed.node == view.name && may_be_counted(placed)) unreadable_[placed.service].push_back(placed);
      }
      return;
    }
    for (const runtime::Instance& instance : view.instances) {
      auto placed = read_labels(view.name, node->address, instance);
      if (!placed) {
        plan_.warnings.push_back(placed.error().message);
        continue;
      }
      ids_.insert(placed->instance);
      occupy(*placed);
      auto& present = present_[placed->service];
      present.push_back(*std::move(placed));
    }
  }

  /// Also the address of one that has no port.
  void occupy(const Placed& placed) {
    auto& ports = occupied_[placed.address];
    for (const auto& [name, port] : placed.ports) ports.insert(port);
  }

  /// What traffic may still be sent to, be it by the latest state or by a participant that lags behind it.
  void occupy_routed() {
    std::vector<gateway::Endpoint> all(routed_.endpoints().begin(), routed_.endpoints().end());
    all.insert(all.end(), world_.not_reusable.begin(), world_.not_reusable.end());
    for (const auto& endpoint : all) {
      occupied_[endpoint.address].insert(endpoint.port);
      for (const model::Node& node : cluster_.nodes) {
        if (node.public_address == endpoint.address) occupied_[node.address].insert(node.inner_port(endpoint.port));
      }
    }
  }

  void give_up(const NodeView& view) {
    plan_.warnings.push_back("node '" + view.name +
                             "' is declared lost; what it still runs when it returns is tidied up by the next change");
    for (const Placed& placed : world_.last_known) {
      if (placed.node == view.name) plan_.given_up.push_back(placed);
    }
  }

  [[nodiscard]] bool has_mark(const std::string& node, model::Mark mark) const {
    const auto found = marks_.find(node);
    return found != marks_.end() && found->second == mark;
  }

  /// What is remembered may have been replaced since, and what was never served may never have been healthy: where a
  /// service is reached through gateways or names, only what the latest state names is taken to be there.
  [[nodiscard]] bool may_be_counted(const Placed& placed) const {
    const auto service = wanted_.find(placed.service);
    if (service == wanted_.end() || is_routed(placed)) return true;
    if (model::reach_of(cluster_, *service->second) == model::Reach::instances) return placed.ports.empty();
    const auto& exposed = service->second->expose;
    return std::none_of(exposed.begin(), exposed.end(),
                        [&](const model::Expose& expose) { return placed.ports.contains(expose.port); });
  }

  /// Everything that is on a node takes its room until it is gone, what this plan removes included.
  void make_rooms() {
    occupy_routed();
    for (const Placed& placed : world_.last_known) occupied_[placed.address];
    for (const NodeView& view : world_.nodes) {
      const model::Node* node = find_node(view.name);
      if (node == nullptr || view.problem) continue;
      schedule::Room room;
      room.node = view.name;
      room.closed = subnet_problem(*node, view.info);
      if (view.mark) room.closed = "is " + std::string(to_string(view.mark->mark));
      room.labels = node->labels;
      room.cpu_millis = node->cpu_millis.value_or(view.info.cpus * 1000);
      room.memory_bytes = node->memory_bytes.value_or(view.info.memory_bytes);
      room.ports = {node->first_port, node->last_port};
      for (const runtime::Instance& instance : view.instances) {
        room.used_cpu_millis += instance.cpu_millis;
        room.used_memory_bytes += instance.memory_bytes;
        for (const auto& port : instance.ports) room.ports.take(port.host_port);
      }
      // Nodes that share an address share its ports.
      for (const auto port : occupied_[node->address]) room.ports.take(port);
      room.addresses = free_addresses(*node);
      sharing_[node->address].push_back(rooms_.size());
      room_of_[view.name] = rooms_.size();
      rooms_.push_back(std::move(room));
    }
  }

  [[nodiscard]] bool is_routed(const Placed& placed) const { return routed_.lead_to(placed); }

  /// Absent: the node gives no addresses.
  [[nodiscard]] std::optional<std::uint64_t> free_addresses(const model::Node& node) const {
    const auto subnet = model::Subnet::parse(node.subnet);
    if (!subnet) return std::nullopt;
    const auto taken =
        std::count_if(occupied_.begin(), occupied_.end(), [&](const auto& one) { return subnet->contains(one.first); });
    const auto used = static_cast<std::uint64_t>(taken);
    return subnet->size() > used ? subnet->size() - used : 0;
  }

  /// One that follows from the instance's id, so that in a large block none is used twice, or the next free one.
  /// Absent: another node's subnet, which nobody compared with this one, has taken what was left.
  std::optional<std::string> take_address(const model::Node& node, const std::string& instance) {
    const auto subnet = model::Subnet::parse(node.subnet);
    constexpr std::size_t digits = 15;
    constexpr int base = 16;
    std::uint64_t number = std::stoull(sha256_hex(instance).substr(0, digits), nullptr, base) % subnet->size();
    for (std::size_t tried = 0; tried <= occupied_.size(); ++tried, number = (number + 1) % subnet->size()) {
      std::string address = subnet->address(number);
      if (occupied_.try_emplace(address).second) return address;
    }
    return std::nullopt;
  }

  void plan_service(const model::Service& service) {
    const std::string revision = revision_of(service);
    std::vector<Placed> current;
    std::vector<Placed> leaving;  // nothing is wrong with them but that their node is drained
    std::vector<Placed> old;
    const auto& out_of_sight = unreadable_[service.name];
    const auto unknown = static_cast<std::uint32_t>(out_of_sight.size());
    plan_.kept.insert(plan_.kept.end(), out_of_sight.begin(), out_of_sight.end());
    for (const Placed& placed : present_[service.name]) {
      const bool fits = placed.revision == revision && placed.alive() && matches_labels(service, placed.node);
      auto& kind = !fits ? old : has_mark(placed.node, model::Mark::draining) ? leaving : current;
      kind.push_back(placed);
    }

    const std::uint32_t wanted = service.replicas > unknown ? service.replicas - unknown : 0;
    keep_or_scale_down(current, wanted);
    const std::uint32_t kept = std::min<std::uint32_t>(wanted, static_cast<std::uint32_t>(current.size()));
    const std::uint32_t missing = wanted - kept;
    const std::uint32_t made = create(service, revision, missing);
    const std::uint32_t stayed = move_away(service, std::move(leaving), made, missing - made);
    retire(service, revision, std::move(old), missing - made - stayed);
  }

  /// Lets instances of drained nodes go as far as new ones take their place, or nobody needs them. Returns how many
  /// stay because `short_by` new ones found no room.
  std::uint32_t move_away(const model::Service& service, std::vector<Placed> leaving, std::uint32_t made,
                          std::uint32_t short_by) {
    std::sort(leaving.begin(), leaving.end(), [this](const Placed& a, const Placed& b) {
      return std::make_tuple(!is_routed(a), a.name) < std::make_tuple(!is_routed(b), b.name);
    });
    std::map<std::string, std::uint32_t> stays;
    std::uint32_t stayed = 0;
    std::uint32_t gone = 0;
    for (Placed& placed : leaving) {
      if (stayed < short_by) {
        ++stayed;
        ++stays[placed.node];
        plan_.kept.push_back(std::move(placed));
        continue;
      }
      plan_.removals.push_back({std::move(placed), gone++ < made ? Cause::node_drained : Cause::scaled_down});
    }
    for (const auto& [node, count] : stays) {
      plan_.left_undone.push_back(service.name + ": " + std::to_string(count) +
                                  (count == 1 ? " instance stays" : " instances stay") + " on " + node + ": " +
                                  shortage_[service.name]);
    }
    some_stay_ = some_stay_ || stayed > 0;
    return stayed;
  }

  [[nodiscard]] bool matches_labels(const model::Service& service, const std::string& node_name) const {
    const model::Node* node = find_node(node_name);
    return node != nullptr &&
           std::all_of(service.node_labels.begin(), service.node_labels.end(), [&](const auto& label) {
             const auto found = node->labels.find(label.first);
             return found != node->labels.end() && found->second == label.second;
           });
  }

  /// Keeps the best `wanted`: those that serve already before those that never did, those of nodes that never were lost
  /// before those of nodes that were, then one from each node in turn.
  void keep_or_scale_down(std::vector<Placed>& current, std::uint32_t wanted) {
    std::sort(current.begin(), current.end(), [](const Placed& a, const Placed& b) {
      return std::tie(a.started_at_s, a.name) < std::tie(b.started_at_s, b.name);
    });
    std::map<std::string, std::uint32_t> kept_on;
    std::vector<Placed> candidates = current;
    for (std::uint32_t kept = 0; kept < wanted && !candidates.empty(); ++kept) {
      const auto best = std::min_element(candidates.begin(), candidates.end(), [&](const Placed& a, const Placed& b) {
        return worth(a, kept_on[a.node]) < worth(b, kept_on[b.node]);
      });
      ++kept_on[best->node];
      count_in_room(*best);
      plan_.kept.push_back(*best);
      candidates.erase(best);
    }
    for (Placed& placed : candidates) {
      const bool returned = has_mark(placed.node, model::Mark::lost);
      plan_.removals.push_back({std::move(placed), returned ? Cause::node_returned : Cause::scaled_down});
    }
  }

  [[nodiscard]] std::tuple<bool, bool, std::uint32_t> worth(const Placed& placed, std::uint32_t kept_there) const {
    return {!is_routed(placed), has_mark(placed.node, model::Mark::lost), kept_there};
  }

  void count_in_room(const Placed& placed) {
    if (const auto found = room_of_.find(placed.node); found != room_of_.end()) {
      ++rooms_[found->second].instances[placed.service];
    }
  }

  /// Returns how many of the `missing` found room.
  std::uint32_t create(const model::Service& service, const std::string& revision, std::uint32_t missing) {
    const schedule::Need need{service.name,
                              service.cpu_millis,
                              service.memory_bytes,
                              service.node_labels,
                              static_cast<std::uint32_t>(service.ports.size()),
                              service.network == runtime::Network::bridge};
    std::uint32_t made = 0;
    for (; made < missing; ++made) {
      const auto placement = schedule::place(need, rooms_);
      if (!placement) break;
      const model::Node& node = *find_node(placement->node);
      block_on_shared_address(node, placement->ports);
      const std::string id = draw_unused_id();
      Making making{service, cluster_.name, operation_, id, placement->ports, {}};
      if (placement->own_address) {
        const auto address = take_address(node, id);
        if (!address) {
          rooms_[room_of_.at(node.name)].addresses = 0;
          break;
        }
        making.address = *address;
        for (const auto& port : service.ports) making.ports.push_back(port.port);
      }
      Creation creation;
      creation.spec = make_spec(making);
      creation.placed.node = node.name;
      creation.placed.name = creation.spec.name;
      creation.placed.service = service.name;
      creation.placed.revision = revision;
      creation.placed.instance = id;
      creation.placed.operation = operation_;
      creation.placed.address = placement->own_address ? making.address : node.address;
      creation.placed.cpu_millis = service.cpu_millis;
      creation.placed.memory_bytes = service.memory_bytes;
      for (std::size_t i = 0; i < service.ports.size(); ++i) {
        creation.placed.ports[service.ports[i].name] = making.ports[i];
      }
      plan_.creations.push_back(std::move(creation));
    }
    if (made < missing) shortage_[service.name] = schedule::explain(need, rooms_);
    return made;
  }

  void block_on_shared_address(const model::Node& node, const std::vector<std::uint16_t>& ports) {
    for (const std::size_t room : sharing_[node.address]) {
      for (const auto port : ports) rooms_[room].ports.take(port);
    }
  }

  std::string draw_unused_id() {
    for (;;) {
      std::string id = draw_id_();
      if (ids_.insert(id).second) return id;
    }
  }

  /// Old instances go when new ones take their place. When `short_by` new ones found no room, as many old ones that
  /// serve stay until a later round, which has the room of those that went.
  void retire(const model::Service& service, const std::string& revision, std::vector<Placed> old,
              std::uint32_t short_by) {
    std::sort(old.begin(), old.end(), [this](const Placed& a, const Placed& b) {
      return std::make_tuple(!(a.alive() && is_routed(a)), a.name) <
             std::make_tuple(!(b.alive() && is_routed(b)), b.name);
    });
    std::uint32_t stay = 0;
    bool frees_room = false;
    for (Placed& placed : old) {
      if (stay < short_by && placed.alive()) {
        ++stay;
        plan_.kept.push_back(std::move(placed));
        continue;
      }
      frees_room = true;
      const Cause cause = !placed.alive()               ? Cause::not_running
                          : placed.revision == revision ? Cause::wrong_node
                                                        : Cause::replaced;
      plan_.removals.push_back({std::move(placed), cause});
    }
    if (short_by == 0) return;
    if (frees_room) {  // so every round but the last removes something, and the rounds come to an end
      plan_.complete = false;
      return;
    }
    auto& told = world_.as_room_allows ? plan_.left_undone : plan_.problems;
    told.push_back("service '" + service.name + "' lacks room for " + std::to_string(short_by) + " of its " +
                   std::to_string(service.replicas) + " instances: " + shortage_[service.name] +
                   ". Add a node, or lower the service's replicas, memory or cpu");
  }

  void remove_orphans() {
    for (const auto& [service, instances] : present_) {
      if (wanted_.contains(service)) continue;
      for (const Placed& placed : instances) plan_.removals.push_back({placed, Cause::service_deleted});
    }
  }

  /// What stays on a drained node for want of room may move once this plan's removals have made some.
  [[nodiscard]] bool another_round_helps() const {
    return some_stay_ && std::any_of(plan_.removals.begin(), plan_.removals.end(), [this](const Removal& removal) {
             const auto room = room_of_.find(removal.placed.node);
             return room != room_of_.end() && rooms_[room->second].closed.empty();
           });
  }

  void finish() {
    if (another_round_helps()) plan_.complete = false;
    const auto by_name = [](const auto& a, const auto& b) { return a.placed.name < b.placed.name; };
    std::sort(plan_.creations.begin(), plan_.creations.end(), by_name);
    std::sort(plan_.removals.begin(), plan_.removals.end(), by_name);
    std::sort(plan_.kept.begin(), plan_.kept.end(), [](const Placed& a, const Placed& b) { return a.name < b.name; });
    std::vector<Placed> routed = plan_.kept;
    for (const Creation& creation : plan_.creations) routed.push_back(creation.placed);
    plan_.state = routing_state(cluster_, services_, routed);
    // A cluster that never had anything and wants nothing needs no first version.
    plan_.state_changes = world_.latest ? differs(*world_.latest, plan_.state) : !services_.empty();
    warn_of_left_members();
    for (const Creation& creation : plan_.creations) {
      if (creation.spec.name.size() > 63) {
        plan_.problems.push_back("the instance name '" + creation.spec.name +
                                 "' is longer than 63 characters; shorten the cluster's or the service's name");
      }
    }
  }

  /// Taking a member out of k4t.toml declares it gone; if it is not, it goes on as before.
  void warn_of_left_members() {
    if (!world_.latest) return;
    const auto warn = [this](const char* kind, const std::vector<std::string>& before,
                             const std::vector<std::string>& after) {
      for (const auto& name : before) {
        if (std::find(after.begin(), after.end(), name) != after.end()) continue;
        plan_.warnings.push_back(std::string(kind) + " '" + name +
                                 "' is not in k4t.toml any more and is left as it is: switch it off, for it still "
                                 "serves the version that it was last given");
      }
    };
    warn("gateway", world_.latest->gateway_members, plan_.state.gateway_members);
    warn("dns server", world_.latest->dns_members, plan_.state.dns_members);
  }

  const model::Cluster& cluster_;
  const std::vector<model::Service>& services_;
  const World& world_;
  const std::string& operation_;
  const DrawId& draw_id_;
  Plan plan_;
  std::map<std::string, const model::Node*> nodes_;
  std::map<std::string, const model::Service*> wanted_;
  std::map<std::string, std::vector<Placed>> present_;     ///< by service
  std::map<std::string, std::vector<Placed>> unreadable_;  ///< by service
  Routes routed_;
  std::map<std::string, std::set<std::uint16_t>> occupied_;  ///< ports by address
  std::vector<schedule::Room> rooms_;
  std::map<std::string, std::size_t> room_of_;               ///< by node
  std::map<std::string, std::vector<std::size_t>> sharing_;  ///< rooms by address
  std::map<std::string, std::string> shortage_;
  std::map<std::string, model::Mark> marks_;  ///< by node
  bool some_stay_ = false;                    ///< on drained nodes
  std::set<std::string> ids_;                 ///< of instances that are there or about to be
};

}  // namespace

Plan make_plan(const model::Cluster& cluster, const std::vector<model::Service>& services, const World& world,
               const std::string& operation, const DrawId& draw_id) {
  return Planner(cluster, services, world, operation, draw_id).make();
}

std::string subnet_problem(const model::Node& node, const runtime::NodeInfo& info) {
  const auto wanted = model::Subnet::parse(node.subnet);
  const bool given = std::any_of(info.subnets.begin(), info.subnets.end(), [&](const std::string& text) {
    const auto block = model::Subnet::parse(text);
    return wanted && block && wanted->is_within(*block);
  });
  if (!wanted || given) return {};
  return "its runtime has no network with the addresses of its subnet " + node.subnet;
}

std::uint32_t scaled_down_percent(const Plan& plan) {
  const std::size_t before = plan.removals.size() + plan.kept.size();
  const auto scaled = std::count_if(plan.removals.begin(), plan.removals.end(),
                                    [](const Removal& removal) { return removal.cause == Cause::scaled_down; });
  return before == 0 ? 0 : static_cast<std::uint32_t>(static_cast<std::size_t>(scaled) * 100 / before);
}

}  // namespace k4t::plan
