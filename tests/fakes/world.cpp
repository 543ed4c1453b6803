#include "fakes/world.hpp"

#include <algorithm>
#include <fstream>

namespace k4t::fakes {

Node& World::add_node(const std::string& name, const std::string& address) {
  auto& placed = nodes_[name];
  placed = {address, std::make_unique<Node>(mutex_, [this] { changed(); })};
  return *placed.machine;
}

Gateway& World::add_gateway(const std::string& name) {
  return *(gateways_[name] = std::make_unique<Gateway>(mutex_, [this] { changed(); }));
}

Dns& World::add_dns(const std::string& name) {
  return *(dns_[name] = std::make_unique<Dns>(mutex_, [this] { changed(); }));
}

Result<std::unique_ptr<Callee>> World::open(const std::string& kind, const std::string& name) {
  if (const auto found = nodes_.find(name); kind == runtime::Kind::name && found != nodes_.end()) {
    return std::unique_ptr<Callee>(std::make_unique<DirectCallee<runtime::Kind>>(*found->second.machine));
  }
  if (const auto found = gateways_.find(name); kind == gateway::Kind::name && found != gateways_.end()) {
    return std::unique_ptr<Callee>(std::make_unique<DirectCallee<gateway::Kind>>(*found->second));
  }
  if (const auto found = dns_.find(name); kind == dns::Kind::name && found != dns_.end()) {
    return std::unique_ptr<Callee>(std::make_unique<DirectCallee<dns::Kind>>(*found->second));
  }
  return Error{Status::not_found, "there is no " + kind + " '" + name + "'", {}};
}

bool World::runs_at(const gateway::Endpoint& endpoint) const {
  return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& one) {
    if (one.second.address != endpoint.address) return false;
    const auto& all = one.second.machine->instances;
    return std::any_of(all.begin(), all.end(), [&](const auto& named) {
      const auto& ports = named.second.ports;
      return named.second.phase == runtime::Phase::running &&
             std::any_of(ports.begin(), ports.end(),
                         [&](const runtime::PortMap& port) { return port.host_port == endpoint.port; });
    });
  });
}

bool World::answers(const gateway::Endpoint& endpoint) {
  const std::scoped_lock lock(mutex_);
  return runs_at(endpoint);
}

std::vector<std::string> World::instances() {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [node, placed] : nodes_) {
    for (const auto& [name, instance] : placed.machine->instances) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> World::broken_routes() {
  const std::scoped_lock lock(mutex_);
  return broken_;
}

void World::changed() {
  for (const auto& [name, gateway] : gateways_) {
    // One that is off sends no traffic; what it does when it comes back is for its own health checks.
    if (gateway->member.faults.down) continue;
    for (const auto& backend : gateway->member.state.backends) {
      for (const auto& endpoint : backend.endpoints) {
        if (runs_at(endpoint)) continue;
        broken_.push_back(name + " → " + endpoint.address + ":" + std::to_string(endpoint.port));
      }
    }
  }
  if (!file_.empty()) save();
}

void World::save() const {
  Json json{{"nodes", Json::object()}, {"gateways", Json::object()}, {"dns", Json::object()}, {"broken", broken_}};
  for (const auto& [name, placed] : nodes_) json["nodes"][name] = placed.machine->saved();
  for (const auto& [name, gateway] : gateways_) json["gateways"][name] = gateway->member.saved();
  for (const auto& [name, server] : dns_) json["dns"][name] = server->member.saved();
  const auto next = file_.string() + ".next";
  std::ofstream(next) << json.dump();
  std::filesystem::rename(next, file_);
}

void World::keep_in(const std::filesystem::path& file) {
  const std::scoped_lock lock(mutex_);
  file_ = file;
  if (!std::filesystem::exists(file)) return save();
  std::ifstream in(file);
  const Json json = Json::parse(in);
  for (const auto& [name, placed] : nodes_) placed.machine->load(json.at("nodes").at(name));
  for (const auto& [name, gateway] : gateways_) gateway->member.load(json.at("gateways").at(name));
  for (const auto& [name, server] : dns_) server->member.load(json.at("dns").at(name));
  broken_ = json.at("broken").get<std::vector<std::string>>();
}

}  // namespace k4t::fakes
