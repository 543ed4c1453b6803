#include <dlfcn.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "k4t/gateway.hpp"
#include "support/haproxy_server.hpp"
#include "support/http_peers.hpp"
#include "support/nginx_server.hpp"

/// The same state on gateways of two vendors, side by side: a client must not be able to tell them apart by anything
/// that gateway.hpp promises.

namespace k4t::testing {
namespace {

/// A plugin's driver as the master calls it, through the C boundary.
class Plugin {
 public:
  Plugin(const std::string& name, const OpenRequest& request) {
    const std::string path = std::string(K4T_BINARY_DIR) + "/plugins/" + name + ".so";
    void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
    driver_ = static_cast<const k4t_driver*>(::dlsym(library, K4T_DRIVER_SYMBOL));
    if (driver_ == nullptr) throw std::runtime_error(path + " exports no driver");
    HostCall host(CallOptions{});
    const std::string text = Json(request).dump();
    const auto opened = host.finish(driver_->open(host.raw(), text.data(), text.size(), &handle_));
    if (!opened) throw std::runtime_error(opened.error().message);
  }
  ~Plugin() { driver_->close(handle_); }
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  Json call(const std::string& method, const Json& request) {
    HostCall host(CallOptions{});
    const std::string text = request.dump();
    const auto reply =
        host.finish(driver_->call(handle_, host.raw(), method.data(), method.size(), text.data(), text.size()));
    if (!reply) throw std::runtime_error(method + ": " + reply.error().message + "\n" + reply.error().detail);
    return *reply;
  }

 private:
  const k4t_driver* driver_ = nullptr;
  void* handle_ = nullptr;
};

/// One gateway, with ports of its own for what the state calls 1, 2, ….
struct Gateway {
  std::string vendor;
  std::unique_ptr<Plugin> plugin;
  std::map<std::uint16_t, std::uint16_t> ports;
  std::optional<Register> seen;

  std::uint16_t port(std::uint16_t number) {
    auto& port = ports[number];
    if (port == 0) port = free_port();
    return port;
  }

  void deploy(gateway::State state) {
    for (auto& listener : state.listeners) listener.port = port(listener.port);
    std::sort(state.listeners.begin(), state.listeners.end());
    const std::uint64_t version = seen ? seen->version + 1 : 1;
    const std::string number = std::to_string(version);
    const Register target{"demo", version, std::string(32 - number.size(), '0') + number, "0123456789abcdef." + number};
    plugin->call("prepare", gateway::PrepareRequest{seen, target, state, {}});
    plugin->call("commit", CommitRequest{seen, target});
    seen = target;
  }
};

class Parity : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!NginxServer::available()) K4T_SKIP_OR_FAIL("nginx with its stream module is not installed");
    if (!HaproxyServer::available()) K4T_SKIP_OR_FAIL("HAProxy is not installed");
    nginx_.start();
    haproxy_.start();
    OpenRequest request{"demo",
                        "demo.example.net",
                        "gw1",
                        "127.0.0.1",
                        {{"config", nginx_.config().string()},
                         {"folder", nginx_.folder().string()},
                         {"pid_file", nginx_.pid_file().string()},
                         {"status_port", free_port()}}};
    gateways_[0] = {"nginx", std::make_unique<Plugin>("gateway-nginx", request), {}, {}};
    request.name = "gw2";
    request.options = {{"config", {haproxy_.config().string()}},
                       {"file", haproxy_.file().string()},
                       {"binary", HaproxyServer::binary()},
                       {"master_socket", haproxy_.master_socket().string()}};
    gateways_[1] = {"haproxy", std::make_unique<Plugin>("gateway-haproxy", request), {}, {}};
  }

  /// Deploys the state on both and runs `look` on each.
  void on_both(const gateway::State& state, const std::function<void(Gateway&)>& look) {
    for (auto& gateway : gateways_) {
      SCOPED_TRACE(gateway.vendor);
      gateway.deploy(state);
      look(gateway);
    }
  }

  static gateway::Backend backend(const std::string& name, const std::vector<const Endpoint*>& endpoints,
                                  gateway::Protocol protocol = gateway::Protocol::http) {
    gateway::Backend made;
    made.name = name;
    made.protocol = protocol;
    for (const auto* endpoint : endpoints) made.endpoints.push_back({"127.0.0.1", endpoint->port()});
    std::sort(made.endpoints.begin(), made.endpoints.end());
    return made;
  }

  static gateway::Listener http(const std::vector<gateway::Route>& routes) {
    return {1, gateway::Protocol::http, routes, {}, {}, {}};
  }

  Scratch scratch_;
  NginxServer nginx_{scratch_, "nginx"};
  HaproxyServer haproxy_{scratch_, "haproxy"};
  Gateway gateways_[2];
  Endpoint red_{"red"};
  Endpoint blue_{"blue"};
  Endpoint green_{"green"};
};

