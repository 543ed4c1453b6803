#pragma once

#include <string>
#include <vector>

#include "model/cluster.hpp"
#include "model/service.hpp"
#include "model/state.hpp"
#include "plan/instance.hpp"

/// What gateways and DNS servers shall serve. Pure.

namespace k4t::plan {

/// The state that routes `services` to `routed`. Lists come out sorted, so that equal wishes give equal texts.
///
/// With gateways a service's name leads to them (A, AAAA), and `_PORT._tcp.NAME` names their port (SRV). Without any,
/// the names lead to the instances themselves: one name per instance below the service's, SRV with their host ports.
model::State routing_state(const model::Cluster& cluster, const std::vector<model::Service>& services,
                           const std::vector<Placed>& routed);

/// Endpoints that `state` sends traffic to, sorted, distinct.
std::vector<gateway::Endpoint> routed_endpoints(const model::State& state);

/// What `state` asks of gateways: capability names of gateway.hpp, sorted, distinct.
std::vector<std::string> needed_capabilities(const gateway::State& state);

/// One line per difference, for people: "+ http :8080 web.demo.example.net/ → web-http-8080 (2 endpoints)".
std::vector<std::string> describe_difference(const model::State& before, const model::State& after);

}  // namespace k4t::plan
