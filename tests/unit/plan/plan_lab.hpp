#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "plan/plan.hpp"

/// A small cluster, and a world in which plans are played.

namespace k4t::plan {

inline constexpr std::uint64_t mib = 1 << 20;

inline model::Cluster cluster_of(std::initializer_list<std::string> nodes) {
  model::Cluster cluster;
  cluster.name = "demo";
  cluster.domain = "demo.example.net";
  std::uint8_t last = 1;
  for (const auto& name : nodes) {
    model::Node node;
    node.name = name;
    node.driver = "docker";
    node.address = "192.0.2." + std::to_string(last++);
    cluster.nodes.push_back(node);
  }
  model::Driven one;
  one.name = "gw1";
  one.address = "198.51.100.1";
  model::Driven two;
  two.name = "gw2";
  two.address = "2001:db8::2";
  cluster.gateways = {one, two};
  model::Driven ns;
  ns.name = "ns1";
  ns.address = "198.51.100.53";
  cluster.dns = {ns};
  return cluster;
}

inline model::Service service_of(const std::string& name, std::uint32_t replicas) {
  model::Service service;
  service.name = name;
  service.replicas = replicas;
  service.image = name + ":1";
  service.ports = {{"http", 8080}};
  model::Expose expose;
  expose.port = "http";
  expose.listen = 80;
  service.expose = {expose};
  return service;
}

/// A small world in which a plan's effects can be played.
class Lab {
 public:
  explicit Lab(model::Cluster cluster) : cluster_(std::move(cluster)) {
    for (const auto& node : cluster_.nodes) {
      NodeView view;
      view.name = node.name;
      view.info = {4, 4096 * mib, "x86_64", "", "", {}, {}};
      if (!node.subnet.empty()) view.info.subnets = {node.subnet};
      world_.nodes.push_back(view);
    }
  }

  Plan plan(const std::vector<model::Service>& services) {
    return make_plan(cluster_, services, world_, "op1", [this] { return "i" + std::to_string(++ids_); });
  }

  void carry_out(const Plan& plan) {
    for (const auto& creation : plan.creations) {
      runtime::Instance instance;
      instance.name = creation.spec.name;
      instance.labels = creation.spec.labels;
      instance.ports = creation.spec.ports;
      instance.cpu_millis = creation.spec.cpu_millis;
      instance.memory_bytes = creation.spec.memory_bytes;
      instance.phase = runtime::Phase::running;
      instance.started_at_s = ++now_s_;
      view(creation.placed.node).instances.push_back(instance);
    }
    for (const auto& removal : plan.removals) {
      std::erase_if(view(removal.placed.node).instances,
                    [&](const auto& instance) { return instance.name == removal.placed.name; });
    }
    world_.latest = plan.state;
  }

  NodeView& view(const std::string& name) {
    return *std::find_if(world_.nodes.begin(), world_.nodes.end(), [&](const auto& v) { return v.name == name; });
  }
  World& world() { return world_; }
  model::Cluster& cluster() { return cluster_; }

 private:
  model::Cluster cluster_;
  World world_;
  int ids_ = 0;
  std::int64_t now_s_ = 0;
};

}  // namespace k4t::plan