TEST_F(Parity, RoutesTakeTheSameRequests) {
  const gateway::State state{
      {http({{"", "/", "red", {}, {}},
             {"www.example.net", "/api", "blue", {}, {}},
             {"www.example.net", "/api/v2", "green", {}, {}},
             {"www.example.net", "/it's;$x", "red", {}, {}},
             {"www.example.net", "/nobody", "none", {}, {}}})},
      {backend("blue", {&blue_}), backend("green", {&green_}), backend("none", {}), backend("red", {&red_})}};
  struct Case {
    const char* host;
    const char* path;
    int status;
    const char* body;
  };
  const std::vector<Case> cases = {
      {"www.example.net", "/api", 200, "blue"},
      {"www.example.net", "/api/", 200, "blue"},
      {"www.example.net", "/api/x?y=/api/v2", 200, "blue"},
      {"www.example.net", "/apix", 404, nullptr},
      {"www.example.net", "/api/v2", 200, "green"},
      {"www.example.net", "/api/v2/x", 200, "green"},
      {"www.example.net", "/api/v20", 200, "blue"},
      {"www.example.net", "/", 404, nullptr},
      {"WWW.Example.NET:8080", "/api", 200, "blue"},
      {"www.example.net", "//api", 200, "blue"},
      {"www.example.net", "/%61pi", 200, "blue"},
      {"www.example.net", "/it's;$x/y", 200, "red"},
      {"www.example.net", "/nobody", 503, nullptr},
      {"other.example.net", "/api", 200, "red"},
      {"xwww.example.net", "/", 200, "red"},
      {"192.0.2.1", "/", 200, "red"},
  };
  on_both(state, [&](Gateway& gateway) {
    for (const auto& each : cases) {
      const auto answer = ask(gateway.port(1), {.host = each.host, .path = each.path});
      EXPECT_EQ(answer.status, each.status) << each.host << each.path;
      EXPECT_TRUE(each.body == nullptr || answer.body == each.body) << each.host << each.path << ' ' << answer.body;
    }
  });
}

TEST_F(Parity, AListenerWithNamedHostsAloneAnswersOthers404) {
  on_both({{http({{"www.example.net", "/", "red", {}, {}}})}, {backend("red", {&red_})}}, [&](Gateway& gateway) {
    EXPECT_EQ(ask(gateway.port(1)).status, 200);
    EXPECT_EQ(ask(gateway.port(1), {.host = "other.example.net"}).status, 404);
  });
}

TEST_F(Parity, RequestsKeepTheirHostAndGetTheForwardedHeaders) {
  on_both({{http({{"", "/", "red", {}, {}}})}, {backend("red", {&red_})}}, [&](Gateway& gateway) {
    const auto has = [](const Answer& answer, std::string line) {
      std::string text = answer.body;
      for (auto* each : {&text, &line}) {
        std::transform(each->begin(), each->end(), each->begin(), [](unsigned char c) { return std::tolower(c); });
      }
      return text.find("\r\n" + line + "\r\n") != std::string::npos;
    };
    const auto plain = ask(gateway.port(1), {.host = "www.example.net:81", .path = "/echo", .from = "127.0.0.9"});
    EXPECT_TRUE(has(plain, "Host: www.example.net:81")) << plain.body;
    EXPECT_TRUE(has(plain, "X-Forwarded-For: 127.0.0.9")) << plain.body;
    EXPECT_TRUE(has(plain, "X-Forwarded-Proto: http")) << plain.body;
    const auto chained = ask(gateway.port(1), {.path = "/echo",
                                               .headers = "X-Forwarded-For: 192.0.2.5, 192.0.2.6\r\n"
                                                          "X-Forwarded-Proto: https\r\n"});
    EXPECT_TRUE(has(chained, "X-Forwarded-For: 192.0.2.5, 192.0.2.6, 127.0.0.1")) << chained.body;
    EXPECT_TRUE(has(chained, "X-Forwarded-Proto: http")) << chained.body;
  });
}

