#include "render.hpp"

#include <map>

#include "k4t/digest.hpp"
#include "k4t/gateway_rules.hpp"
#include "register_text.hpp"
#include "syntax.hpp"

namespace k4t::nginx {
namespace {

using gateway::Backend;
using gateway::Balance;
using gateway::Listener;
using gateway::Protocol;
using gateway::Route;
using gateway::State;
using Backends = std::map<std::string, const Backend*>;

constexpr const char* client_key = "$binary_remote_addr";
constexpr const char* limit_zone_size = "4m";  // about 32,000 clients; only pages in use take memory
constexpr const char* idle_connections = "32";
// Shorter than what endpoints commonly allow (5 s and up), so that nginx closes first and a POST never meets a
// connection that the endpoint is just closing.
constexpr const char* idle_connection_timeout = "4s";
// How many connect timeouts a request may go on from one endpoint to the next. Well below the usual idle timeout, so
// that a slow answer is not asked for again elsewhere.
constexpr std::uint64_t retry_connects = 4;

Word ms(std::uint64_t value) { return Word::own(std::to_string(value) + "ms"); }

Word upstream_name(const std::string& backend) { return Word::own("k4t_" + backend); }

/// A zone that two limits share, or that changes its key across a reload, makes nginx refuse the reload. The name is
/// therefore made of all that identifies limit and key; its rate and size may change.
std::string zone_name(std::string_view kind, std::uint16_t port, const std::string& host, const std::string& path) {
  const std::string identity = std::string(client_key) + "\n" + std::to_string(port) + "\n" + host + "\n" + path;
  return "k4t_" + std::string(kind) + "_" + sha256_hex(identity).substr(0, 16);
}

std::string zone_name(std::string_view kind, const Listener& listener, const Route& route) {
  return zone_name(kind, listener.port, route.host, std::string(gateway::without_final_slash(route.path)));
}

void write_endpoints(Writer& out, const Backend& backend) {
  for (const auto& endpoint : backend.endpoints) {
    const Word address = Word::own(gateway::socket_text(endpoint.address, endpoint.port));
    if (!backend.health) {
      out.line({"server", address, "max_fails=0"});
      continue;
    }
    const std::uint64_t window_s =
        (std::uint64_t{backend.health->fall} * backend.health->interval_ms + 999) / 1000;  // nginx takes whole seconds
    out.line({"server", address, Word::own("max_fails=" + std::to_string(backend.health->fall)),
              Word::own("fail_timeout=" + std::to_string(window_s) + "s")});
  }
}

/// What `zone` says in each upstream of the protocol. They share one: nginx looks through all zones for each upstream,
/// and maps each by itself, which is most of its time where there are thousands.
Word zone_words(const State& state, Protocol protocol, bool with_size) {
  const std::string name = protocol == Protocol::http ? "k4t_http" : "k4t_tcp";
  if (!with_size) return Word::own(name);
  std::size_t kib = 64;
  for (const auto& backend : state.backends) {
    if (backend.protocol == protocol && !backend.endpoints.empty()) kib += 2 + backend.endpoints.size();
  }
  return Word::own(name + " " + std::to_string(kib) + "k");
}

void write_upstream(Writer& out, const Backend& backend, const Word& zone) {
  out.open({"upstream", upstream_name(backend.name)});
  out.line({"zone", zone});
  if (backend.balance == Balance::least_connections) out.line({"least_conn"});
  if (backend.balance == Balance::source_hash) out.line({"hash", "$remote_addr", "consistent"});
  write_endpoints(out, backend);
  if (backend.protocol == Protocol::http) {
    out.line({"keepalive", idle_connections});
    out.line({"keepalive_timeout", idle_connection_timeout});
  }
  out.close();
}

void write_upstreams(Writer& out, const State& state, Protocol protocol) {
  bool is_first = true;
  for (const auto& backend : state.backends) {
    if (backend.protocol != protocol || backend.endpoints.empty()) continue;
    write_upstream(out, backend, zone_words(state, protocol, is_first));
    is_first = false;
  }
}

void write_limits(Writer& out, const Listener& listener, const Route& route) {
  if (route.rate_limit) {
    const Word zone = Word::own("zone=" + zone_name("req", listener, route));
    if (route.rate_limit->burst == 0) {
      out.line({"limit_req", zone});
    } else {
      out.line({"limit_req", zone, Word::own("burst=" + std::to_string(route.rate_limit->burst)), "nodelay"});
    }
  }
  if (route.connection_limit) {
    out.line({"limit_conn", Word::own(zone_name("conn", listener, route)), route.connection_limit->at_once});
  }
}

void write_proxy(Writer& out, const Listener& listener, const Route& route, const Backend& backend) {
  if (backend.endpoints.empty()) {
    out.line({"return", "503"});
    return;
  }
  write_limits(out, listener, route);
  const std::uint64_t connect_ms = backend.connect_timeout_ms;
  out.line({"proxy_connect_timeout", ms(connect_ms)});
  out.line({"proxy_next_upstream_timeout", ms(connect_ms * retry_connects)});
  for (const char* idle : {"proxy_read_timeout", "proxy_send_timeout", "client_body_timeout", "send_timeout"}) {
    out.line({idle, ms(backend.idle_timeout_ms)});
  }
  out.line({"proxy_pass", Word::own("http://k4t_" + backend.name)});
}

/// A path other than the root takes itself and what is below it: two locations with the same content.
void write_route(Writer& out, const Listener& listener, const Route& route, const Backends& backends) {
  const std::string path(gateway::without_final_slash(route.path));
  const Backend& backend = *backends.at(route.backend);
  if (!path.empty()) {
    out.open({"location", "=", Word::text(path)});
    write_proxy(out, listener, route, backend);
    out.close();
  }
  out.open({"location", Word::text(path + "/")});
  write_proxy(out, listener, route, backend);
  out.close();
}

void write_listens(Writer& out, const Placement& placement, std::uint16_t port, bool is_default) {
  for (const auto& address : placement.listen) {
    const Word socket = Word::own(gateway::socket_text(address, port));
    if (is_default) {
      out.line({"listen", socket, "default_server"});
    } else {
      out.line({"listen", socket});
    }
  }
}

void write_proxy_defaults(Writer& out) {
  out.line({"client_max_body_size", "0"});
  out.line({"limit_req_status", "429"});
  out.line({"limit_conn_status", "503"});
  out.line({"proxy_http_version", "1.1"});
  out.line({"proxy_buffering", "off"});
  out.line({"proxy_redirect", "off"});
  out.line({"proxy_next_upstream", "error", "timeout"});
  out.line({"proxy_ignore_headers", "X-Accel-Redirect", "X-Accel-Limit-Rate", "X-Accel-Buffering", "X-Accel-Charset"});
  out.line({"proxy_set_header", "Host", "$http_host"});
  out.line({"proxy_set_header", "Upgrade", "$k4t_upgrade"});
  out.line({"proxy_set_header", "Connection", "$k4t_connection"});
  out.line({"proxy_set_header", "X-Forwarded-For", "$proxy_add_x_forwarded_for"});
  out.line({"proxy_set_header", "X-Forwarded-Proto", "$scheme"});
}

void write_host(Writer& out, const Listener& listener, const std::string& host, const std::vector<const Route*>& routes,
                const Backends& backends, const Placement& placement) {
  out.open({"server"});
  write_listens(out, placement, listener.port, host.empty());
  out.line({"server_name", Word::text(host)});
  if (!routes.empty()) write_proxy_defaults(out);
  bool has_root = false;
  for (const Route* route : routes) {
    write_route(out, listener, *route, backends);
    has_root = has_root || route->path == "/";
  }
  if (!has_root) out.open({"location", "/"}).line({"return", "404"}).close();
  out.close();
}

void write_http_zones(Writer& out, const Listener& listener) {
  for (const auto& route : listener.routes) {
    if (route.rate_limit) {
      out.line({"limit_req_zone", client_key,
                Word::own("zone=" + zone_name("req", listener, route) + ":" + limit_zone_size),
                Word::own("rate=" + std::to_string(route.rate_limit->per_second) + "r/s")});
    }
    if (route.connection_limit) {
      out.line({"limit_conn_zone", client_key,
                Word::own("zone=" + zone_name("conn", listener, route) + ":" + limit_zone_size)});
    }
  }
}

void write_http_listener(Writer& out, const Listener& listener, const Backends& backends, const Placement& placement) {
  write_http_zones(out, listener);
  // The empty host is always there: it answers for hosts that nobody named, with 404 where it has no route.
  std::map<std::string, std::vector<const Route*>> hosts{{std::string(), {}}};
  for (const auto& route : listener.routes) hosts[route.host].push_back(&route);
  for (const auto& [host, routes] : hosts) write_host(out, listener, host, routes, backends, placement);
}

/// Only WebSocket may change the protocol of a connection: any other Upgrade (h2c, say) would carry requests past the
/// routes and limits of this file.
void write_upgrade_maps(Writer& out) {
  out.open({"map", "$http_upgrade", "$k4t_upgrade"});
  out.line({"default", "\"\""}).line({"websocket", "websocket"}).close();
  out.open({"map", "$k4t_upgrade", "$k4t_connection"});
  out.line({"default", "\"\""}).line({"websocket", "upgrade"}).close();
}

/// Over TCP, not a unix socket: that would survive a killed master and keep nginx from starting.
void write_status(Writer& out, const Register& at, const Placement& placement) {
  out.open({"server"});
  out.line({"listen", Word::own(gateway::socket_text("127.0.0.1", placement.status_port))});
  out.line({"access_log", "off"});
  out.line({"default_type", "text/plain"});
  out.line({"return", "200", Word::own("\"k4t 1 " + to_text(at) + " $pid\\n\"")});
  out.close();
}

std::string render_http(const Register& at, const State& state, const Backends& backends, const Placement& placement) {
  Writer out;
  write_status(out, at, placement);
  write_upgrade_maps(out);
  write_upstreams(out, state, Protocol::http);
  for (const auto& listener : state.listeners) {
    if (listener.protocol == Protocol::http) write_http_listener(out, listener, backends, placement);
  }
  return out.text();
}

void write_tcp_listener(Writer& out, const Listener& listener, const Backend& backend, const Placement& placement) {
  const std::string zone = zone_name("conn", listener.port, {}, {});
  if (listener.connection_limit) {
    out.line({"limit_conn_zone", client_key, Word::own("zone=" + zone + ":" + limit_zone_size)});
  }
  out.open({"server"});
  write_listens(out, placement, listener.port, false);
  if (backend.endpoints.empty()) {
    out.line({"return", "\"\""}).close();
    return;
  }
  if (listener.connection_limit) out.line({"limit_conn", Word::own(zone), listener.connection_limit->at_once});
  out.line({"proxy_connect_timeout", ms(backend.connect_timeout_ms)});
  out.line({"proxy_timeout", ms(backend.idle_timeout_ms)});
  out.line({"proxy_pass", upstream_name(backend.name)});
  out.close();
}

std::string render_stream(const State& state, const Backends& backends, const Placement& placement) {
  Writer out;
  write_upstreams(out, state, Protocol::tcp);
  for (const auto& listener : state.listeners) {
    if (listener.protocol == Protocol::tcp) {
      write_tcp_listener(out, listener, *backends.at(listener.backend), placement);
    }
  }
  return out.text();
}

}  // namespace

std::vector<Socket> sockets_of(const State& state, const Placement& placement) {
  std::vector<Socket> sockets{{"127.0.0.1", placement.status_port}};
  for (const auto& listener : state.listeners) {
    for (const auto& address : placement.listen) sockets.push_back({address, listener.port});
  }
  return sockets;
}

Files render(const Register& at, const State& state, const Placement& placement) {
  Backends backends;
  for (const auto& backend : state.backends) backends.emplace(backend.name, &backend);
  const std::string http = render_http(at, state, backends, placement);
  const std::string stream = render_stream(state, backends, placement);
  return Files{first_line(at, http) + http, first_line(at, stream) + stream};
}

}  // namespace k4t::nginx
