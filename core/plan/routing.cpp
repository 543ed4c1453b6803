#include "plan/routing.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <tuple>

namespace k4t::plan {
namespace {

template <class T>
void sort_unique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

template <class Things>
std::vector<std::string> names_of(const Things& things) {
  std::vector<std::string> names;
  for (const auto& thing : things) names.push_back(thing.name);
  sort_unique(names);
  return names;
}

bool is_ipv6(const std::string& address) { return address.find(':') != std::string::npos; }

/// Gathers records by name and type, then sorts them.
class RecordSets {
 public:
  explicit RecordSets(std::uint32_t ttl_s) : ttl_s_(ttl_s) {}

  void add(const std::string& name, dns::Type type, const std::string& value) { sets_[{name, type}].push_back(value); }
  void add_address(const std::string& name, const std::string& address) {
    add(name, is_ipv6(address) ? dns::Type::aaaa : dns::Type::a, address);
  }

  [[nodiscard]] std::vector<dns::RecordSet> take() {
    std::vector<dns::RecordSet> records;
    for (auto& [key, values] : sets_) {
      sort_unique(values);
      records.push_back({key.first, key.second, ttl_s_, std::move(values)});
    }
    return records;
  }

 private:
  std::uint32_t ttl_s_;
  std::map<std::pair<std::string, dns::Type>, std::vector<std::string>> sets_;
};

class Builder {
 public:
  Builder(const model::Cluster& cluster, const std::vector<Placed>& routed)
      : cluster_(cluster), records_(cluster.dns_ttl_s) {
    for (const Placed& placed : routed) routed_[placed.service].push_back(&placed);
  }

  void add(const model::Service& service) {
    if (model::reach_of(cluster_, service) == model::Reach::gateways) {
      for (const model::Expose& expose : service.expose) add_exposed(service, expose);
      if (!service.expose.empty()) add_gateway_addresses(service);
    } else if (!service.ports.empty()) {
      for (const Placed* placed : worth_naming(routed_of(service))) add_instance(service, *placed);
    }
    for (const std::string& text : service.txt) records_.add(name_of(service), dns::Type::txt, text);
  }