TEST_F(Parity, RoundRobinGivesEveryEndpointItsTurn) {
  on_both({{http({{"", "/", "all", {}, {}}})}, {backend("all", {&red_, &blue_, &green_})}}, [&](Gateway& gateway) {
    std::map<std::string, int> counts;
    constexpr int turns = 30;
    for (int i = 0; i < 3 * turns; ++i) ++counts[ask(gateway.port(1)).body];
    // Each of a gateway's processes or threads takes its own turns.
    for (const auto* name : {"red", "blue", "green"}) EXPECT_NEAR(counts[name], turns, 4) << name;
  });
}

TEST_F(Parity, LeastConnectionsAvoidsBusyEndpoints) {
  auto both = backend("both", {&red_, &blue_});
  both.balance = gateway::Balance::least_connections;
  on_both({{http({{"", "/", "both", {}, {}}})}, {both}}, [&](Gateway& gateway) {
    auto held = std::make_unique<Connection>("127.0.0.1", gateway.port(1));
    held->send("GET /hold HTTP/1.1\r\nHost: www.example.net\r\n\r\n");
    ASSERT_TRUE(eventually([&] { return red_.holding() + blue_.holding() == 1; }));
    const std::string idle = red_.holding() == 1 ? "blue" : "red";
    // A gateway may still count a request whose answer the client has; such a tie goes either way.
    constexpr int requests = 40;
    int to_idle = 0;
    for (int i = 0; i < requests; ++i) to_idle += ask(gateway.port(1)).body == idle ? 1 : 0;
    EXPECT_GE(to_idle, requests * 3 / 4) << "round robin would give " << requests / 2;
    // The client goes first: for one that still waits a gateway may ask the other endpoint.
    held.reset();
    ASSERT_TRUE(eventually([&] {
      red_.disconnect();
      blue_.disconnect();
      return red_.holding() + blue_.holding() == 0;
    }));
  });
}

TEST_F(Parity, ASourceHashIsStickyAndMovesFewClients) {
  auto all = backend("all", {&red_, &blue_, &green_});
  all.balance = gateway::Balance::source_hash;
  auto two = backend("all", {&red_, &blue_});
  two.balance = gateway::Balance::source_hash;
  const std::vector<gateway::Listener> listeners = {http({{"", "/", "all", {}, {}}})};
  const auto who = [](Gateway& gateway) {
    std::map<int, std::string> answers;
    constexpr int clients = 30;
    for (int i = 1; i <= clients; ++i) {
      answers[i] = ask(gateway.port(1), {.from = "127.0." + std::to_string(i) + ".1"}).body;
    }
    return answers;
  };
  for (auto& gateway : gateways_) {
    SCOPED_TRACE(gateway.vendor);
    gateway.deploy({listeners, {all}});
    const auto before = who(gateway);
    EXPECT_EQ(who(gateway), before);
    std::set<std::string> used;
    for (const auto& [client, name] : before) used.insert(name);
    EXPECT_GE(used.size(), 2u);
    gateway.deploy({listeners, {two}});
    int moved = 0;
    for (const auto& [client, name] : who(gateway)) moved += before.at(client) != "green" && before.at(client) != name;
    EXPECT_LE(moved, 3) << "clients of endpoints that stayed";
  }
}

TEST_F(Parity, ADeadEndpointCostsNoRequest) {
  auto both = backend("both", {&red_});
  both.endpoints.push_back({"127.0.0.1", free_port()});
  std::sort(both.endpoints.begin(), both.endpoints.end());
  on_both({{http({{"", "/", "both", {}, {}}})}, {both}}, [&](Gateway& gateway) {
    for (int i = 0; i < 20; ++i) EXPECT_EQ(ask(gateway.port(1)).body, "red");
  });
}

