#include "k4t/gateway_rules.hpp"

#include <gtest/gtest.h>

namespace k4t::gateway {
namespace {

State web() {
  Backend backend;
  backend.name = "web";
  backend.endpoints = {{"192.0.2.7", 8080}, {"2001:db8::7", 8080}};
  Listener listener;
  listener.port = 80;
  listener.routes = {{"www.example.net", "/api", "web", {}, {}}};
  return {{listener}, {backend}};
}

State tcp() {
  State state = web();
  state.backends[0].protocol = Protocol::tcp;
  state.listeners[0].protocol = Protocol::tcp;
  state.listeners[0].routes.clear();
  state.listeners[0].backend = "web";
  return state;
}

TEST(Rules, HostsThatCannotBeComparedExactlyAreRefused) {
  for (const char* bad : {"*.example.net", "~^x$", ".example.net", "example.net.", "a..b", "Example.net", "a b", "a;b",
                          "a\"b", "a{b", "$host", "a\nb", "a#b", "a\\b", "[::zz]", "a/b"}) {
    State state = web();
    state.listeners[0].routes[0].host = bad;
    const auto outcome = check_rules(state);
    EXPECT_EQ(outcome.status(), Status::invalid_argument) << bad;
    EXPECT_TRUE(outcome.error().message.starts_with("listener 80: '")) << bad;
  }
  for (const char* good : {"app.example.net", "a_b", "192.0.2.1", "[2001:db8::1]", "x"}) {
    State state = web();
    state.listeners[0].routes[0].host = good;
    EXPECT_TRUE(check_rules(state)) << good;
  }
}

TEST(Rules, PathsThatCannotBeComparedAreRefused) {
  for (const char* bad : {"", "api", "//", "/a//b", "/a/../b", "/.", "/a b", "/a\"b", "/a{b", "/a}b", "/a\nb", "/a#b",
                          "/a\\b", "/a%20b", "/a?b", "/a\x01", "/\xc3\xa4"}) {
    State state = web();
    state.listeners[0].routes[0].path = bad;
    EXPECT_EQ(check_rules(state).status(), Status::invalid_argument) << bad;
  }
  for (const char* good : {"/", "/api", "/api/", "/a;b", "/a$b", "/a'b", "/~me/x.y_z-1", "/a=b&c", "/..."}) {
    State state = web();
    state.listeners[0].routes[0].path = good;
    EXPECT_TRUE(check_rules(state)) << good;
  }
}

TEST(Rules, WhatCouldBreakOutOfItsPlaceIsInvalid) {
  for (const std::string bad :
       {"a;b", "a\nb", "a b", "%[src]", "${HOME}", "a#b", "a'b", "a\"b", "a\\b", "", "A", "a/b"}) {
    State state = web();
    state.backends[0].name = bad;
    state.listeners[0].routes[0].backend = bad;
    EXPECT_EQ(check_rules(state).status(), Status::invalid_argument) << "backend " << bad;
    state = web();
    state.backends[0].endpoints[0].address = bad;
    EXPECT_EQ(check_rules(state).status(), Status::invalid_argument) << "address " << bad;
    if (bad.empty()) continue;
    state = web();
    state.listeners[0].routes[0].host = bad;
    EXPECT_EQ(check_rules(state).status(), Status::invalid_argument) << "host " << bad;
  }
  for (const std::string bad :
       {"", "a", "/a b", "/a\nb", "/%41", "/${A}", "/a#b", "/a\"b", "/a\\b", "/a//b", "/a/../b", "/./"}) {
    State state = web();
    state.listeners[0].routes[0].path = bad;
    EXPECT_EQ(check_rules(state).status(), Status::invalid_argument) << "path " << bad;
  }
  for (const std::string bad : {"", "health", "/a b", "/a\r\nX: y", "/a'\"b"}) {
    State state = web();
    state.backends[0].health = Health{Protocol::http, bad, 1000, 1000, 1, 1};
    EXPECT_EQ(check_rules(state).status(), Status::invalid_argument) << "health " << bad;
  }
  State odd = web();
  odd.listeners[0].routes[0].path = "/it's/$a;(b)";
  EXPECT_TRUE(check_rules(odd).ok());
}

TEST(Rules, WhatContradictsItselfIsInvalid) {
  const auto refused = [](auto&& change) {
    State state = web();
    change(state);
    return check_rules(state).status() == Status::invalid_argument;
  };
  EXPECT_TRUE(refused([](State& s) { s.listeners.push_back(s.listeners[0]); }));
  EXPECT_TRUE(refused([](State& s) { s.backends.push_back(s.backends[0]); }));
  EXPECT_TRUE(refused([](State& s) { s.listeners[0].port = 0; }));
  EXPECT_TRUE(refused([](State& s) { s.listeners[0].routes[0].backend = "none"; }));
  EXPECT_TRUE(refused([](State& s) { s.backends[0].protocol = Protocol::tcp; }));
  EXPECT_TRUE(refused([](State& s) { s.listeners[0].routes.push_back({"www.example.net", "/api/", "web", {}, {}}); }));
  EXPECT_TRUE(refused([](State& s) { s.listeners[0].routes[0].rate_limit = RateLimit{0, 1}; }));
  EXPECT_TRUE(refused([](State& s) { s.listeners[0].routes[0].rate_limit = RateLimit{1, 100000}; }));
  EXPECT_TRUE(refused([](State& s) { s.backends[0].endpoints.push_back(s.backends[0].endpoints[0]); }));
  EXPECT_TRUE(refused([](State& s) { s.backends[0].endpoints[0].address = "192.0.2.07"; }));
  EXPECT_TRUE(refused([](State& s) { s.backends[0].endpoints[0].address = "web.example.net"; }));
  EXPECT_TRUE(refused([](State& s) { s.backends[0].endpoints[0].address = "2001:DB8::1"; }));
  EXPECT_TRUE(refused([](State& s) { s.backends[0].endpoints[0].port = 0; }));
  EXPECT_TRUE(refused([](State& s) { s.backends[0].idle_timeout_ms = 0; }));
  EXPECT_TRUE(refused([](State& s) { s.backends[0].connect_timeout_ms = 0; }));
  EXPECT_TRUE(refused([](State& s) { s.listeners[0].routes[0].connection_limit = ConnectionLimit{0}; }));
  EXPECT_TRUE(refused([](State& s) { s.listeners[0].routes[0].connection_limit = ConnectionLimit{70000}; }));
  EXPECT_TRUE(refused([](State& s) { s.listeners[0].backend = "web"; }));
}

TEST(Rules, ATcpListenerHasOneBackendOfItsProtocol) {
  EXPECT_TRUE(check_rules(tcp()));
  State state = tcp();
  state.backends[0].protocol = Protocol::http;
  EXPECT_EQ(check_rules(state).status(), Status::invalid_argument);
  state = tcp();
  state.listeners[0].routes = web().listeners[0].routes;
  EXPECT_EQ(check_rules(state).status(), Status::invalid_argument);
  state = tcp();
  state.listeners[0].backend = "none";
  EXPECT_EQ(check_rules(state).error().message, "listener 80: there is no backend 'none'");
}

TEST(Rules, ABurstIsWorthLessThanADayOfItsRate) {
  State state = web();
  state.listeners[0].routes[0].rate_limit = RateLimit{2, 2 * 86400 - 1};
  EXPECT_TRUE(check_rules(state));
  state.listeners[0].routes[0].rate_limit = RateLimit{2, 2 * 86400};
  EXPECT_EQ(check_rules(state).status(), Status::invalid_argument);
}

TEST(Text, OnlyTheSystemsOwnFormOfAnAddressIsCanonical) {
  for (const char* good : {"192.0.2.1", "2001:db8::1", "::"}) EXPECT_TRUE(is_canonical_address(good)) << good;
  for (const char* bad : {"", "192.0.2.01", "192.0.2", "2001:DB8::1", "2001:db8:0::1", "[::1]", "localhost"}) {
    EXPECT_FALSE(is_canonical_address(bad)) << bad;
  }
  EXPECT_EQ(socket_text("192.0.2.1", 80), "192.0.2.1:80");
  EXPECT_EQ(socket_text("2001:db8::1", 80), "[2001:db8::1]:80");
}

TEST(Text, AFinalSlashAddsNothing) {
  EXPECT_EQ(without_final_slash("/api/"), "/api");
  EXPECT_EQ(without_final_slash("/api"), "/api");
  EXPECT_EQ(without_final_slash("/"), "");
}

}  // namespace
}  // namespace k4t::gateway
