#include "plan/adoption.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <tuple>

#include "model/subnet.hpp"
#include "plan/routing.hpp"

namespace k4t::plan {
namespace {

using model::Expose;
using model::Reach;
using model::Service;

/// An instance with the declaration that it was made from.
struct Candidate {
  Placed placed;
  Service declared;
};

bool is_newer(const Candidate& a, const Candidate& b) {
  return std::tie(a.placed.started_at_s, a.placed.name) > std::tie(b.placed.started_at_s, b.placed.name);
}

/// What its label says, if that fits its other labels.
Result<Service> declaration_of(const Placed& placed, const runtime::Instance& instance) {
  const auto label = instance.labels.find(runtime::label::declaration);
  const std::string text = label == instance.labels.end() ? std::string() : label->second;
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  auto service =
      json.is_discarded() ? Result<Service>(Error{Status::invalid_argument, "not JSON", {}}) : decode<Service>(json);
  if (service && service->name == placed.service && revision_of(*service) == placed.revision) return service;
  return Error{Status::invalid_argument,
               "instance '" + placed.name + "' on node '" + placed.node +
                   "' does not say what it was made from: its label k4t.declaration " +
                   (service ? "is of another service or revision" : "is missing or malformed"),
               {}};
}

template <class T>
std::vector<T> sorted_unique(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

/// What the decided state shows of one service: the inverse of routing_state.
struct Shown {
  std::vector<Expose> expose;
  std::map<std::string, std::optional<gateway::Health>> checks;  ///< by exposed port
  std::optional<Reach> reach;                                    ///< absent: it cannot be told
  std::vector<std::string> txt;
  std::size_t instances = 0;
};

class StateReader {
 public:
  StateReader(const model::State& state, const std::map<std::string, Service>& declared,
              const std::map<std::string, std::set<gateway::Endpoint>>& endpoints)
      : state_(state), declared_(declared), endpoints_(endpoints) {
    for (const auto& backend : state.gateways.backends) backends_[backend.name] = &backend;
    for (const auto& set : state.dns.records) sets_[{set.name, set.type}] = &set;
    for (const auto& [name, service] : declared) read_names(name, service);
    for (const auto& listener : state.gateways.listeners) read_listener(listener);
  }

  const Shown& of(const std::string& service) { return shown_[service]; }

 private:
  [[nodiscard]] std::string name_of(const std::string& service) const { return service + '.' + state_.dns.suffix; }

  [[nodiscard]] const dns::RecordSet* set_of(const std::string& name, dns::Type type) const {
    const auto found = sets_.find({name, type});
    return found == sets_.end() ? nullptr : found->second;
  }

  void read_names(const std::string& name, const Service& service) {
    Shown& shown = shown_[name];
    if (const auto* txt = set_of(name_of(name), dns::Type::txt)) shown.txt = txt->values;
    // Names one level below the service's own are instances'; those of ports have two.
    const std::string below = '.' + name_of(name);
    std::set<std::string> instances;
    for (const auto& set : state_.dns.records) {
      const bool leads = set.type == dns::Type::a || set.type == dns::Type::aaaa;
      if (!leads || !set.name.ends_with(below)) continue;
      const std::string head = set.name.substr(0, set.name.size() - below.size());
      if (head.find('.') == std::string::npos) instances.insert(head);
    }
    shown.instances = instances.size();
    if (!instances.empty()) shown.reach = Reach::instances;
    for (const auto& port : service.ports) {
      if (!listens_of(name, port.name).empty()) shown.reach = Reach::gateways;
    }
  }

  /// The gateways' ports that DNS names for a port of the service.
  [[nodiscard]] std::set<std::uint16_t> listens_of(const std::string& service, const std::string& port) const {
    std::set<std::uint16_t> listens;
    const auto* set = set_of('_' + port + "._tcp." + name_of(service), dns::Type::srv);
    if (set == nullptr) return listens;
    for (const auto& value : set->values) {
      std::istringstream text(value);
      std::uint16_t priority = 0;
      std::uint16_t weight = 0;
      std::uint16_t listen = 0;
      std::string target;
      if (text >> priority >> weight >> listen >> target && target == name_of(service)) listens.insert(listen);
    }
    return listens;
  }

  void read_listener(const gateway::Listener& listener) {
    Expose expose;
    expose.listen = listener.port;
    expose.protocol = listener.protocol;
    if (listener.protocol == gateway::Protocol::tcp) {
      expose.rate_limit = listener.rate_limit;
      expose.connection_limit = listener.connection_limit;
      return read_backend(listener.backend, expose);
    }
    for (const auto& route : listener.routes) {
      expose.host = route.host.empty() ? "*" : route.host;
      expose.path = route.path;
      expose.rate_limit = route.rate_limit;
      expose.connection_limit = route.connection_limit;
      read_backend(route.backend, expose);
    }
  }

  void read_backend(const std::string& name, Expose expose) {
    const auto found = backends_.find(name);
    if (found == backends_.end()) return;
    const gateway::Backend& backend = *found->second;
    const auto owner = owner_of(backend, expose.listen);
    if (!owner) return;
    Shown& shown = shown_[owner->first];
    expose.port = owner->second;
    if (expose.host == name_of(owner->first)) expose.host.clear();
    expose.balance = backend.balance;
    expose.connect_timeout_ms = backend.connect_timeout_ms;
    expose.idle_timeout_ms = backend.idle_timeout_ms;
    shown.checks[expose.port] = backend.health;
    shown.expose.push_back(std::move(expose));
    shown.instances = std::max(shown.instances, backend.endpoints.size());
  }

  /// The service and the port behind a backend. Its name says both, but "a-b-c-80" may be a's port "b-c" or a-b's "c":
  /// then its endpoints decide.
  [[nodiscard]] std::optional<std::pair<std::string, std::string>> owner_of(const gateway::Backend& backend,
                                                                            std::uint16_t listen) const {
    std::optional<std::pair<std::string, std::string>> owner;
    for (const auto& [name, service] : declared_) {
      for (const auto& port : service.ports) {
        if (!is_named_after(backend.name, name + '-' + port.name + '-' + std::to_string(listen))) continue;
        if (!listens_of(name, port.name).contains(listen)) continue;
        if (!owner || holds_any(name, backend.endpoints)) owner = {name, port.name};
      }
    }
    return owner;
  }

  /// The stem itself, or the stem and a number.
  static bool is_named_after(const std::string& name, const std::string& stem) {
    if (!name.starts_with(stem)) return false;
    if (name.size() == stem.size()) return true;
    return name[stem.size()] == '-' && name.find_first_not_of("0123456789", stem.size() + 1) == std::string::npos;
  }

  [[nodiscard]] bool holds_any(const std::string& service, const std::vector<gateway::Endpoint>& endpoints) const {
    const auto own = endpoints_.find(service);
    return own != endpoints_.end() &&
           std::any_of(endpoints.begin(), endpoints.end(), [&](const auto& one) { return own->second.contains(one); });
  }

  const model::State& state_;
  const std::map<std::string, Service>& declared_;
  const std::map<std::string, std::set<gateway::Endpoint>>& endpoints_;
  std::map<std::string, const gateway::Backend*> backends_;
  std::map<std::pair<std::string, dns::Type>, const dns::RecordSet*> sets_;
  std::map<std::string, Shown> shown_;
};

/// As the gateways show it: what a label says in other words is the same.
Expose as_shown(Expose expose, const std::string& own_name) {
  if (expose.protocol == gateway::Protocol::tcp) {
    expose.host.clear();
    expose.path = Expose{}.path;
  } else if (expose.host == own_name) {
    expose.host.clear();
  }
  return expose;
}

/// Those of the label that are still there come first, in the user's words and order.
std::vector<Expose> merge_exposes(const std::vector<Expose>& declared, std::vector<Expose> shown,
                                  const std::string& own_name) {
  for (Expose& expose : shown) expose = as_shown(std::move(expose), own_name);
  std::vector<Expose> all;
  for (const Expose& expose : declared) {
    const auto found = std::find(shown.begin(), shown.end(), as_shown(expose, own_name));
    if (found == shown.end()) continue;
    all.push_back(expose);
    shown.erase(found);
  }
  all.insert(all.end(), shown.begin(), shown.end());
  return all;
}

class Adopter {
 public:
  Adopter(const model::Cluster& cluster, const std::vector<NodeView>& nodes, const std::optional<model::State>& latest,
          const std::vector<Service>& known)
      : cluster_(cluster), nodes_(nodes), latest_(latest.value_or(model::State{})), known_(known) {
    latest_.dns.suffix = cluster.domain;  // also where nothing was ever decided
    routed_.add(latest_);
  }

  Adoption take() {
    for (const NodeView& view : nodes_) read_node(view);
    for (auto& [name, candidates] : present_) choose(name, candidates);
    read_state();
    merge();
    compare();
    return std::move(adoption_);
  }

 private:
  void read_node(const NodeView& view) {
    if (view.problem) {
      adoption_.unread.push_back("node '" + view.name + "' cannot be read: " + view.problem->message);
      return;
    }
    const auto node = std::find_if(cluster_.nodes.begin(), cluster_.nodes.end(),
                                   [&](const model::Node& one) { return one.name == view.name; });
    if (node == cluster_.nodes.end()) return;
    for (const runtime::Instance& instance : view.instances) {
      auto placed = read_labels(view.name, node->address, instance);
      auto declared = placed ? declaration_of(*placed, instance) : Result<Service>(placed.error());
      if (!declared) {
        adoption_.odd.push_back(declared.error().message);
        continue;
      }
      const auto endpoints = placed->endpoints();
      endpoints_[placed->service].insert(endpoints.begin(), endpoints.end());
      auto& present = present_[placed->service];
      present.push_back({*std::move(placed), *std::move(declared)});
    }
  }

  /// Of several revisions the newest counts that traffic is sent to: once that is decided, its change is to be
  /// finished. Where no traffic is sent, the newest that is complete, because only a complete one replaces another.
  void choose(const std::string& name, std::vector<Candidate>& candidates) {
    std::sort(candidates.begin(), candidates.end(), is_newer);
    std::map<std::string, std::uint32_t> alive;
    for (const Candidate& one : candidates) alive[one.placed.revision] += one.placed.alive() ? 1 : 0;
    const auto serves = [&](const Candidate& one) { return routed_.lead_to(one.placed); };
    const auto complete = [&](const Candidate& one) { return alive[one.placed.revision] >= one.declared.replicas; };
    auto chosen = std::find_if(candidates.begin(), candidates.end(), serves);
    if (chosen == candidates.end()) chosen = std::find_if(candidates.begin(), candidates.end(), complete);
    if (chosen == candidates.end()) chosen = std::prev(candidates.end());
    Adopted adopted;
    const auto known = std::find_if(known_.begin(), known_.end(), [&](const Service& one) {
      return one.name == name && revision_of(one) == chosen->placed.revision;
    });
    adopted.service = known == known_.end() ? chosen->declared : *known;
    adopted.told_by = chosen->placed.node + '/' + chosen->placed.name;
    for (const Candidate& one : candidates) {
      if (one.placed.revision == chosen->placed.revision) adopted.instances.push_back(one.placed);
    }
    if (alive.size() > 1) {
      adopted.doubt = "runs in " + std::to_string(alive.size()) + " revisions; " + chosen->placed.revision +
                      (serves(*chosen) ? " is the newest that is served" : " is the newest that is complete");
    }
    adopted.service.replicas = static_cast<std::uint32_t>(std::count_if(
        adopted.instances.begin(), adopted.instances.end(), [](const Placed& one) { return one.alive(); }));
    declared_[name] = adopted.service;
    adoption_.services.push_back(std::move(adopted));
  }

  /// The decided state's word counts for everything that it shows.
  void read_state() {
    StateReader reader(latest_, declared_, endpoints_);
    std::erase_if(adoption_.services, [&](const Adopted& adopted) {
      const Shown& shown = reader.of(adopted.service.name);
      return is_out_of_sight(adopted, shown) || is_gone(adopted, shown);
    });
    for (Adopted& adopted : adoption_.services) {
      const Shown& shown = reader.of(adopted.service.name);
      Service& service = adopted.service;
      if (shown.instances > 0) service.replicas = static_cast<std::uint32_t>(shown.instances);
      if (sorted_unique(service.txt) != shown.txt) service.txt = shown.txt;
      // Instances with ports that DNS does not name are reached through gateways, or not at all.
      const Reach reach =
          shown.reach.value_or(service.ports.empty() ? model::reach_of(cluster_, service) : Reach::gateways);
      if (reach != model::reach_of(cluster_, service)) service.reach = reach;
      if (reach == Reach::gateways) read_gateways(shown, adopted);
    }
  }

  /// Whether what serves is on nodes that cannot be read, so that what is seen is of another revision, perhaps a former
  /// one. Then a copy knows better, or nobody.
  bool is_out_of_sight(const Adopted& adopted, const Shown& shown) {
    const bool serves = std::any_of(adopted.instances.begin(), adopted.instances.end(),
                                    [&](const Placed& placed) { return routed_.lead_to(placed); });
    if (adoption_.unread.empty() || serves || shown.instances == 0) return false;
    const std::string& name = adopted.service.name;
    const bool known =
        std::any_of(known_.begin(), known_.end(), [&](const Service& service) { return service.name == name; });
    if (!known) adoption_.unexplained.push_back("service " + name + ", by instances that are not seen");
    return true;
  }

  /// What has ended, and nobody is led to, is what is left of a service that was deleted, or that never came to be.
  static bool is_gone(const Adopted& adopted, const Shown& shown) {
    return adopted.service.replicas == 0 && shown.instances == 0 && shown.expose.empty() && shown.txt.empty();
  }

  void read_gateways(const Shown& shown, Adopted& adopted) const {
    Service& service = adopted.service;
    if (!service.expose.empty() && shown.expose.empty()) {
      adopted.doubt += (adopted.doubt.empty() ? "" : "; ") + std::string("was made to be exposed, and is not");
    }
    service.expose = merge_exposes(service.expose, shown.expose, service.name + '.' + latest_.dns.suffix);
    if (service.health) {
      const auto seen = shown.checks.find(service.health->port);
      if (seen != shown.checks.end() && !seen->second) service.health.reset();
    }
    for (const auto& [port, check] : shown.checks) {
      if (!check) continue;
      if (!service.health) service.health.emplace();
      service.health->port = port;
      service.health->check = *check;
    }
  }

  void merge() {
    std::map<std::string, Service> all;
    for (const Service& service : known_) all[service.name] = service;
    for (const Adopted& adopted : adoption_.services) all[adopted.service.name] = adopted.service;
    for (auto& [name, service] : all) adoption_.declared.push_back(std::move(service));
  }

  /// What is served and would be served no longer comes from something that was not seen.
  void compare() {
    std::vector<Placed> served;
    for (const auto& [name, candidates] : present_) {
      for (const Candidate& one : candidates) {
        if (!routed_.lead_to(one.placed)) continue;
        served.push_back(one.placed);
        served.back().health = runtime::Health::none;  // what is unhealthy now was named all the same
      }
    }
    model::State after;
    const auto routing = routing_state(cluster_, adoption_.declared, served);
    after.gateways = routing.gateways;
    after.dns = routing.dns;
    const model::State before = without_explained(after);
    for (const auto& line : describe_difference(before, after)) {
      if (line.starts_with("- ")) adoption_.unexplained.push_back(line.substr(2));
    }
  }

  /// The decided state without what leads to a node that cannot be read, and, of services that are declared, to any
  /// node of the cluster: an instance that is gone is still wanted.
  [[nodiscard]] model::State without_explained(const model::State& after) const {
    std::set<std::string> backends;
    for (const auto& backend : after.gateways.backends) backends.insert(backend.name);
    model::State state;
    state.gateways = latest_.gateways;
    state.dns = latest_.dns;
    for (auto& backend : state.gateways.backends) {
      const bool declared = backends.contains(backend.name);
      std::erase_if(backend.endpoints, [&](const auto& one) { return is_explained(one.address, declared); });
    }
    std::set<std::string> names;  // of instances there
    for (auto& set : state.dns.records) {
      if (set.type != dns::Type::a && set.type != dns::Type::aaaa) continue;
      const bool declared = leads_to_instances(set.name);
      if (std::erase_if(set.values, [&](const auto& value) { return is_explained(value, declared); }) > 0) {
        names.insert(set.name);
      }
    }
    for (auto& set : state.dns.records) {
      if (set.type != dns::Type::srv) continue;
      std::erase_if(set.values,
                    [&](const std::string& value) { return names.contains(value.substr(value.rfind(' ') + 1)); });
    }
    std::erase_if(state.dns.records, [](const auto& set) { return set.values.empty(); });
    return state;
  }

  /// Whether the name is that of a declared service, or of an instance of it, to which DNS leads clients.
  [[nodiscard]] bool leads_to_instances(const std::string& name) const {
    return std::any_of(adoption_.declared.begin(), adoption_.declared.end(), [&](const Service& service) {
      const std::string own = service.name + '.' + latest_.dns.suffix;
      return model::reach_of(cluster_, service) == Reach::instances && (name == own || name.ends_with('.' + own));
    });
  }

  [[nodiscard]] bool is_explained(const std::string& address, bool declared) const {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](const NodeView& view) {
      const auto node = std::find_if(cluster_.nodes.begin(), cluster_.nodes.end(),
                                     [&](const model::Node& one) { return one.name == view.name; });
      if ((!view.problem && !declared) || node == cluster_.nodes.end()) return false;
      const auto subnet = model::Subnet::parse(node->subnet);
      return address == node->address || address == node->public_address || (subnet && subnet->contains(address));
    });
  }

  const model::Cluster& cluster_;
  const std::vector<NodeView>& nodes_;
  model::State latest_;
  const std::vector<Service>& known_;
  Routes routed_;
  std::map<std::string, std::vector<Candidate>> present_;         ///< by service
  std::map<std::string, std::set<gateway::Endpoint>> endpoints_;  ///< by service
  std::map<std::string, Service> declared_;                       ///< by name
  Adoption adoption_;
};

}  // namespace

Adoption adopt(const model::Cluster& cluster, const std::vector<NodeView>& nodes,
               const std::optional<model::State>& latest, const std::vector<model::Service>& known) {
  return Adopter(cluster, nodes, latest, known).take();
}

}  // namespace k4t::plan
