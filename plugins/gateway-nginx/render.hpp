#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/gateway.hpp"

/// From a gateway state to nginx's configuration. Pure: no file, no server, no clock.

namespace k4t::nginx {

/// Where this gateway listens; from the driver's options.
struct Placement {
  std::vector<std::string> listen;  ///< IPv4 or IPv6 addresses, canonical text
  std::uint16_t status_port = 0;    ///< at 127.0.0.1
};

/// One listening TCP socket.
struct Socket {
  std::string address;
  std::uint16_t port = 0;
  auto operator<=>(const Socket&) const = default;
};

/// The two files of one version.
struct Files {
  std::string http;    ///< included inside `http { }`
  std::string stream;  ///< included inside `stream { }`
  friend bool operator==(const Files&, const Files&) = default;
};

/// INVALID_ARGUMENT with the listener or backend and the remedy where nginx cannot serve this state with the meaning
/// that gateway.hpp gives it. Nothing that comes through here can break out of its place in a configuration file.
Result<void> validate(const gateway::State& state, const Placement& placement);

/// Every socket that the state needs, the status listener first.
std::vector<Socket> sockets_of(const gateway::State& state, const Placement& placement);

/// REQUIRES: validate(state, placement) and check_register(at) are OK.
Files render(const Register& at, const gateway::State& state, const Placement& placement);

}  // namespace k4t::nginx
