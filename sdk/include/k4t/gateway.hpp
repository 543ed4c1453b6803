#pragma once

#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "k4t/participant.hpp"
#include "k4t/plugin.hpp"

/// Gateways: load balancers of any vendor. The meaning of every field is the same on every vendor; what a vendor
/// cannot do is a capability that its manifest does not list, never a silent difference.

namespace k4t::gateway {

/// Feature names for Manifest::capabilities.
namespace capability {
inline constexpr const char* http = "http";  ///< HTTP listeners
inline constexpr const char* tcp = "tcp";    ///< TCP listeners
inline constexpr const char* balance_round_robin = "balance.round_robin";
inline constexpr const char* balance_least_connections = "balance.least_connections";
inline constexpr const char* balance_source_hash = "balance.source_hash";
inline constexpr const char* health_active = "health.active";    ///< probes endpoints by itself
inline constexpr const char* health_passive = "health.passive";  ///< learns from failed requests
inline constexpr const char* rate_limit = "limit.rate";          ///< requests of HTTP routes
inline constexpr const char* rate_limit_tcp = "limit.rate.tcp";  ///< new connections of TCP listeners
inline constexpr const char* connection_limit = "limit.connections";
inline constexpr const char* endpoint_connections = "endpoint.connections";  ///< can count per endpoint
}  // namespace capability

/// Where one instance answers. `address` is an IPv4 or IPv6 address in canonical text, never a name.
struct Endpoint {
  std::string address;
  std::uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
};
K4T_SDK_JSON(Endpoint, address, port)

/// round_robin: in turn. least_connections: the fewest established connections. source_hash: by client address,
/// consistently (a change of the set moves few clients).
enum class Balance { round_robin, least_connections, source_hash };
K4T_SDK_JSON_ENUM(Balance, {Balance::round_robin, "round_robin"}, {Balance::least_connections, "least_connections"},
                  {Balance::source_hash, "source_hash"})

enum class Protocol { http, tcp };
K4T_SDK_JSON_ENUM(Protocol, {Protocol::http, "http"}, {Protocol::tcp, "tcp"})

/// How an endpoint is judged. With health.active the gateway asks it every `interval_ms` (http: GET `path` must answer
/// 200 to 399; tcp: the connection must open), `fall` failures in a row take it out, `rise` successes bring it back.
/// With health.passive only, `fall` failed requests within `fall` × `interval_ms` take it out for as long.
struct Health {
  Protocol protocol = Protocol::tcp;
  std::string path = "/";  ///< http only
  std::uint32_t interval_ms = 2000;
  std::uint32_t timeout_ms = 1000;
  std::uint32_t rise = 2;
  std::uint32_t fall = 3;
  auto operator<=>(const Health&) const = default;
};
K4T_SDK_JSON(Health, protocol, path, interval_ms, timeout_ms, rise, fall)

/// The endpoints of one service's port. A connection that an endpoint refuses is tried on another one. No endpoints:
/// HTTP answers 503, TCP closes the connection.
struct Backend {
  std::string name;  ///< [a-z0-9-], unique
  Protocol protocol = Protocol::http;
  Balance balance = Balance::round_robin;
  std::vector<Endpoint> endpoints;  ///< sorted, distinct
  std::optional<Health> health;
  std::uint32_t connect_timeout_ms = 2000;
  std::uint32_t idle_timeout_ms = 60000;  ///< without a byte in either direction, also for WebSockets and TCP
  auto operator<=>(const Backend&) const = default;
};
K4T_SDK_JSON(Backend, name, protocol, balance, endpoints, health, connect_timeout_ms, idle_timeout_ms)

/// Per client address, on each gateway by itself: `burst` requests may come at once beyond the rate, the excess is
/// answered 429 (TCP: the connection is closed) and does not count against the client.
struct RateLimit {
  std::uint32_t per_second = 0;  ///< HTTP: requests, TCP: new connections; ≥ 1
  std::uint32_t burst = 0;
  auto operator<=>(const RateLimit&) const = default;
};
K4T_SDK_JSON(RateLimit, per_second, burst)

/// Per client address, on each gateway by itself: at most this many at the same time (HTTP: requests in progress,
/// excess answered 503; TCP: connections, excess closed).
struct ConnectionLimit {
  std::uint32_t at_once = 0;  ///< ≥ 1
  auto operator<=>(const ConnectionLimit&) const = default;
};
K4T_SDK_JSON(ConnectionLimit, at_once)

/// Which requests of an HTTP listener go to which backend. Host: exact, without port, lower case; empty: any host that
/// no other route of the listener names. Path: a prefix of whole segments ("/api" takes /api and /api/x, not /apix);
/// the longest one wins. A request that nothing takes is answered 404.
struct Route {
  std::string host;
  std::string path = "/";
  std::string backend;
  std::optional<RateLimit> rate_limit;
  std::optional<ConnectionLimit> connection_limit;
  auto operator<=>(const Route&) const = default;
};
K4T_SDK_JSON(Route, host, path, backend, rate_limit, connection_limit)

/// One port on which the gateway accepts connections, at the address that its driver's options give. Requests get
/// X-Forwarded-For (client address appended), X-Forwarded-Proto and keep their Host header.
struct Listener {
  std::uint16_t port = 0;  ///< unique in a State
  Protocol protocol = Protocol::http;
  std::vector<Route> routes;                        ///< http; sorted by host, then path
  std::string backend;                              ///< tcp
  std::optional<RateLimit> rate_limit;              ///< tcp
  std::optional<ConnectionLimit> connection_limit;  ///< tcp
  auto operator<=>(const Listener&) const = default;
};
K4T_SDK_JSON(Listener, port, protocol, routes, backend, rate_limit, connection_limit)

/// Everything that the gateways of a cluster serve. Core guarantees: names and ports unique, every backend that is
/// named exists with the listener's protocol, all text validated (see Route, Backend), lists sorted.
struct State {
  std::vector<Listener> listeners;  ///< sorted by port
  std::vector<Backend> backends;    ///< sorted by name
  auto operator<=>(const State&) const = default;
};
K4T_SDK_JSON(State, listeners, backends)

/// Connections that this gateway, its retiring processes included, still holds to an endpoint: drain evidence.
struct ConnectionsRequest {
  std::vector<Endpoint> endpoints;
};
K4T_SDK_JSON(ConnectionsRequest, endpoints)
struct ConnectionCount {
  Endpoint endpoint;
  std::uint64_t connections = 0;
  friend bool operator==(const ConnectionCount&, const ConnectionCount&) = default;
};
K4T_SDK_JSON(ConnectionCount, endpoint, connections)
struct ConnectionsReply {
  std::vector<ConnectionCount> counts;  ///< one per endpoint asked for, in that order
};
K4T_SDK_JSON(ConnectionsReply, counts)

}  // namespace k4t::gateway

