#include "k4t/gateway_rules.hpp"

#include <arpa/inet.h>

#include <map>
#include <set>

namespace k4t::gateway {
namespace {

using Backends = std::map<std::string, const Backend*>;

// The narrowest of what known vendors take: HAProxy's timers are 31 bits of milliseconds, nginx counts at most 65,535
// connections of one client, and a window of a day is the longest that HAProxy's rate counters are used for.
constexpr std::uint32_t timeout_max_ms = 2147483647;
constexpr std::uint32_t connection_limit_max = 65535;
constexpr std::uint64_t burst_max_s = 86400;
constexpr std::uint32_t health_count_max = 100000;
constexpr std::string_view name_characters = "abcdefghijklmnopqrstuvwxyz0123456789-";
constexpr std::string_view path_characters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/";

Error invalid(std::string message) { return {Status::invalid_argument, std::move(message), {}}; }

bool made_of(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

/// A host that is compared exactly: no wildcard, and no dot at either end, which has a meaning of its own in places.
bool is_host(std::string_view host) {
  constexpr std::size_t limit_bytes = 253;
  if (host.size() > limit_bytes || host.front() == '.' || host.back() == '.') return false;
  if (host.front() == '[' && host.back() == ']') return is_canonical_address(host.substr(1, host.size() - 2));
  return host.find("..") == std::string_view::npos && made_of(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
}

/// A path as it is after percent-decoding and normalising, which is what gateways compare. A '%' could mean either
/// form, so it is refused.
bool is_path(std::string_view path) {
  constexpr std::size_t limit_bytes = 1024;
  if (path.empty() || path.front() != '/' || path.size() > limit_bytes || !made_of(path, path_characters)) return false;
  const std::string whole = std::string(path) + "/";
  return path.find("//") == std::string_view::npos && whole.find("/./") == std::string::npos &&
         whole.find("/../") == std::string::npos;
}

/// What may stand in the request line of a health check: a path with escapes and a query.
bool is_request_target(std::string_view path) {
  constexpr std::size_t limit_bytes = 1024;
  return !path.empty() && path.front() == '/' && path.size() <= limit_bytes &&
         made_of(path, std::string(path_characters) + "%?");
}

bool is_timeout(std::uint32_t timeout_ms) { return timeout_ms >= 1 && timeout_ms <= timeout_max_ms; }

Result<void> check_health(const std::string& where, const Health& health) {
  if (!is_timeout(health.interval_ms) || !is_timeout(health.timeout_ms) || health.rise == 0 || health.fall == 0 ||
      health.rise > health_count_max || health.fall > health_count_max) {
    return invalid(where + "a health check needs interval, timeout, rise and fall of at least 1");
  }
  if (health.protocol == Protocol::http && !is_request_target(health.path)) {
    return invalid(where + "'" + health.path +
                   "' is no path of a health check: begin with '/' and encode what a URL "
                   "must encode");
  }
  return {};
}

Result<void> check_backend(const Backend& backend) {
  const std::string where = "backend '" + backend.name + "': ";
  if (backend.name.empty() || backend.name.size() > 128 || !made_of(backend.name, name_characters)) {
    return invalid(where + "the name must be made of a to z, 0 to 9 and '-'");
  }
  std::set<Endpoint> seen;
  for (const auto& endpoint : backend.endpoints) {
    const std::string text = "'" + endpoint.address + "' port " + std::to_string(endpoint.port);
    if (!is_canonical_address(endpoint.address) || endpoint.port == 0) {
      return invalid(where + text + " is no endpoint: give an IPv4 or IPv6 address and a port");
    }
    if (!seen.insert(endpoint).second) return invalid(where + text + " appears twice");
  }
  if (!is_timeout(backend.connect_timeout_ms) || !is_timeout(backend.idle_timeout_ms)) {
    return invalid(where + "timeouts must be from 1 ms to 24 days");
  }
  return backend.health ? check_health(where, *backend.health) : Result<void>();
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

Result<void> check_limits(const std::string& where, const std::optional<RateLimit>& rate,
                          const std::optional<ConnectionLimit>& connections) {
  if (rate && rate->per_second == 0) return invalid(where + "a rate limit must allow at least 1 per second");
  if (rate && rate->burst >= burst_max_s * rate->per_second) {
    return invalid(where + "the burst of a rate limit must be worth less than a day of its rate: lower it");
  }
  if (connections && (connections->at_once == 0 || connections->at_once > connection_limit_max)) {
    return invalid(where + "a connection limit must be from 1 to " + std::to_string(connection_limit_max));
  }
  return {};
}

Result<void> check_http(const std::string& where, const Listener& listener, const Backends& known) {
  if (!listener.backend.empty() || listener.rate_limit || listener.connection_limit) {
    return invalid(where + "an HTTP listener has its backends and limits in its routes");
  }
  std::set<std::pair<std::string, std::string_view>> taken;
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
  K4T_TRY(check_limits(where, listener.rate_limit, listener.connection_limit));
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

std::string socket_text(std::string_view address, std::uint16_t port) {
  const bool is_v6 = address.find(':') != std::string_view::npos;
  return (is_v6 ? "[" + std::string(address) + "]" : std::string(address)) + ":" + std::to_string(port);
}

std::string_view without_final_slash(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

Result<void> check_rules(const State& state) {
  K4T_ASSIGN(const Backends known, check_backends(state));
  std::set<std::uint16_t> ports;
  for (const auto& listener : state.listeners) {
    const std::string where = "listener " + std::to_string(listener.port) + ": ";
    if (listener.port == 0) return invalid(where + "the port must be from 1 to 65535");
    if (!ports.insert(listener.port).second) return invalid(where + "the port is listened to twice");
    K4T_TRY(listener.protocol == Protocol::http ? check_http(where, listener, known)
                                                : check_tcp(where, listener, known));
  }
  return {};
}

}  // namespace k4t::gateway
