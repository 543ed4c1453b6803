#include "sample.hpp"

#include <memory>

#include "plan/routing.hpp"

namespace k4t::bench {
namespace {

constexpr std::size_t services_per_node = 10;

model::Service service_at(std::size_t number) {
  model::Service service;
  service.name = "service-" + std::to_string(number);
  service.replicas = 2;
  service.image = "registry.example.net/" + service.name + ":1";
  service.ports = {{"http", 8080}};
  model::ServiceHealth health;
  health.port = "http";
  health.check.protocol = gateway::Protocol::http;
  service.health = health;
  model::Expose expose;
  expose.port = "http";
  expose.listen = 8080;
  service.expose = {expose};
  return service;
}

model::Node node_at(std::size_t number) {
  model::Node node;
  node.name = "n" + std::to_string(number);
  node.driver = "docker";
  node.address = "10." + std::to_string(number / 62500) + '.' + std::to_string(number / 250 % 250) + '.' +
                 std::to_string(number % 250 + 1);
  return node;
}

}  // namespace

Sample sample_of(std::size_t services) {
  Sample sample;
  sample.cluster.name = "bench";
  sample.cluster.domain = "bench.example.net";
  sample.cluster.gateways = {{"gw1", "nginx", "192.0.2.1", {}}, {"gw2", "haproxy", "192.0.2.2", {}}};
  sample.cluster.dns = {{"ns1", "bind", "192.0.2.3", {}}, {"ns2", "bind", "192.0.2.4", {}}};
  sample.cluster.witnesses = {{"w1", "local", "/var/lib/k4t/witness"}};
  for (std::size_t i = 0; i < services; ++i) sample.services.push_back(service_at(i));
  for (std::size_t i = 0; i < (services + services_per_node - 1) / services_per_node; ++i) {
    sample.cluster.nodes.push_back(node_at(i));
    plan::NodeView view;
    view.name = sample.cluster.nodes.back().name;
    view.info.cpus = 64;
    view.info.memory_bytes = 256ULL << 30;
    sample.world.nodes.push_back(view);
  }
  return sample;
}

plan::DrawId ids() {
  return [next = std::make_shared<std::uint32_t>(0)] {
    std::string digits = std::to_string((*next)++);
    return "i" + std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
}

model::State state_of(const Sample& sample) {
  return plan::make_plan(sample.cluster, sample.services, sample.world, "1-bench", ids()).state;
}

}  // namespace k4t::bench
