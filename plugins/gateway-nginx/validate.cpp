#include <arpa/inet.h>

#include <algorithm>
#include <map>
#include <set>

#include "paths.hpp"
#include "render.hpp"

namespace k4t::nginx {
namespace {

using gateway::Backend;
using gateway::Listener;
using gateway::Protocol;
using gateway::Route;
using gateway::State;
using Backends = std::map<std::string, const Backend*>;

constexpr std::uint32_t connection_limit_max = 65535;  // ngx_http_limit_conn_module refuses more

Error invalid(std::string message) { return {Status::invalid_argument, std::move(message), {}}; }

bool all_of(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

constexpr std::string_view name_characters = "abcdefghijklmnopqrstuvwxyz0123456789-";

/// A host that nginx compares exactly: `*`, `~` and a dot at either end have a meaning of their own in server_name.
bool is_host(std::string_view host) {
  constexpr std::size_t limit_bytes = 253;
  if (host.size() > limit_bytes || host.front() == '.' || host.back() == '.') return false;
  if (host.front() == '[' && host.back() == ']') return is_canonical_address(host.substr(1, host.size() - 2));
  return host.find("..") == std::string_view::npos && all_of(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
}

/// A path as it is after percent-decoding: nginx compares that. A '%' could mean either form, so it is refused, and so
/// is what nginx normalises away before it compares.
bool is_path(std::string_view path) {
  constexpr std::size_t limit_bytes = 1024;
  if (path.empty() || path.front() != '/' || path.size() > limit_bytes) return false;
  if (!all_of(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/")) return false;
  if (path.find("//") != std::string_view::npos) return false;
  const std::string whole = std::string(path) + "/";
  return whole.find("/./") == std::string::npos && whole.find("/../") == std::string::npos;
}

Result<void> check_backend(const Backend& backend) {
  const std::string where = "backend '" + backend.name + "': ";
  if (backend.name.empty() || backend.name.size() > 128 || !all_of(backend.name, name_characters)) {
    return invalid(where + "the name must be made of a to z, 0 to 9 and '-'");
  }
  for (const auto& endpoint : backend.endpoints) {
    if (!is_canonical_address(endpoint.address) || endpoint.port == 0) {
      return invalid(where + "'" + endpoint.address + "' port " + std::to_string(endpoint.port) +
                     " is no endpoint: give an IPv4 or IPv6 address and a port");
    }
  }
  if (backend.connect_timeout_ms == 0 || backend.idle_timeout_ms == 0) {
    return invalid(where + "timeouts must be at least 1 ms");
  }
  if (backend.health && (backend.health->fall == 0 || backend.health->interval_ms == 0)) {
    return invalid(where + "a health check needs an interval and a number of failures, both at least 1");
  }
  return {};
}

Result<Backends> check_backends(const State& state) {
  Backends known;
  for (const auto& backend : state.backends) {
    K4T_TRY(check_backend(backend));
    if (!known.emplace(backend.name, &backend).second) return invalid("backend '" + backend.name + "' appears twice");
  }
  return known;
}

Result<void> check_named(const std::string& where, const std::string& name, Protocol protocol, const Backends& known) {
  const auto found = known.find(name);
  if (found == known.end()) return invalid(where + "there is no backend '" + name + "'");
  if (found->second->protocol != protocol) return invalid(where + "backend '" + name + "' has the other protocol");
  return {};
}

Result<void> check_limits(const std::string& where, const std::optional<gateway::RateLimit>& rate,
                          const std::optional<gateway::ConnectionLimit>& connections) {
  if (rate && rate->per_second == 0) return invalid(where + "a rate limit must allow at least 1 per second");
  if (connections && (connections->at_once == 0 || connections->at_once > connection_limit_max)) {
    return invalid(where + "a connection limit must be from 1 to " + std::to_string(connection_limit_max));
  }
  return {};
}

Result<void> check_http(const std::string& where, const Listener& listener, const Backends& known) {
  if (!listener.backend.empty() || listener.rate_limit || listener.connection_limit) {
    return invalid(where + "an HTTP listener has its backends and limits in its routes");
  }
  std::set<std::pair<std::string, std::string>> taken;
  for (const Route& route : listener.routes) {
    if (!route.host.empty() && !is_host(route.host)) {
      return invalid(where + "'" + route.host +
                     "' is no host name that can be compared exactly: use lower-case letters, "
                     "digits, '-', '_' and '.'");
    }
    if (!is_path(route.path)) {
      return invalid(where + "'" + route.path +
                     "' is no path that can be compared: begin with '/', write it decoded, "
                     "without empty, '.' and '..' segments and without characters that a URL must encode");
    }
    if (!taken.emplace(route.host, without_final_slash(route.path)).second) {
      return invalid(where + "host '" + route.host + "' has two routes for path '" + route.path + "'");
    }
    K4T_TRY(check_limits(where, route.rate_limit, route.connection_limit));
    K4T_TRY(check_named(where, route.backend, Protocol::http, known));
  }
  return {};
}

Result<void> check_tcp(const std::string& where, const Listener& listener, const Backends& known) {
  if (!listener.routes.empty()) return invalid(where + "a TCP listener has no routes");
  if (listener.rate_limit) {
    return invalid(where +
                   "nginx cannot limit the rate of TCP connections: remove the rate limit, use a connection limit, "
                   "or use gateways whose driver has the capability " +
                   gateway::capability::rate_limit_tcp);
  }
  K4T_TRY(check_limits(where, {}, listener.connection_limit));
  return check_named(where, listener.backend, Protocol::tcp, known);
}

}  // namespace

bool is_canonical_address(std::string_view address) {
  const std::string text(address);
  in6_addr binary{};
  char printed[INET6_ADDRSTRLEN] = {};
  for (const int family : {AF_INET, AF_INET6}) {
    if (::inet_pton(family, text.c_str(), &binary) == 1 &&
        ::inet_ntop(family, &binary, printed, sizeof printed) != nullptr && text == printed) {
      return true;
    }
  }
  return false;
}

Result<void> validate(const State& state, const Placement& placement) {
  K4T_ASSIGN(const Backends known, check_backends(state));
  std::set<std::uint16_t> ports;
  for (const auto& listener : state.listeners) {
    const std::string where = "listener " + std::to_string(listener.port) + ": ";
    if (listener.port == 0) return invalid(where + "the port must be from 1 to 65535");
    if (!ports.insert(listener.port).second) return invalid(where + "the port is listened to twice");
    if (listener.port == placement.status_port) {
      return invalid(where +
                     "this is the port of nginx's status answer: choose another, or change the gateway's "
                     "option status_port");
    }
    K4T_TRY(listener.protocol == Protocol::http ? check_http(where, listener, known)
                                                : check_tcp(where, listener, known));
  }
  return {};
}

}  // namespace k4t::nginx
