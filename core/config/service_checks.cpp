#include <map>
#include <tuple>

#include "config/service_file.hpp"

namespace k4t::config {
namespace {

std::string place_text(const Report& report, const Value& value) {
  return visible(report.file()) + ':' + std::to_string(value.at.line) + ':' + std::to_string(value.at.column);
}

/// The gateways' listeners as all services together ask for them.
class Listeners {
 public:
  explicit Listeners(std::string domain) : domain_(std::move(domain)) {}

  void add(const Declared& declared, const model::Expose& expose, const Value& table) {
    const Value& listen = part(table, "listen");
    const auto [found, is_new] = ports_.emplace(expose.listen, Port{expose.protocol, &declared, &listen});
    const Port& earlier = found->second;
    const std::string at = place_text(*earlier.declared->report, *earlier.value);
    const std::string port = "port " + std::to_string(expose.listen);
    if (!is_new && earlier.protocol != expose.protocol) {
      declared.report->error(listen, id::listeners_overlap,
                             port + " already listens for " + std::string(to_string(earlier.protocol)) + " at " + at,
                             "use another 'listen' port: one port speaks one protocol");
    } else if (!is_new && expose.protocol == gateway::Protocol::tcp) {
      declared.report->error(
          listen, id::listeners_overlap,
          port + " already belongs to service " + in_quotes(earlier.declared->service.name) + " at " + at,
          "use another 'listen' port: a tcp port belongs to one service");
    } else if (expose.protocol == gateway::Protocol::http) {
      add_route(declared, expose, table);
    }
  }

 private:
  struct Port {
    gateway::Protocol protocol;
    const Declared* declared;
    const Value* value;
  };

  void add_route(const Declared& declared, const model::Expose& expose, const Value& table) {
    const std::string host = expose.host.empty() ? declared.service.name + '.' + domain_ : expose.host;
    const auto [found, is_new] =
        routes_.emplace(std::tuple(expose.listen, host, expose.path), Port{expose.protocol, &declared, &table});
    if (is_new) return;
    const Port& earlier = found->second;
    declared.report->error(table, id::listeners_overlap,
                           "requests to host " + in_quotes(host) + " and path " + in_quotes(expose.path) + " on port " +
                               std::to_string(expose.listen) + " already go to service " +
                               in_quotes(earlier.declared->service.name) + ", see " +
                               place_text(*earlier.declared->report, *earlier.value),
                           "give one of them another 'host', 'path' or 'listen'");
  }

  std::string domain_;
  std::map<std::uint16_t, Port> ports_;
  std::map<std::tuple<std::uint16_t, std::string, std::string>, Port> routes_;
};

void check_names(const std::vector<Declared>& services) {
  std::map<std::string, const Declared*> first;
  for (const auto& declared : services) {
    const Value& name = part(*declared.value, "name");
    if (declared.service.name.empty()) continue;
    const auto [earlier, is_new] = first.emplace(declared.service.name, &declared);
    if (is_new) continue;
    declared.report->error(name, id::name_used_twice,
                           "service " + in_quotes(declared.service.name) + " is already declared at " +
                               place_text(*earlier->second->report, part(*earlier->second->value, "name")),
                           "give each its own 'name'");
  }
}

void check_listeners(const std::vector<Declared>& services, const model::Cluster& cluster) {
  Listeners listeners(cluster.domain);
  for (const auto& declared : services) {
    if (model::reach_of(cluster, declared.service) == model::Reach::instances) continue;
    for (std::size_t i = 0; i < declared.service.expose.size(); ++i) {
      const Value& table = declared.value->find("expose")->items[i];
      if (declared.report->sound(table)) listeners.add(declared, declared.service.expose[i], table);
    }
  }
}

/// BIND serves at most 100 records of one name and type.
constexpr std::uint32_t named_instances_limit = 90;

void check_reach(const Declared& declared, const model::Cluster& cluster) {
  const model::Service& service = declared.service;
  const Value* reach = declared.value->find("reach");
  if (service.reach == model::Reach::gateways && cluster.gateways.empty() && reach != nullptr) {
    declared.report->error(*reach, id::dangling_name, "'reach' is \"gateways\", and k4t.toml has none",
                           "add a [[gateway]] there, or remove 'reach'");
  }
  const bool named = model::reach_of(cluster, service) == model::Reach::instances && !service.ports.empty();
  if (!named || service.replicas <= named_instances_limit) return;
  declared.report->error(part(*declared.value, "replicas"), id::impossible_value,
                         "'replicas' is " + std::to_string(service.replicas) +
                             ", and DNS leads to the service's instances themselves: more than " +
                             std::to_string(named_instances_limit) + " do not fit into one answer",
                         "put gateways before it, or divide it into services");
}

bool has_labels(const model::Node& node, const std::map<std::string, std::string>& labels) {
  for (const auto& [key, value] : labels) {
    const auto found = node.labels.find(key);
    if (found == node.labels.end() || found->second != value) return false;
  }
  return true;
}

void warn_of_unmatched_labels(const Declared& declared, const model::Cluster& cluster) {
  const Value* labels = declared.value->find("node_labels");
  if (labels == nullptr || !declared.report->sound(*labels)) return;
  for (const auto& node : cluster.nodes) {
    if (has_labels(node, declared.service.node_labels)) return;
  }
  declared.report->warn(labels->at, id::unmatched_labels,
                        "no node has all 'node_labels' of service " + in_quotes(declared.service.name),
                        "add them to the 'labels' of a [[node]], else no instance can be placed");
}

}  // namespace

void check_services(const std::vector<Declared>& services, const model::Cluster& cluster) {
  check_names(services);
  check_listeners(services, cluster);
  for (const auto& declared : services) check_reach(declared, cluster);
  if (cluster.nodes.empty()) return;
  for (const auto& declared : services) warn_of_unmatched_labels(declared, cluster);
}

}  // namespace k4t::config
