#pragma once

#include <atomic>
#include <string>

#include "connection.hpp"

/// What the demo application serves on a connection. Each returns when the connection is over.

namespace demo {

/// Whether /healthz says 200. Shared by all connections.
struct HealthState {
  Clock::time_point healthy_from = Clock::now();  ///< --start-delay-ms
  std::atomic<bool> declared_healthy = true;      ///< POST /healthz?healthy=0 or 1
};

/// Who answers, as every answer tells.
struct Identity {
  std::string greeting;  ///< $GREETING: what distinguishes one revision from another
  std::string service;   ///< $K4T_SERVICE
  std::string instance;  ///< $K4T_INSTANCE, else the host's name
};
Identity identity();

/// HTTP/1.1 with keep-alive, and a WebSocket echo at /ws. README.md lists the paths.
void serve_http(Connection& connection, HealthState& health);

/// Says hello, then sends every line back.
void serve_lines(Connection& connection);

}  // namespace demo
