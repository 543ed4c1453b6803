#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "k4t/gateway.hpp"
#include "k4t/runtime.hpp"
#include "model/cluster.hpp"

/// What a user declares, validated: one Service per [[service]] table of a service file.

namespace k4t::model {

/// A port on which an instance listens. The instance also finds it in its environment: PORT for the first one,
/// PORT_<NAME> for each (with host networking that is the port that k4t chose).
struct ServicePort {
  std::string name;        ///< [a-z0-9-], at most 15 characters (RFC 6335 §5.1)
  std::uint16_t port = 0;  ///< container port; 0 with host networking: k4t chooses
  friend bool operator==(const ServicePort&, const ServicePort&) = default;
};
K4T_JSON_DECLARE(ServicePort)

/// When an instance counts as healthy, asked by the master before traffic is sent there and by gateways afterwards.
struct ServiceHealth {
  std::string port;  ///< a ServicePort's name
  gateway::Health check;
  std::uint32_t deadline_s = 60;  ///< a new instance that is not healthy by then fails the operation
  friend bool operator==(const ServiceHealth&, const ServiceHealth&) = default;
};
K4T_JSON_DECLARE(ServiceHealth)

/// How a port is reached through the gateways.
struct Expose {
  std::string port;  ///< a ServicePort's name
  gateway::Protocol protocol = gateway::Protocol::http;
  std::uint16_t listen = 0;  ///< the gateways' port
  std::string host;          ///< http; empty: "<service>.<domain>"; "*": any host
  std::string path = "/";    ///< http
  gateway::Balance balance = gateway::Balance::round_robin;
  std::optional<gateway::RateLimit> rate_limit;
  std::optional<gateway::ConnectionLimit> connection_limit;
  std::uint32_t connect_timeout_ms = 2000;
  std::uint32_t idle_timeout_ms = 60000;
  friend bool operator==(const Expose&, const Expose&) = default;
};
K4T_JSON_DECLARE(Expose)

struct Service {
  std::string name;  ///< a DNS label; unique in the cluster
  std::uint32_t replicas = 1;

  // What an instance is made of: a change of any of these is a new revision.
  std::string image;
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::map<std::string, std::string> env;
  std::vector<ServicePort> ports;
  runtime::Network network = runtime::Network::bridge;
  std::uint32_t cpu_millis = 0;  ///< limit and reservation; 0: none
  std::uint64_t memory_bytes = 0;
  std::uint32_t pids = 0;
  std::string user;
  bool read_only = false;
  runtime::Restart restart = runtime::Restart::always;
  std::uint32_t stop_timeout_s = 10;
  std::vector<std::string> dns_servers;  ///< addresses for the instance's resolver; empty: the machine's own

  // How it is placed and reached: changed without new instances.
  std::map<std::string, std::string> node_labels;  ///< only nodes that have all of these
  std::optional<Reach> reach;                      ///< absent: as the cluster says
  std::optional<ServiceHealth> health;
  std::vector<Expose> expose;
  std::vector<std::string> txt;        ///< TXT records at the service's name
  std::uint32_t drain_timeout_s = 30;  ///< how long an old instance may keep its connections

  friend bool operator==(const Service&, const Service&) = default;
};
K4T_JSON_DECLARE(Service)

/// Where clients are led that ask DNS for the service.
Reach reach_of(const Cluster& cluster, const Service& service);

}  // namespace k4t::model
