#include "render.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "k4t/gateway_rules.hpp"
#include "syntax.hpp"

namespace k4t::haproxy {
namespace {

using gateway::Backend;
using gateway::Balance;
using gateway::Endpoint;
using gateway::Listener;
using gateway::Protocol;
using gateway::Route;
using gateway::State;

std::string ms(std::uint64_t value) { return std::to_string(value) + "ms"; }

/// A server's number decides its place on the ring of the source hash. Made from address and port it stays where it is
/// when others come and go, over reloads too. 31 bits: what HAProxy accepts.
std::uint32_t number_of(const std::string& name) {
  std::uint32_t hash = 2166136261u;  // FNV-1a
  for (const unsigned char c : name) hash = (hash ^ c) * 16777619u;
  return (hash & 0x7fffffffu) == 0 ? 1 : hash & 0x7fffffffu;
}

std::string check_words(const Backend& backend) {
  if (!backend.health) return {};
  const auto& health = *backend.health;
  return " check inter " + ms(health.interval_ms) + " rise " + std::to_string(health.rise) + " fall " +
         std::to_string(health.fall);
}

void put_servers(std::string& out, const Backend& backend) {
  std::set<std::uint32_t> taken;
  for (const Endpoint& endpoint : backend.endpoints) {
    const std::string name = server_name(endpoint);
    std::uint32_t number = number_of(name);
    while (!taken.insert(number).second) number = number == 0x7fffffffu ? 1 : number + 1;
    out += "  server " + name + " " + gateway::socket_text(endpoint.address, endpoint.port) + " id " +
           std::to_string(number) + check_words(backend) + "\n";
  }
}

std::string balance_lines(Balance balance) {
  switch (balance) {
    case Balance::round_robin: return "  balance roundrobin\n";
    case Balance::least_connections: return "  balance leastconn\n";
    case Balance::source_hash: return "  balance source\n  hash-type consistent\n";
  }
  return {};
}

void put_health(std::string& out, const gateway::Health& health) {
  out += "  timeout check " + ms(health.timeout_ms) + "\n";
  if (health.protocol != Protocol::http) return;
  out += "  option httpchk\n";
  out += "  http-check send meth GET uri " + quote(health.path) +
         " ver HTTP/1.1 hdr Host localhost hdr Connection close\n";
  out += "  http-check expect status 200-399\n";
}

void put_backend(std::string& out, const Backend& backend, const Placement& placement) {
  const bool http = backend.protocol == Protocol::http;
  out += "\nbackend " + proxy_of(backend.name) + " from k4t-defaults\n";
  out += http ? "  mode http\n" : "  mode tcp\n";
  out += balance_lines(backend.balance);
  out += "  server-state-file-name " + quote(placement.server_state_file) + "\n";
  out += "  timeout connect " + ms(backend.connect_timeout_ms) + "\n";
  out += "  timeout server " + ms(backend.idle_timeout_ms) + "\n";
  out += "  timeout tunnel " + ms(backend.idle_timeout_ms) + "\n";
  if (backend.health) put_health(out, *backend.health);
  put_servers(out, backend);
}

/// The stick table of one limit. It is a proxy of its own, because a proxy has only one.
void put_table(std::string& out, const std::string& name, const std::string& stored, std::uint64_t expire_ms) {
  out += "\nbackend " + name + " from k4t-defaults\n";
  out += "  stick-table type ipv6 size 1m expire " + ms(expire_ms) + " store " + stored + "\n";
}

constexpr std::uint64_t entry_min_ms = 10000;

struct Tables {
  std::string rate;
  std::string connections;
};

Tables tables_of(const Listener& listener, std::size_t route) {
  const std::string where = std::to_string(listener.port) + "-" + std::to_string(route);
  return {"k4t-rate-" + where, "k4t-conn-" + where};
}

void put_tables(std::string& out, const Tables& tables, const std::optional<gateway::RateLimit>& rate,
                const std::optional<gateway::ConnectionLimit>& connections) {
  if (rate) {
    const auto window = window_of(*rate);
    put_table(out, tables.rate, "gpc0,gpc0_rate(" + ms(window.period_ms) + ")",
              std::max(entry_min_ms, 2 * window.period_ms));
  }
  if (connections) put_table(out, tables.connections, "conn_cur", entry_min_ms);
}

std::string is_route(std::size_t number) { return "{ var(txn.k4t_route) -m int " + std::to_string(number) + " }"; }

/// The counter grows only for what is let through: refused requests do not keep a client out.
void put_route_limits(std::string& out, const Tables& tables, const Route& route, std::size_t number) {
  const std::string here = is_route(number);
  if (route.rate_limit) {
    out += "  http-request track-sc0 src table " + tables.rate + " if " + here + "\n";
    out += "  http-request deny deny_status 429 if " + here + " { sc0_gpc0_rate(" + tables.rate + ") ge " +
           std::to_string(window_of(*route.rate_limit).events) + " }\n";
    out += "  http-request sc-inc-gpc0(0) if " + here + "\n";
  }
  if (route.connection_limit) {
    out += "  http-request track-sc1 src table " + tables.connections + " if " + here + "\n";
    out += "  http-request deny deny_status 503 if " + here + " { sc1_conn_cur(" + tables.connections + ") gt " +
           std::to_string(route.connection_limit->at_once) + " }\n";
  }
}

std::string host_condition(const Route& route) {
  if (!route.host.empty()) return "{ var(txn.k4t_host) -m str -- " + quote(route.host) + " }";
  return "!k4t_named";
}

void put_route_choice(std::string& out, const Route& route, std::size_t number) {
  const auto path = gateway::without_final_slash(route.path);
  const std::string set = "  http-request set-var(txn.k4t_route) int(" + std::to_string(number) +
                          ") if !{ var(txn.k4t_route) -m found } " + host_condition(route);
  if (path.empty()) {
    out += set + "\n";
    return;
  }
  out += set + " { var(txn.k4t_path) -m str -- " + quote(path) + " }\n";
  out += set + " { var(txn.k4t_path) -m beg -- " + quote(std::string(path) + "/") + " }\n";
}

void put_named_hosts(std::string& out, const Listener& listener) {
  std::set<std::string> hosts;
  for (const auto& route : listener.routes) {
    if (!route.host.empty()) hosts.insert(route.host);
  }
  // An ACL of this name must exist even where no host is named: compared with a value that no host can have.
  if (hosts.empty()) hosts.insert("/");
  for (const auto& host : hosts) out += "  acl k4t_named var(txn.k4t_host) -m str -- " + quote(host) + "\n";
}

void put_forwarded_headers(std::string& out) {
  const std::string one = "{ req.fhdr_cnt(x-forwarded-for) -m int 1 }";
  out += "  http-request set-header X-Forwarded-For \"%[req.fhdr(x-forwarded-for)], %[src]\" if " + one + "\n";
  out += "  http-request add-header X-Forwarded-For %[src] unless " + one + "\n";
  out += "  http-request set-header X-Forwarded-Proto http\n";
}

/// Longest path first, so that the first rule that takes a request is the right one. The numbers are the places in
/// listener.routes, counted from 1.
std::vector<std::size_t> by_length(const Listener& listener) {
  std::vector<std::size_t> order(listener.routes.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return gateway::without_final_slash(listener.routes[a].path).size() >
           gateway::without_final_slash(listener.routes[b].path).size();
  });
  return order;
}

void put_http(std::string& out, const Listener& listener) {
  out += "  mode http\n  option httplog\n";
  out += "  http-request set-var(txn.k4t_host) \"req.hdr(host),host_only,lower,regsub('[.]\\$',)\"\n";
  out += "  http-request set-var(txn.k4t_path) path,url_dec,regsub(//+,/,g)\n";
  // A path that climbs has no segments to compare: nobody's route, and nothing that a browser would send.
  out +=
      "  http-request deny deny_status 400 if { var(txn.k4t_path) -m sub /./ /../ } or "
      "{ var(txn.k4t_path) -m end /. /.. }\n";
  put_named_hosts(out, listener);
  for (const auto i : by_length(listener)) put_route_choice(out, listener.routes[i], i + 1);
  out +=
      "  http-request return status 404 content-type text/plain string \"404 no route\" unless "
      "{ var(txn.k4t_route) -m found }\n";
  for (std::size_t i = 0; i < listener.routes.size(); ++i) {
    put_route_limits(out, tables_of(listener, i + 1), listener.routes[i], i + 1);
  }
  put_forwarded_headers(out);
  for (std::size_t i = 0; i < listener.routes.size(); ++i) {
    out += "  use_backend " + proxy_of(listener.routes[i].backend) + " if " + is_route(i + 1) + "\n";
  }
}

void put_tcp(std::string& out, const Listener& listener) {
  const Tables tables = tables_of(listener, 0);
  out += "  mode tcp\n  option tcplog\n";
  if (listener.rate_limit) {
    out += "  tcp-request connection track-sc0 src table " + tables.rate + "\n";
    out += "  tcp-request connection reject if { sc0_gpc0_rate(" + tables.rate + ") ge " +
           std::to_string(window_of(*listener.rate_limit).events) + " }\n";
    out += "  tcp-request connection sc-inc-gpc0(0)\n";
  }
  if (listener.connection_limit) {
    out += "  tcp-request connection track-sc1 src table " + tables.connections + "\n";
    out += "  tcp-request connection reject if { sc1_conn_cur(" + tables.connections + ") gt " +
           std::to_string(listener.connection_limit->at_once) + " }\n";
  }
  out += "  default_backend " + proxy_of(listener.backend) + "\n";
}

/// A client may be silent as long as the most patient of the backends that it can reach allows.
std::uint32_t client_timeout_ms(const Listener& listener, const std::map<std::string, const Backend*>& backends) {
  std::uint32_t longest_ms = 0;
  const auto look = [&](const std::string& name) {
    const auto found = backends.find(name);
    if (found != backends.end()) longest_ms = std::max(longest_ms, found->second->idle_timeout_ms);
  };
  look(listener.backend);
  for (const auto& route : listener.routes) look(route.backend);
  return longest_ms == 0 ? Backend{}.idle_timeout_ms : longest_ms;
}

void put_listener(std::string& out, const Listener& listener, const std::map<std::string, const Backend*>& backends,
                  const Placement& placement) {
  out += "\nfrontend k4t-fe-" + std::to_string(listener.port) + " from k4t-defaults\n";
  out += "  bind " + gateway::socket_text(placement.listen, listener.port) + "\n";
  out += "  timeout client " + ms(client_timeout_ms(listener, backends)) + "\n";
  listener.protocol == Protocol::http ? put_http(out, listener) : put_tcp(out, listener);
  put_tables(out, tables_of(listener, 0), listener.rate_limit, listener.connection_limit);
  for (std::size_t i = 0; i < listener.routes.size(); ++i) {
    put_tables(out, tables_of(listener, i + 1), listener.routes[i].rate_limit, listener.routes[i].connection_limit);
  }
}

}  // namespace

