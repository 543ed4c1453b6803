#include "render.hpp"

#include <gtest/gtest.h>

#include "file.hpp"
#include "syntax.hpp"

namespace k4t::haproxy {
namespace {

using gateway::Backend;
using gateway::Balance;
using gateway::Listener;
using gateway::Protocol;
using gateway::State;

const Placement placement{"192.0.2.1", "/etc/haproxy/k4t.cfg.k4t/servers", 600};

State web() {
  Backend backend;
  backend.name = "web";
  backend.endpoints = {{"192.0.2.7", 8080}, {"2001:db8::7", 8080}};
  Listener listener;
  listener.port = 80;
  listener.routes = {{"www.example.net", "/api", "web", {}, {}}};
  return {{listener}, {backend}};
}

constexpr const char* defaults =
    "  hard-stop-after 600s\n"
    "\n"
    "defaults k4t-defaults\n"
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

TEST(Render, AnEmptyStateIsTheDefaultsAlone) { EXPECT_EQ(render({}, placement), defaults); }

TEST(Render, AnHttpRouteIsExactlyThisText) {
  EXPECT_EQ(render(web(), placement), std::string(defaults) + R"cfg(
frontend k4t-fe-80 from k4t-defaults
  bind 192.0.2.1:80
  timeout client 60000ms
  mode http
  option httplog
  http-request set-var(txn.k4t_host) "req.hdr(host),host_only,lower,regsub('[.]\$',)"
  http-request set-var(txn.k4t_path) path,url_dec,regsub(//+,/,g)
  http-request deny deny_status 400 if { var(txn.k4t_path) -m sub /./ /../ } or { var(txn.k4t_path) -m end /. /.. }
  acl k4t_named var(txn.k4t_host) -m str -- 'www.example.net'
  http-request set-var(txn.k4t_route) int(1) if !{ var(txn.k4t_route) -m found } { var(txn.k4t_host) -m str -- 'www.example.net' } { var(txn.k4t_path) -m str -- '/api' }
  http-request set-var(txn.k4t_route) int(1) if !{ var(txn.k4t_route) -m found } { var(txn.k4t_host) -m str -- 'www.example.net' } { var(txn.k4t_path) -m beg -- '/api/' }
  http-request return status 404 content-type text/plain string "404 no route" unless { var(txn.k4t_route) -m found }
  http-request set-header X-Forwarded-For "%[req.fhdr(x-forwarded-for)], %[src]" if { req.fhdr_cnt(x-forwarded-for) -m int 1 }
  http-request add-header X-Forwarded-For %[src] unless { req.fhdr_cnt(x-forwarded-for) -m int 1 }
  http-request set-header X-Forwarded-Proto http
  use_backend k4t-be-web if { var(txn.k4t_route) -m int 1 }

backend k4t-be-web from k4t-defaults
  mode http
  balance roundrobin
  server-state-file-name '/etc/haproxy/k4t.cfg.k4t/servers'
  timeout connect 2000ms
  timeout server 60000ms
  timeout tunnel 60000ms
  server 192.0.2.7_8080 192.0.2.7:8080 id 839912431
  server 2001:db8::7_8080 [2001:db8::7]:8080 id 1874177690
)cfg");
}

TEST(Render, TcpWithLimitsAndHealthIsExactlyThisText) {
  State state = web();
  state.listeners[0] = {25, Protocol::tcp, {}, "web", gateway::RateLimit{5, 10}, gateway::ConnectionLimit{3}};
  state.backends[0].protocol = Protocol::tcp;
  state.backends[0].balance = Balance::source_hash;
  state.backends[0].health = gateway::Health{};
  state.backends[0].endpoints = {{"192.0.2.7", 25}};
  EXPECT_EQ(render(state, placement), std::string(defaults) + R"cfg(
frontend k4t-fe-25 from k4t-defaults
  bind 192.0.2.1:25
  timeout client 60000ms
  mode tcp
  option tcplog
  tcp-request connection track-sc0 src table k4t-rate-25-0
  tcp-request connection reject if { sc0_gpc0_rate(k4t-rate-25-0) ge 11 }
  tcp-request connection sc-inc-gpc0(0)
  tcp-request connection track-sc1 src table k4t-conn-25-0
  tcp-request connection reject if { sc1_conn_cur(k4t-conn-25-0) gt 3 }
  default_backend k4t-be-web

backend k4t-rate-25-0 from k4t-defaults
  stick-table type ipv6 size 1m expire 10000ms store gpc0,gpc0_rate(2200ms)

backend k4t-conn-25-0 from k4t-defaults
  stick-table type ipv6 size 1m expire 10000ms store conn_cur

backend k4t-be-web from k4t-defaults
  mode tcp
  balance source
  hash-type consistent
  server-state-file-name '/etc/haproxy/k4t.cfg.k4t/servers'
  timeout connect 2000ms
  timeout server 60000ms
  timeout tunnel 60000ms
  timeout check 1000ms
  server 192.0.2.7_25 192.0.2.7:25 id 2145535158 check inter 2000ms rise 2 fall 3
)cfg");
}

TEST(Render, OnlyServerLinesDifferWhenOnlyEndpointsDiffer) {
  State more = web();
  more.backends[0].endpoints.push_back({"192.0.2.9", 80});
  const auto before = layout_of(render(web(), placement));
  const auto after = layout_of(render(more, placement));
  EXPECT_EQ(before.skeleton, after.skeleton);
  EXPECT_EQ(before.servers.size() + 1, after.servers.size());
  EXPECT_EQ(before.binds, std::vector<std::string>{"192.0.2.1:80"});
  EXPECT_EQ(after.servers[0], before.servers[0]) << "others do not change a server's number";
}

TEST(Render, ARateIsCountedInAWindowThatItsBurstFills) {
  EXPECT_EQ(window_of({5, 10}).events, 11u);
  EXPECT_EQ(window_of({5, 10}).period_ms, 2200u);
  EXPECT_EQ(window_of({1, 0}).period_ms, 1000u);
  EXPECT_EQ(window_of({2000, 0}).events, 20u) << "no window is shorter than 10 ms";
}

TEST(Syntax, AQuotedTextIsOneWordWhateverIsInIt) {
  EXPECT_EQ(quote("a b"), "'a b'");
  EXPECT_EQ(quote("it's"), "'it'\\''s'");
  EXPECT_EQ(quote("${A} %[src] # \\ \" ;"), "'${A} %[src] # \\ \" ;'");
  EXPECT_FALSE(is_writable("a\nb"));
  EXPECT_TRUE(is_plain("a-b_c.9"));
  for (const char* text : {"", ".a", "a/b", "a b", "a;b", "a\nb", "a)b", "ä"}) EXPECT_FALSE(is_plain(text)) << text;
}

}  // namespace
}  // namespace k4t::haproxy
