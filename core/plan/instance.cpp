#include "plan/instance.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "k4t/digest.hpp"
#include "model/subnet.hpp"

namespace k4t::plan {

K4T_JSON_DEFINE(Placed, node, name, service, revision, instance, operation, address, ports, phase, health, cpu_millis,
                memory_bytes, started_at_s, restarts, detail)
namespace {

std::string join_ports(const model::Service& service, const std::vector<std::uint16_t>& ports) {
  std::string text;
  for (std::size_t i = 0; i < service.ports.size(); ++i) {
    if (i > 0) text += ',';
    text += service.ports[i].name + '=' + std::to_string(ports[i]);
  }
  return text;
}

/// The inverse of join_ports; absent where the text is not of that form.
std::optional<std::map<std::string, std::uint16_t>> split_ports(std::string_view text) {
  std::map<std::string, std::uint16_t> ports;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const auto equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0) return std::nullopt;
    std::uint16_t port = 0;
    const std::string_view number = part.substr(equals + 1);
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), port);
    if (error != std::errc{} || end != number.data() + number.size() || port == 0) return std::nullopt;
    ports.emplace(part.substr(0, equals), port);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return ports;
}

/// "http-admin" → "PORT_HTTP_ADMIN".
std::string port_variable(const std::string& name) {
  std::string variable = "PORT_";
  for (const char c : name) variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return variable;
}

/// The port on which the instance itself listens.
std::uint16_t inner_port(const model::Service& service, std::size_t index, std::uint16_t host_port) {
  return service.network == runtime::Network::host ? host_port : service.ports[index].port;
}

}  // namespace

std::optional<gateway::Endpoint> Placed::endpoint(const std::string& port) const {
  const auto found = ports.find(port);
  if (found == ports.end()) return std::nullopt;
  return gateway::Endpoint{address, found->second};
}

std::vector<gateway::Endpoint> Placed::endpoints() const {
  std::vector<gateway::Endpoint> all;
  for (const auto& [name_, port] : ports) all.push_back({address, port});
  return all;
}

Result<Placed> read_labels(const std::string& node, const std::string& address, const runtime::Instance& instance) {
  const auto label = [&instance](const char* name) {
    const auto found = instance.labels.find(name);
    return found == instance.labels.end() ? std::string{} : found->second;
  };
  Placed placed;
  placed.node = node;
  const std::string own_address = label(runtime::label::address);
  placed.address = own_address.empty() ? address : own_address;
  placed.name = instance.name;
  placed.service = label(runtime::label::service);
  placed.revision = label(runtime::label::revision);
  placed.instance = label(runtime::label::instance);
  placed.operation = label(runtime::label::operation);
  auto ports = split_ports(label(runtime::label::ports));
  const bool odd_address = !own_address.empty() && !model::is_address(own_address);
  if (placed.service.empty() || placed.revision.empty() || placed.instance.empty() || !ports || odd_address) {
    return Error{Status::invalid_argument,
                 "instance '" + instance.name + "' on node '" + node +
                     "' carries this cluster's label, but its other k4t labels are missing or malformed; k4t leaves it "
                     "alone, remove it by hand if nobody needs it",
                 Json(instance.labels).dump()};
  }
  placed.ports = *std::move(ports);
  placed.phase = instance.phase;
  placed.health = instance.health;
  placed.cpu_millis = instance.cpu_millis;
  placed.memory_bytes = instance.memory_bytes;
  placed.started_at_s = instance.started_at_s;
  placed.restarts = instance.restarts;
  placed.detail = instance.detail;
  return placed;
}

std::string revision_of(const model::Service& service) {
  Json parts = Json(service);
  for (const char* placed : {"replicas", "node_labels", "reach", "health", "expose", "txt", "drain_timeout_s"})
    parts.erase(placed);
  // What is as it is by default does not count, so that a k4t in which services have one more setting finds the
  // revision that this one made.
  const Json usual = model::Service{};
  for (const auto& [name, value] : usual.items()) {
    const auto part = parts.find(name);
    if (part != parts.end() && *part == value) parts.erase(part);
  }
  return sha256_hex(parts.dump()).substr(0, 12);
}

runtime::InstanceSpec make_spec(const Making& making) {
  const model::Service& service = making.service;
  runtime::InstanceSpec spec;
  spec.name = making.cluster + '-' + service.name + '-' + making.instance;
  spec.image = service.image;
  spec.entrypoint = service.entrypoint;
  spec.command = service.command;
  spec.network = service.network;
  spec.address = making.address;
  spec.cpu_millis = service.cpu_millis;
  spec.memory_bytes = service.memory_bytes;
  spec.pids = service.pids;
  spec.user = service.user;
  spec.read_only = service.read_only;
  spec.restart = service.restart;
  spec.stop_timeout_s = service.stop_timeout_s;
  spec.dns_servers = service.dns_servers;
  for (std::size_t i = 0; i < service.ports.size(); ++i) {
    const auto inner = inner_port(service, i, making.ports[i]);
    spec.ports.push_back({inner, making.ports[i], "tcp"});
    if (i == 0) spec.env["PORT"] = std::to_string(inner);
    spec.env[port_variable(service.ports[i].name)] = std::to_string(inner);
  }
  spec.env["K4T_CLUSTER"] = making.cluster;
  spec.env["K4T_SERVICE"] = service.name;
  spec.env["K4T_INSTANCE"] = making.instance;
  for (const auto& [name, value] : service.env) spec.env[name] = value;  // the user's word is the last
  spec.labels = {
      {runtime::label::cluster, making.cluster},          {runtime::label::service, service.name},
      {runtime::label::revision, revision_of(service)},   {runtime::label::instance, making.instance},
      {runtime::label::operation, making.operation},      {runtime::label::ports, join_ports(service, making.ports)},
      {runtime::label::declaration, Json(service).dump()}};
  if (!making.address.empty()) spec.labels[runtime::label::address] = making.address;
  return spec;
}

}  // namespace k4t::plan