std::string proxy_of(std::string_view backend) { return "k4t-be-" + std::string(backend); }

std::string server_name(const Endpoint& endpoint) { return endpoint.address + "_" + std::to_string(endpoint.port); }

RateWindow window_of(const gateway::RateLimit& limit) {
  constexpr std::uint64_t finest_ms = 10;  // below this HAProxy's clock is too coarse to count
  const std::uint64_t rate = std::max<std::uint64_t>(limit.per_second, 1);
  const std::uint64_t at_least = (rate * finest_ms + 999) / 1000;
  const std::uint64_t events = std::max<std::uint64_t>(std::uint64_t{limit.burst} + 1, at_least);
  return {events, (events * 1000 + rate - 1) / rate};
}

std::string render(const State& state, const Placement& placement) {
  std::string out = "  hard-stop-after " + std::to_string(placement.hard_stop_after_s) + "s\n";
  // The administrator's own defaults must not leak into these proxies: they have theirs, by name.
  out +=
      "\ndefaults k4t-defaults\n"
      "  mode http\n"
      "  log global\n"
      "  timeout connect 2s\n"
      "  timeout client 60s\n"
      "  timeout server 60s\n"
      "  timeout http-request 60s\n"
      "  timeout http-keep-alive 60s\n"
      "  retries 3\n"
      "  option redispatch 1\n"
      "  load-server-state-from-file local\n";
  std::map<std::string, const Backend*> backends;
  for (const auto& backend : state.backends) backends.emplace(backend.name, &backend);
  for (const auto& listener : state.listeners) put_listener(out, listener, backends, placement);
  for (const auto& backend : state.backends) put_backend(out, backend, placement);
  return out;
}

}  // namespace k4t::haproxy
