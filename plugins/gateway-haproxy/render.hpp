#pragma once

#include <string>
#include <string_view>

#include "k4t/gateway.hpp"

/// From a gateway state to the text of HAProxy's configuration. Pure: no file, no server, no clock.

namespace k4t::haproxy {

/// What the driver's options decide about the text.
struct Placement {
  std::string listen;             ///< IPv4 or IPv6 address, canonical text
  std::string server_state_file;  ///< absolute path; HAProxy reads there at a reload which servers are down
  std::uint32_t hard_stop_after_s = 3600;
};

/// Everything of k4t's file but its head (file.hpp). Servers are the only lines that begin with "  server "; a
/// backend's servers are sorted as its endpoints are, and their names and numbers follow from address and port alone,
/// so that two renderings differ in nothing else when only endpoints differ. REQUIRES: gateway::check_rules(state) is
/// OK.
std::string render(const gateway::State& state, const Placement& placement);

/// The proxy that serves a backend, and a server's name in it.
std::string proxy_of(std::string_view backend);
std::string server_name(const gateway::Endpoint& endpoint);

/// How HAProxy counts a rate limit: `events` are let through in any `period_ms`, then as many as the period frees.
struct RateWindow {
  std::uint64_t events = 0;
  std::uint64_t period_ms = 0;
};
RateWindow window_of(const gateway::RateLimit& limit);

}  // namespace k4t::haproxy