TEST_F(Parity, ARateLimitRefusesTheExcessAndForgivesIt) {
  const gateway::State state{{http({{"", "/", "red", {}, {}}, {"", "/slow", "red", gateway::RateLimit{2, 5}, {}}})},
                             {backend("red", {&red_})}};
  on_both(state, [&](Gateway& gateway) {
    int served = 0;
    for (int i = 0; i < 20; ++i) {
      const int status = ask(gateway.port(1), {.path = "/slow"}).status;
      EXPECT_TRUE(status == 200 || status == 429) << status;
      served += status == 200 ? 1 : 0;
    }
    EXPECT_GE(served, 6);
    EXPECT_LE(served, 10) << "what the time of the test itself frees, on a slow machine";
    EXPECT_EQ(ask(gateway.port(1), {.path = "/slow", .from = "127.0.0.8"}).status, 200) << "another client";
    EXPECT_EQ(ask(gateway.port(1)).status, 200) << "another route";
    // A client that goes on asking too often still gets its rate.
    int later = 0;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(6);
    while (std::chrono::steady_clock::now() < until) later += ask(gateway.port(1), {.path = "/slow"}).status == 200;
    EXPECT_GE(later, 4);
    EXPECT_LE(later, 15);
  });
}

TEST_F(Parity, AConnectionLimitRefusesTheFourthAtOnce) {
  const gateway::State state{{http({{"", "/", "red", {}, gateway::ConnectionLimit{3}}})}, {backend("red", {&red_})}};
  on_both(state, [&](Gateway& gateway) {
    std::vector<Connection> held;
    for (int i = 1; i <= 3; ++i) {
      held.emplace_back("127.0.0.1", gateway.port(1));
      held.back().send("GET /hold HTTP/1.1\r\nHost: www.example.net\r\n\r\n");
      ASSERT_TRUE(eventually([&] { return red_.holding() == i; }));
    }
    EXPECT_EQ(ask(gateway.port(1)).status, 503);
    EXPECT_EQ(ask(gateway.port(1), {.from = "127.0.0.8"}).status, 200) << "another client";
    held.clear();
    red_.disconnect();
    EXPECT_TRUE(eventually([&] { return ask(gateway.port(1)).status == 200; }));
  });
}

TEST_F(Parity, AWebSocketPassesBothWays) {
  on_both({{http({{"", "/", "red", {}, {}}})}, {backend("red", {&red_})}}, [&](Gateway& gateway) {
    const Connection socket("127.0.0.1", gateway.port(1));
    socket.send(
        "GET /chat HTTP/1.1\r\nHost: www.example.net\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    EXPECT_TRUE(socket.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
    for (const std::string word : {"one", "two"}) {
      socket.send(word);
      EXPECT_EQ(socket.read_until(word), word);
    }
  });
}

TEST_F(Parity, TcpPassesBytesLimitsConnectionsAndClosesWithoutEndpoints) {
  gateway::Listener limited{2, gateway::Protocol::tcp, {}, "raw", {}, gateway::ConnectionLimit{2}};
  gateway::Listener empty{3, gateway::Protocol::tcp, {}, "none", {}, {}};
  const gateway::State state{
      {limited, empty}, {backend("none", {}, gateway::Protocol::tcp), backend("raw", {&red_}, gateway::Protocol::tcp)}};
  on_both(state, [&](Gateway& gateway) {
    EXPECT_EQ(ask(gateway.port(2)).body, "red");
    EXPECT_EQ(ask(gateway.port(3)).status, 0);
    std::vector<Connection> held;
    for (int i = 1; i <= 2; ++i) {
      held.emplace_back("127.0.0.1", gateway.port(2));
      held.back().send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
      ASSERT_TRUE(eventually([&] { return red_.holding() == i; }));
    }
    EXPECT_EQ(ask(gateway.port(2)).status, 0);
    held.clear();
    red_.disconnect();
    EXPECT_TRUE(eventually([&] { return ask(gateway.port(2)).body == "red"; }));
  });
}

TEST_F(Parity, EndpointsMayBeIpv6) {
  std::unique_ptr<Endpoint> six;
  try {
    six = std::make_unique<Endpoint>("six", "::1");
  } catch (const std::runtime_error&) {
    K4T_SKIP_OR_FAIL("this machine has no IPv6");
  }
  auto made = backend("six", {});
  made.endpoints = {{"::1", six->port()}};
  on_both({{http({{"", "/", "six", {}, {}}})}, {made}},
          [&](Gateway& gateway) { EXPECT_EQ(ask(gateway.port(1)).body, "six"); });
}

}  // namespace
}  // namespace k4t::testing