namespace k4t {
K4T_JSON_PARTICIPANT(gateway::State)
}  // namespace k4t

namespace k4t::gateway {

using ObserveRequest = k4t::ObserveRequest<State>;
using PrepareRequest = k4t::PrepareRequest<State>;  ///< core gives no base: the configuration is replaced as a whole

namespace method {
struct Observe {
  static constexpr const char* name = "observe";
  using Request = ObserveRequest;
  using Reply = Observation;
};
struct Prepare {
  static constexpr const char* name = "prepare";
  using Request = PrepareRequest;
  using Reply = Nothing;
};
struct Commit {
  static constexpr const char* name = "commit";
  using Request = CommitRequest;
  using Reply = CommitReply;
};
struct Abort {
  static constexpr const char* name = "abort";
  using Request = AbortRequest;
  using Reply = Nothing;
};
struct Connections {
  static constexpr const char* name = "connections";
  using Request = ConnectionsRequest;
  using Reply = ConnectionsReply;
};
}  // namespace method

/// What an author implements. One object per configured gateway; see participant.hpp for what each verb promises.
class Driver {
 public:
  virtual ~Driver() = default;
  virtual Result<Observation> observe(const ObserveRequest& request, Call& call) = 0;
  virtual Result<Nothing> prepare(const PrepareRequest& request, Call& call) = 0;
  virtual Result<CommitReply> commit(const CommitRequest& request, Call& call) = 0;
  virtual Result<Nothing> abort(const AbortRequest& request, Call& call) = 0;
  virtual Result<ConnectionsReply> connections(const ConnectionsRequest& request, Call& call) = 0;
};

struct Kind {
  static constexpr const char* name = "gateway";
  static constexpr const char* api = "gateway.v1";
  using Driver = gateway::Driver;

  static Result<Json> dispatch(Driver& driver, std::string_view method, std::string_view request, Call& call);
};
#if K4T_SDK_BODIES
K4T_SDK_INLINE Result<Json> Kind::dispatch(Driver& driver, std::string_view method, std::string_view request,
                                           Call& call) {
  return Dispatch(method, request)
      .on<method::Observe>([&](const auto& in) { return driver.observe(in, call); })
      .on<method::Prepare>([&](const auto& in) { return driver.prepare(in, call); })
      .on<method::Commit>([&](const auto& in) { return driver.commit(in, call); })
      .on<method::Abort>([&](const auto& in) { return driver.abort(in, call); })
      .on<method::Connections>([&](const auto& in) { return driver.connections(in, call); })
      .outcome();
}
#endif

}  // namespace k4t::gateway
