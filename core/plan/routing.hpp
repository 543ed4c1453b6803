#pragma once

#include <set>
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
/// Where a service is reached through gateways, its name leads to them (A, AAAA), and `_PORT._tcp.NAME` names their
/// port (SRV). Where it is reached at its instances, the names lead to these: one name per instance below the
/// service's, SRV with each one's own port for every port of the service. Behind a public address DNS says that one and
/// its ports.
model::State routing_state(const model::Cluster& cluster, const std::vector<model::Service>& services,
                           const std::vector<Placed>& routed);

/// What one or more states send traffic to.
class Routes {
 public:
  Routes() = default;  ///< nothing
  explicit Routes(const model::State& state) { add(state); }
  void add(const model::State& state);

  [[nodiscard]] bool lead_to(const Placed& placed) const;
  /// Whether DNS names it by itself, so that clients may know its address.
  [[nodiscard]] bool name(const Placed& placed) const;
  /// As the states say them: behind a public address they are that one's.
  [[nodiscard]] const std::set<gateway::Endpoint>& endpoints() const { return endpoints_; }
  /// How long clients may go on using what DNS has told them.
  [[nodiscard]] std::uint32_t ttl_s() const { return ttl_s_; }

 private:
  std::set<gateway::Endpoint> endpoints_;
  std::set<std::string> names_;  ///< "INSTANCE.SERVICE"
  std::uint32_t ttl_s_ = 0;
};

/// What `state` asks of gateways: capability names of gateway.hpp, sorted, distinct.
std::vector<std::string> needed_capabilities(const gateway::State& state);

/// One line per difference, for people: "+ http :8080 web.demo.example.net/ → web-http-8080 (2 endpoints)".
std::vector<std::string> describe_difference(const model::State& before, const model::State& after);

}  // namespace k4t::plan
