#include "render.hpp"

#include <gtest/gtest.h>

#include "register_text.hpp"
#include "syntax.hpp"

namespace k4t::nginx {
namespace {

using gateway::Backend;
using gateway::Balance;
using gateway::Listener;
using gateway::Protocol;
using gateway::State;

const Register at{"demo", 43, "0123456789abcdef0123456789abcdef", "feed.7"};
const Placement here{{"192.0.2.1"}, 8911};

State web() {
  State state;
  state.backends = {{"web", Protocol::http, Balance::round_robin, {{"192.0.2.11", 20000}}, {}, 2000, 60000}};
  Listener listener;
  listener.port = 80;
  listener.routes = {{"app.example.net", "/api", "web", {}, {}}};
  state.listeners = {listener};
  return state;
}

State tcp() {
  State state;
  state.backends = {{"db", Protocol::tcp, Balance::least_connections, {{"2001:db8::1", 5432}}, {}, 500, 1000}};
  Listener listener;
  listener.port = 5432;
  listener.protocol = Protocol::tcp;
  listener.backend = "db";
  state.listeners = {listener};
  return state;
}

std::string without_first_line(const std::string& text) { return text.substr(text.find('\n') + 1); }

constexpr const char* status_and_maps = R"(server {
  listen 127.0.0.1:8911;
  access_log off;
  default_type text/plain;
  return 200 "k4t 1 demo 43 0123456789abcdef0123456789abcdef feed.7 $pid\n";
}
map $http_upgrade $k4t_upgrade {
  default "";
  websocket websocket;
}
map $k4t_upgrade $k4t_connection {
  default "";
  websocket upgrade;
}
)";

TEST(Render, AnEmptyStateHasTheStatusListenerAlone) {
  const Files files = render(at, {}, here);
  EXPECT_EQ(without_first_line(files.http), status_and_maps);
  EXPECT_EQ(without_first_line(files.stream), "");
}

TEST(Render, TheFirstLineIsTheRegisterAndTheDigestOfTheRest) {
  const Files files = render(at, web(), here);
  const std::string line = files.http.substr(0, files.http.find('\n'));
  EXPECT_TRUE(line.starts_with("# k4t 1 demo 43 0123456789abcdef0123456789abcdef feed.7 sha256="));
  ASSERT_TRUE(parse_first_line(line));
  EXPECT_EQ(parse_first_line(line)->at, at);
  EXPECT_EQ(first_line(at, without_first_line(files.http)), line + "\n");
}

TEST(Render, AnHttpRouteIsTwoLocationsOfWholeSegments) {
  const std::string proxy = R"(    proxy_connect_timeout 2000ms;
    proxy_next_upstream_timeout 8000ms;
    proxy_read_timeout 60000ms;
    proxy_send_timeout 60000ms;
    client_body_timeout 60000ms;
    send_timeout 60000ms;
    proxy_pass http://k4t_web;
  }
)";
  EXPECT_EQ(without_first_line(render(at, web(), here).http), std::string(status_and_maps) + R"(upstream k4t_web {
  zone k4t_http 67k;
  server 192.0.2.11:20000 max_fails=0;
  keepalive 32;
  keepalive_timeout 4s;
}
server {
  listen 192.0.2.1:80 default_server;
  server_name "";
  location / {
    return 404;
  }
}
server {
  listen 192.0.2.1:80;
  server_name app.example.net;
  client_max_body_size 0;
  limit_req_status 429;
  limit_conn_status 503;
  proxy_http_version 1.1;
  proxy_buffering off;
  proxy_redirect off;
  proxy_next_upstream error timeout;
  proxy_ignore_headers X-Accel-Redirect X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset;
  proxy_set_header Host $http_host;
  proxy_set_header Upgrade $k4t_upgrade;
  proxy_set_header Connection $k4t_connection;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  location = /api {
)" + proxy + "  location /api/ {\n" + proxy +
                                                                  R"(  location / {
    return 404;
  }
}
)");
}

TEST(Render, AllUpstreamsOfAProtocolShareOneZone) {
  State state = web();
  state.backends.push_back(state.backends[0]);
  state.backends[1].name = "web2";
  state.backends[1].endpoints.push_back({"192.0.2.12", 20000});
  state.backends.push_back(state.backends[0]);
  state.backends[2].name = "web3";
  state.backends[2].endpoints.clear();
  const std::string http = render(at, state, here).http;
  EXPECT_NE(http.find("upstream k4t_web {\n  zone k4t_http 71k;\n"), std::string::npos) << http;
  EXPECT_NE(http.find("upstream k4t_web2 {\n  zone k4t_http;\n"), std::string::npos) << http;
  EXPECT_EQ(http.find("upstream k4t_web3"), std::string::npos);
}

TEST(Render, ATcpListenerIsAStreamServer) {
  State state = tcp();
  state.listeners[0].connection_limit = {3};
  state.backends[0].health = gateway::Health{};
  EXPECT_EQ(without_first_line(render(at, state, here).stream), R"(upstream k4t_db {
  zone k4t_tcp 67k;
  least_conn;
  server [2001:db8::1]:5432 max_fails=3 fail_timeout=6s;
}
limit_conn_zone $binary_remote_addr zone=k4t_conn_a69114d08cb91e69:4m;
server {
  listen 192.0.2.1:5432;
  limit_conn k4t_conn_a69114d08cb91e69 3;
  proxy_connect_timeout 500ms;
  proxy_timeout 1000ms;
  proxy_pass k4t_db;
}
)");
}

