#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/runtime.hpp"
#include "model/service.hpp"

/// Between a service's declaration and what runs on a node. Pure.

namespace k4t::plan {

/// One of this cluster's instances as its labels and its runtime tell.
struct Placed {
  std::string node;
  std::string name;  ///< the runtime's name of it
  std::string service;
  std::string revision;
  std::string instance;                        ///< the id within the service
  std::string operation;                       ///< the operation that made it
  std::string address;                         ///< its own, or its node's
  std::map<std::string, std::uint16_t> ports;  ///< at that address, by port name
  runtime::Phase phase = runtime::Phase::unknown;
  runtime::Health health = runtime::Health::none;
  std::uint64_t cpu_millis = 0;
  std::uint64_t memory_bytes = 0;
  std::int64_t started_at_s = 0;
  std::uint32_t restarts = 0;
  std::string detail;

  /// Serves or will again without anybody's help.
  [[nodiscard]] bool alive() const { return phase == runtime::Phase::running || phase == runtime::Phase::restarting; }
  /// Where the port answers; absent: it has no such port.
  [[nodiscard]] std::optional<gateway::Endpoint> endpoint(const std::string& port) const;
  [[nodiscard]] std::vector<gateway::Endpoint> endpoints() const;
};
K4T_JSON_DECLARE(Placed)

/// Reads an instance's labels; `address` is its node's. INVALID_ARGUMENT: it says that it belongs to the cluster, but
/// not what it is.
Result<Placed> read_labels(const std::string& node, const std::string& address, const runtime::Instance& instance);

/// Names what an instance is made of: 12 hex digits that change exactly when new instances are needed.
std::string revision_of(const model::Service& service);

/// What a new instance is made from. `ports`: one per declared port, in that order: host ports, or with an address of
/// its own the declared ones.
struct Making {
  const model::Service& service;
  std::string cluster;
  std::string operation;
  std::string instance;
  std::vector<std::uint16_t> ports;
  std::string address{};  ///< its own; empty: none
};
runtime::InstanceSpec make_spec(const Making& making);

}  // namespace k4t::plan
