#include "model/service.hpp"

namespace k4t::model {

K4T_JSON_DEFINE(ServicePort, name, port)
K4T_JSON_DEFINE(ServiceHealth, port, check, deadline_s)
K4T_JSON_DEFINE(Expose, port, protocol, listen, host, path, balance, rate_limit, connection_limit, connect_timeout_ms,
                idle_timeout_ms)
K4T_JSON_DEFINE(Service, name, replicas, image, entrypoint, command, env, ports, network, cpu_millis, memory_bytes,
                pids, user, read_only, restart, stop_timeout_s, dns_servers, node_labels, reach, health, expose, txt,
                drain_timeout_s)

Reach reach_of(const Cluster& cluster, const Service& service) {
  const auto usual = cluster.gateways.empty() ? Reach::instances : Reach::gateways;
  return service.reach.value_or(cluster.reach.value_or(usual));
}

}  // namespace k4t::model