TEST(Render, NoEndpointsAnswer503OrClose) {
  State state = web();
  state.backends[0].endpoints.clear();
  const std::string http = render(at, state, here).http;
  EXPECT_NE(http.find("location /api/ {\n    return 503;\n  }"), std::string::npos);
  EXPECT_EQ(http.find("upstream k4t_web"), std::string::npos);
  state = tcp();
  state.backends[0].endpoints.clear();
  EXPECT_EQ(without_first_line(render(at, state, here).stream),
            "server {\n  listen 192.0.2.1:5432;\n  return \"\";\n}\n");
}

TEST(Render, ALimitsZoneKeepsItsNameWhenOnlyItsRateChanges) {
  const auto zone = [](std::uint32_t rate, const std::string& path) {
    State state = web();
    state.listeners[0].routes[0].path = path;
    state.listeners[0].routes[0].rate_limit = {rate, 10};
    const std::string http = render(at, state, here).http;
    EXPECT_NE(http.find(" rate=" + std::to_string(rate) + "r/s;"), std::string::npos);
    EXPECT_NE(http.find(" burst=10 nodelay;"), std::string::npos);
    const auto begin = http.find("zone=k4t_req_");
    return http.substr(begin, http.find(':', begin) - begin);
  };
  EXPECT_EQ(zone(5, "/api"), zone(6, "/api"));
  EXPECT_NE(zone(5, "/api"), zone(5, "/other"));
}

TEST(Render, SourceHashIsConsistent) {
  State state = web();
  state.backends[0].balance = Balance::source_hash;
  EXPECT_NE(render(at, state, here).http.find("  hash $remote_addr consistent;\n"), std::string::npos);
}

TEST(Render, EveryListenAddressGetsTheListener) {
  const Placement both{{"192.0.2.1", "2001:db8::1"}, 8911};
  const std::string http = render(at, web(), both).http;
  EXPECT_NE(http.find("  listen 192.0.2.1:80 default_server;\n  listen [2001:db8::1]:80 default_server;\n"),
            std::string::npos);
  EXPECT_EQ(sockets_of(web(), both),
            (std::vector<Socket>{{"127.0.0.1", 8911}, {"192.0.2.1", 80}, {"2001:db8::1", 80}}));
}

TEST(Syntax, TextIsQuotedSoThatItStaysOneWord) {
  EXPECT_EQ(Word::text("plain-1.example_net/x:[::1]").written(), "plain-1.example_net/x:[::1]");
  EXPECT_EQ(Word::text("").written(), "\"\"");
  EXPECT_EQ(Word::text("a b").written(), "\"a b\"");
  EXPECT_EQ(Word::text("a;}{#").written(), "\"a;}{#\"");
  EXPECT_EQ(Word::text(R"(a"\)").written(), R"("a\"\\")");
  EXPECT_EQ(Word::text("a\n\r\tb").written(), R"("a\n\r\tb")");
  EXPECT_EQ(Word::text("$host").written(), "\"$host\"");
}

TEST(Validate, WhatNginxAloneCannotServeIsRefused) {
  const auto status = [](State state, auto&& change) {
    change(state);
    return validate(state, here).status();
  };
  constexpr auto bad = Status::invalid_argument;
  EXPECT_EQ(status(web(), [](State&) {}), Status::ok);
  EXPECT_EQ(status(tcp(), [](State&) {}), Status::ok);
  EXPECT_EQ(status(web(), [](State& s) { s.listeners[0].port = 8911; }), bad);
  EXPECT_EQ(status(web(), [](State& s) { s.listeners[0].routes[0].host = "*.example.net"; }), bad);
  EXPECT_EQ(status(tcp(), [](State& s) { s.listeners[0].rate_limit = {5, 0}; }), bad);
}

TEST(RegisterText, GoesThereAndBack) {
  EXPECT_EQ(to_text(at), "demo 43 0123456789abcdef0123456789abcdef feed.7");
  EXPECT_EQ(register_from_text(to_text(at)), at);
}

TEST(RegisterText, IsReadStrictly) {
  for (const char* bad : {"", "demo 43 0123456789abcdef0123456789abcdef", "demo x 0123456789abcdef0123456789abcdef w",
                          "demo 43 0123456789abcdef0123456789abcdef feed.7 more", "demo 43 short feed.7",
                          "demo  43 0123456789abcdef0123456789abcdef w", "de;mo 43 0123456789abcdef0123456789abcdef w",
                          "demo 99999999999999999999999 0123456789abcdef0123456789abcdef w"}) {
    EXPECT_FALSE(register_from_text(bad)) << bad;
  }
  EXPECT_FALSE(parse_first_line("# k4t 1 " + to_text(at) + " sha256=123"));
  EXPECT_FALSE(parse_first_line("# k4t 2 " + to_text(at) + " sha256=" + std::string(64, 'a')));
}

}  // namespace
}  // namespace k4t::nginx
