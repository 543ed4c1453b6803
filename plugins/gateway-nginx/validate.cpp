#include "k4t/gateway_rules.hpp"
#include "render.hpp"

namespace k4t::nginx {

Result<void> validate(const gateway::State& state, const Placement& placement) {
  K4T_TRY(gateway::check_rules(state));
  for (const auto& listener : state.listeners) {
    const std::string where = "listener " + std::to_string(listener.port) + ": ";
    if (listener.port == placement.status_port) {
      return Error{Status::invalid_argument,
                   where +
                       "this is the port of nginx's status answer: choose another, or change the gateway's option "
                       "status_port",
                   {}};
    }
    if (listener.rate_limit) {
      return Error{Status::invalid_argument,
                   where +
                       "nginx cannot limit the rate of TCP connections: remove the rate limit, use a connection limit, "
                       "or use gateways whose driver has the capability " +
                       gateway::capability::rate_limit_tcp,
                   {}};
    }
  }
  return {};
}

}  // namespace k4t::nginx