  model::State take() {
    model::State state;
    for (auto& [port, listener] : listeners_) {
      std::sort(listener.routes.begin(), listener.routes.end());
      state.gateways.listeners.push_back(std::move(listener));
    }
    for (auto& [name, backend] : backends_) state.gateways.backends.push_back(std::move(backend));
    state.dns = {cluster_.domain, records_.take()};
    state.gateway_members = names_of(cluster_.gateways);
    state.dns_members = names_of(cluster_.dns);
    state.witnesses = cluster_.witnesses;
    std::sort(state.witnesses.begin(), state.witnesses.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    return state;
  }

 private:
  std::string name_of(const model::Service& service) const { return service.name + '.' + cluster_.domain; }

  [[nodiscard]] const std::vector<const Placed*>& routed_of(const model::Service& service) const {
    static const std::vector<const Placed*> none;
    const auto found = routed_.find(service.name);
    return found == routed_.end() ? none : found->second;
  }

  std::vector<gateway::Endpoint> endpoints_of(const model::Service& service, const std::string& port) const {
    std::vector<gateway::Endpoint> endpoints;
    for (const Placed* placed : routed_of(service)) {
      if (const auto endpoint = placed->endpoint(port)) endpoints.push_back(*endpoint);
    }
    sort_unique(endpoints);
    return endpoints;
  }

  /// One backend per (service, port, listener); a second route that wants it otherwise gets one of its own.
  std::string backend_for(const model::Service& service, const model::Expose& expose) {
    gateway::Backend backend;
    backend.protocol = expose.protocol;
    backend.balance = expose.balance;
    backend.endpoints = endpoints_of(service, expose.port);
    if (service.health && service.health->port == expose.port) backend.health = service.health->check;
    backend.connect_timeout_ms = expose.connect_timeout_ms;
    backend.idle_timeout_ms = expose.idle_timeout_ms;
    const std::string stem = service.name + '-' + expose.port + '-' + std::to_string(expose.listen);
    for (int number = 1;; ++number) {
      backend.name = number == 1 ? stem : stem + '-' + std::to_string(number);
      const auto [same, is_new] = backends_.try_emplace(backend.name, backend);
      if (is_new || same->second == backend) return backend.name;
    }
  }

  void add_exposed(const model::Service& service, const model::Expose& expose) {
    add_srv(service, expose.port, expose.listen, name_of(service));
    gateway::Listener& listener = listeners_[expose.listen];
    listener.port = expose.listen;
    listener.protocol = expose.protocol;
    if (expose.protocol == gateway::Protocol::tcp) {
      listener.backend = backend_for(service, expose);
      listener.rate_limit = expose.rate_limit;
      listener.connection_limit = expose.connection_limit;
      return;
    }
    gateway::Route route;
    if (expose.host.empty()) {
      route.host = name_of(service);
    } else if (expose.host != "*") {
      route.host = expose.host;
    }
    route.path = expose.path;
    route.backend = backend_for(service, expose);
    route.rate_limit = expose.rate_limit;
    route.connection_limit = expose.connection_limit;
    listener.routes.push_back(std::move(route));
  }

  void add_srv(const model::Service& service, const std::string& port, std::uint16_t number,
               const std::string& target) {
    records_.add('_' + port + "._tcp." + name_of(service), dns::Type::srv,
                 "0 0 " + std::to_string(number) + ' ' + target);
  }

  /// No gateway stands before them that would pass over one that is unhealthy. Where all are, the check may be what is
  /// wrong, and a name that leads nowhere helps nobody.
  static std::vector<const Placed*> worth_naming(const std::vector<const Placed*>& routed) {
    std::vector<const Placed*> healthy;
    std::copy_if(routed.begin(), routed.end(), std::back_inserter(healthy),
                 [](const Placed* placed) { return placed->health != runtime::Health::unhealthy; });
    return healthy.empty() ? routed : healthy;
  }

  void add_gateway_addresses(const model::Service& service) {
    for (const model::Driven& gateway : cluster_.gateways) records_.add_address(name_of(service), gateway.address);
  }

  void add_instance(const model::Service& service, const Placed& placed) {
    const auto node = std::find_if(cluster_.nodes.begin(), cluster_.nodes.end(),
                                   [&](const model::Node& one) { return one.name == placed.node; });
    // An address of its own is nobody else's business.
    const bool behind =
        node != cluster_.nodes.end() && !node->public_address.empty() && placed.address == node->address;
    const std::string& address = behind ? node->public_address : placed.address;
    const std::string own_name = placed.instance + '.' + name_of(service);
    records_.add_address(name_of(service), address);
    records_.add_address(own_name, address);
    for (const auto& [port, number] : placed.ports) {
      add_srv(service, port, behind ? node->public_port(number) : number, own_name);
    }
  }

  const model::Cluster& cluster_;
  std::map<std::string, std::vector<const Placed*>> routed_;  ///< by service
  RecordSets records_;
  std::map<std::uint16_t, gateway::Listener> listeners_;
  std::map<std::string, gateway::Backend> backends_;  ///< by name
};

std::string route_line(const gateway::Listener& listener, const gateway::Route& route) {
  return "http :" + std::to_string(listener.port) + ' ' + (route.host.empty() ? "*" : route.host) + route.path + " → " +
         route.backend;
}

/// Everything that differs between two states as sorted lines; what stands in one set only has changed.
std::set<std::string> lines_of(const model::State& state) {
  std::set<std::string> lines;
  for (const auto& listener : state.gateways.listeners) {
    if (listener.protocol == gateway::Protocol::tcp) {
      lines.insert("tcp  :" + std::to_string(listener.port) + " → " + listener.backend);
    }
    for (const auto& route : listener.routes) lines.insert(route_line(listener, route));
  }
  for (const auto& backend : state.gateways.backends) {
    for (const auto& endpoint : backend.endpoints) {
      lines.insert("endpoint " + backend.name + ' ' + endpoint.address + ':' + std::to_string(endpoint.port));
    }
  }
  for (const auto& set : state.dns.records) {
    for (const auto& value : set.values) {
      lines.insert("dns  " + set.name + ' ' + std::to_string(set.ttl_s) + ' ' + std::string(to_string(set.type)) + ' ' +
                   value);
    }
  }
  for (const auto& member : state.gateway_members) lines.insert("gateway " + member);
  for (const auto& member : state.dns_members) lines.insert("dns server " + member);
  for (const auto& witness : state.witnesses) {
    lines.insert("witness " + witness.id + " on " + model::place_of(witness));
  }
  return lines;
}

/// Where SRV records of instances lead, through the addresses of their targets. Those of services that gateways serve
/// have the service's own name as their target.
std::vector<gateway::Endpoint> named_endpoints(const dns::State& state) {
  std::multimap<std::string, std::string> addresses;
  for (const auto& set : state.records) {
    if (set.type != dns::Type::a && set.type != dns::Type::aaaa) continue;
    for (const auto& value : set.values) addresses.emplace(set.name, value);
  }
  std::vector<gateway::Endpoint> endpoints;
  for (const auto& set : state.records) {
    if (set.type != dns::Type::srv) continue;
    for (const auto& value : set.values) {
      std::istringstream text(value);
      std::uint16_t priority = 0;
      std::uint16_t weight = 0;
      std::uint16_t port = 0;
      std::string target;
      if (!(text >> priority >> weight >> port >> target) || set.name.ends_with("._tcp." + target)) continue;
      const auto [first, last] = addresses.equal_range(target);
      for (auto at = first; at != last; ++at) endpoints.push_back({at->second, port});
    }
  }
  return endpoints;
}

/// The name without the domain and the dot before it; empty: it is not below the domain.
std::string below(const std::string& domain, const std::string& name) {
  return name.ends_with('.' + domain) ? name.substr(0, name.size() - domain.size() - 1) : std::string();
}

}  // namespace

model::State routing_state(const model::Cluster& cluster, const std::vector<model::Service>& services,
                           const std::vector<Placed>& routed) {
  Builder builder(cluster, routed);
  for (const model::Service& service : services) builder.add(service);
  return builder.take();
}

void Routes::add(const model::State& state) {
  for (const auto& backend : state.gateways.backends) {
    endpoints_.insert(backend.endpoints.begin(), backend.endpoints.end());
  }
  const auto named = named_endpoints(state.dns);
  endpoints_.insert(named.begin(), named.end());
  for (const auto& set : state.dns.records) {
    const bool leads = set.type == dns::Type::a || set.type == dns::Type::aaaa;
    if (leads) names_.insert(below(state.dns.suffix, set.name));
    ttl_s_ = std::max(ttl_s_, set.ttl_s);
  }
}

bool Routes::name(const Placed& placed) const { return names_.contains(placed.instance + '.' + placed.service); }

bool Routes::lead_to(const Placed& placed) const {
  const auto all = placed.endpoints();
  const auto routed = [this](const gateway::Endpoint& endpoint) { return endpoints_.contains(endpoint); };
  return name(placed) || std::any_of(all.begin(), all.end(), routed);
}

std::vector<std::string> needed_capabilities(const gateway::State& state) {
  namespace feature = gateway::capability;
  std::set<std::string> needed;
  for (const auto& listener : state.listeners) {
    needed.insert(listener.protocol == gateway::Protocol::http ? feature::http : feature::tcp);
    if (listener.rate_limit) needed.insert(feature::rate_limit_tcp);
    if (listener.connection_limit) needed.insert(feature::connection_limit);
    for (const auto& route : listener.routes) {
      if (route.rate_limit) needed.insert(feature::rate_limit);
      if (route.connection_limit) needed.insert(feature::connection_limit);
    }
  }
  for (const auto& backend : state.backends) {
    needed.insert("balance." + std::string(to_string(backend.balance)));
    if (backend.health) needed.insert(feature::health_active);
  }
  return {needed.begin(), needed.end()};
}

std::vector<std::string> describe_difference(const model::State& before, const model::State& after) {
  const auto old_lines = lines_of(before);
  const auto new_lines = lines_of(after);
  std::vector<std::string> difference;
  for (const auto& line : old_lines) {
    if (!new_lines.contains(line)) difference.push_back("- " + line);
  }
  for (const auto& line : new_lines) {
    if (!old_lines.contains(line)) difference.push_back("+ " + line);
  }
  if (difference.empty() && !(before == after))
    difference.emplace_back("~ settings of routes, limits or health checks");
  return difference;
}

}  // namespace k4t::plan
