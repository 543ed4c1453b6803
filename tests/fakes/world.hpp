#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fakes/node.hpp"
#include "fakes/participant.hpp"

/// The machines of a cluster in memory. They outlive any master, and watch at every change over invariant 6: no route
/// that a gateway serves leads to an instance that is not running.

namespace k4t::fakes {

class World {
 public:
  /// Node `name` at `address`: instances answer there.
  Node& add_node(const std::string& name, const std::string& address);
  Gateway& add_gateway(const std::string& name);
  Dns& add_dns(const std::string& name);

  Node& node(const std::string& name) { return *nodes_.at(name).machine; }
  Gateway& gateway(const std::string& name) { return *gateways_.at(name); }
  Dns& dns(const std::string& name) { return *dns_.at(name); }

  /// A handle as the loader would make one. NOT_FOUND: no such machine.
  Result<std::unique_ptr<Callee>> open(const std::string& kind, const std::string& name);

  /// Whether an instance runs at the endpoint.
  [[nodiscard]] bool answers(const gateway::Endpoint& endpoint);
  /// Names of all instances of all nodes, sorted.
  [[nodiscard]] std::vector<std::string> instances();
  /// Routes that led to nothing at some moment.
  [[nodiscard]] std::vector<std::string> broken_routes();

  /// From now on everything durable is kept in this file after each change, as real machines keep it when a master is
  /// killed. What the file holds already is loaded.
  void keep_in(const std::filesystem::path& file);

 private:
  struct Placed {
    std::string address;
    std::unique_ptr<Node> machine;
  };
  void changed();  // with the mutex held, after each effect
  [[nodiscard]] bool runs_at(const gateway::Endpoint& endpoint) const;
  void save() const;

  std::mutex mutex_;
  std::map<std::string, Placed> nodes_;
  std::map<std::string, std::unique_ptr<Gateway>> gateways_;
  std::map<std::string, std::unique_ptr<Dns>> dns_;
  std::vector<std::string> broken_;
  std::filesystem::path file_;
};

}  // namespace k4t::fakes
