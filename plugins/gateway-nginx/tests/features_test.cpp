#include <condition_variable>
#include <map>
#include <thread>

#include "peer.hpp"
#include "rig.hpp"

/// Every field of a gateway state means on nginx what gateway.hpp says, seen by real clients and real endpoints.

namespace k4t::nginx::testing {
namespace {

class Features : public Rig {
 protected:
  static gateway::Endpoint at(const Peer& peer) { return {"127.0.0.1", peer.port()}; }

  /// A TCP listener on port_ in front of the endpoints.
  [[nodiscard]] gateway::State tcp(const std::vector<gateway::Endpoint>& endpoints) const {
    gateway::State state = web(endpoints);
    state.backends[0].protocol = gateway::Protocol::tcp;
    state.listeners[0].protocol = gateway::Protocol::tcp;
    state.listeners[0].routes.clear();
    state.listeners[0].backend = "web";
    return state;
  }

  std::string get(const std::string& host, const std::string& path) const {
    const auto answer = request(port_, host, path);
    return std::to_string(answer.status) + (answer.status == 200 ? " " + answer.body : "");
  }

  std::uint64_t connections_to(const gateway::Endpoint& endpoint) {
    HostCall host(CallOptions{});
    Call call(*host.raw());
    const auto reply = driver_->connections({{endpoint}}, call);
    EXPECT_TRUE(reply) << text_of(reply);
    return reply ? reply->counts.at(0).connections : 0;
  }
};

TEST_F(Features, HostsAreExactAndPathsAreWholeSegmentsLongestFirst) {
  gateway::State state = web({serve("any")});
  const auto add = [&](const std::string& name, const std::string& host, const std::string& path) {
    state.backends.push_back({name, gateway::Protocol::http, {}, {serve(name)}, {}, 2000, 60000});
    state.listeners[0].routes.push_back({host, path, name, {}, {}});
  };
  add("root", "app.example.net", "/");
  add("api", "app.example.net", "/api");
  add("new", "app.example.net", "/api/v2/");
  add("odd", "odd.example.net", "/a;b$c'd");
  state.backends.push_back({"none", gateway::Protocol::http, {}, {}, {}, 2000, 60000});
  state.listeners[0].routes.push_back({"app.example.net", "/none", "none", {}, {}});
  deploy(state);

  EXPECT_EQ(get("app.example.net", "/"), "200 root");
  EXPECT_EQ(get("APP.example.net:80", "/x"), "200 root");
  EXPECT_EQ(get("app.example.net", "/api"), "200 api");
  EXPECT_EQ(get("app.example.net", "/api/x?y=/none"), "200 api");
  EXPECT_EQ(get("app.example.net", "/apix"), "200 root");
  EXPECT_EQ(get("app.example.net", "/api/v2"), "200 new");
  EXPECT_EQ(get("app.example.net", "/api/v2/x"), "200 new");
  EXPECT_EQ(get("app.example.net", "/api/v2x"), "200 api");
  EXPECT_EQ(get("app.example.net", "/none/x"), "503");
  EXPECT_EQ(get("odd.example.net", "/a;b$c'd/x"), "200 odd");
  EXPECT_EQ(get("odd.example.net", "/a;b"), "404");
  EXPECT_EQ(get("other.example.net", "/x"), "200 any");
  EXPECT_EQ(get("sub.app.example.net", "/x"), "200 any");
}

TEST_F(Features, AListenerWithoutRoutesAnswers404) {
  auto state = web({});
  state.listeners[0].routes.clear();
  deploy(state);
  EXPECT_EQ(get("app.example.net", "/"), "404");
}

TEST_F(Features, EndpointsSeeTheClientAndTheHostThatWasAskedFor) {
  deploy(web({serve("$http_host|$http_x_forwarded_for|$http_x_forwarded_proto|$request_uri")}));
  EXPECT_EQ(request(port_, "app.example.net:8080", "/a%20b?c=%2F", "X-Forwarded-For: 192.0.2.9\r\n").body,
            "app.example.net:8080|192.0.2.9, 127.0.0.1|http|/a%20b?c=%2F");
}

TEST_F(Features, LargeBodiesPass) {
  deploy(web({serve("$content_length")}));
  const std::string body(3u << 20, 'x');
  Connection client(port_);
  std::thread sender([&] {
    client.send("POST / HTTP/1.1\r\nHost: app.example.net\r\nConnection: close\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
  });
  const std::string answer = client.read_all();
  sender.join();
  EXPECT_TRUE(answer.ends_with("3145728")) << answer;
}

TEST_F(Features, RoundRobinTakesEndpointsInTurn) {
  deploy(web({serve("a"), serve("b"), serve("c")}));
  std::map<std::string, int> seen;
  for (int i = 0; i < 30; ++i) ++seen[request(port_, "app.example.net", "/").body];
  EXPECT_EQ(seen, (std::map<std::string, int>{{"a", 10}, {"b", 10}, {"c", 10}}));
}

TEST_F(Features, SourceHashKeepsAClientAtItsEndpoint) {
  auto state = web({serve("a"), serve("b"), serve("c")});
  state.backends[0].balance = gateway::Balance::source_hash;
  deploy(state);
  std::map<std::string, int> seen;
  for (int client = 1; client <= 20; ++client) {
    const std::string from = "127.0.1." + std::to_string(client);
    const auto first = request(port_, "app.example.net", "/", "", "GET", from).body;
    ++seen[first];
    for (int i = 0; i < 3; ++i) EXPECT_EQ(request(port_, "app.example.net", "/", "", "GET", from).body, first);
  }
  EXPECT_GT(seen.size(), 1u);
}

TEST_F(Features, LeastConnectionsAvoidsABusyEndpoint) {
  std::atomic<bool> release{false};
  Peer busy([&](int connection) {
    read_head(connection);
    eventually([&] { return release.load(); });
    write_text(connection, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy");
  });
  auto state = web({at(busy), serve("idle")});
  state.backends[0].balance = gateway::Balance::least_connections;
  deploy(state);
  std::vector<Connection> waiting;
  while (busy.accepted() == 0 && waiting.size() < 10) {
    waiting.emplace_back(port_).send("GET / HTTP/1.1\r\nHost: app.example.net\r\nConnection: close\r\n\r\n");
    waiting.back().read_until("idle", std::chrono::milliseconds(300));
  }
  ASSERT_EQ(busy.accepted(), 1);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get("app.example.net", "/"), "200 idle");
  release = true;
}

TEST_F(Features, AConnectionThatIsRefusedIsTriedOnAnotherEndpoint) {
  const auto good = serve("good");
  deploy(web({{"127.0.0.1", free_port()}, good}));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(request(port_, "app.example.net", "/", "", "GET").body, "good");
    EXPECT_EQ(request(port_, "app.example.net", "/", "Content-Length: 0\r\n", "POST").body, "good");
  }
}

TEST_F(Features, ARequestThatMayHaveBeenDoneIsNotRepeated) {
  Peer broken([](int connection) { read_head(connection); });
  Peer also_broken([](int connection) { read_head(connection); });
  deploy(web({at(broken), at(also_broken)}));
  EXPECT_EQ(request(port_, "app.example.net", "/", "Content-Length: 0\r\n", "POST").status, 502);
  EXPECT_EQ(broken.accepted() + also_broken.accepted(), 1);
}

TEST_F(Features, AnEndpointThatFailsIsTakenOutForAWhile) {
  Peer broken([](int connection) { read_head(connection); });
  auto state = web({at(broken), serve("good")});
  state.backends[0].health = gateway::Health{};
  state.backends[0].health->fall = 2;
  state.backends[0].health->interval_ms = 30000;
  deploy(state);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get("app.example.net", "/"), "200 good");
  EXPECT_EQ(broken.accepted(), 2);
}

TEST_F(Features, RequestsBeyondTheRateAndItsBurstAre429AndDoNotCount) {
  auto state = web({serve("ok")});
  state.listeners[0].routes[0].rate_limit = {1, 4};
  deploy(state);
  const auto begun = std::chrono::steady_clock::now();
  std::map<int, int> answers;
  for (int i = 0; i < 20; ++i) ++answers[request(port_, "app.example.net", "/").status];
  const auto passed_s = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begun);
  EXPECT_GE(answers[200], 5);
  EXPECT_LE(answers[200], 6 + passed_s.count());
  EXPECT_EQ(answers[200] + answers[429], 20);
  EXPECT_EQ(request(port_, "app.example.net", "/", "", "GET", "127.0.0.2").status, 200) << "another client";
  EXPECT_TRUE(eventually([&] { return request(port_, "app.example.net", "/").status == 200; }, std::chrono::seconds(5)))
      << "a client that goes on asking gets its rate";
  state.listeners[0].routes[0].rate_limit = {1000, 0};
  deploy(state);
}

TEST_F(Features, RequestsBeyondTheConnectionLimitAre503) {
  std::atomic<bool> release{false};
  Peer slow([&](int connection) {
    read_head(connection);
    eventually([&] { return release.load(); });
    write_text(connection, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nslow");
  });
  auto state = web({at(slow)});
  state.listeners[0].routes[0].connection_limit = {3};
  deploy(state);
  std::vector<Connection> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(port_).send("GET / HTTP/1.1\r\nHost: app.example.net\r\nConnection: close\r\n\r\n");
  }
  ASSERT_TRUE(eventually([&] { return slow.accepted() == 3; }));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(request(port_, "app.example.net", "/").status, 503);
  release = true;
  for (const auto& client : clients) EXPECT_TRUE(client.read_all().ends_with("slow"));
  EXPECT_EQ(request(port_, "app.example.net", "/").status, 200);
}

TEST_F(Features, TcpConnectionsReachTheEndpointAndTheExcessIsClosed) {
  Peer echoing(echo);
  auto state = tcp({at(echoing)});
  state.listeners[0].connection_limit = {2};
  deploy(state);
  std::vector<Connection> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back(port_).send("hello");
    EXPECT_EQ(clients.back().read_until("hello"), "hello");
  }
  Connection third(port_);
  third.send("hello");
  EXPECT_EQ(third.read_all(), "");
  clients.pop_back();
  EXPECT_TRUE(eventually([&] {
    Connection again(port_);
    again.send("hello");
    return again.read_until("hello") == "hello";
  }));
}

TEST_F(Features, TcpWithoutEndpointsIsClosed) {
  deploy(tcp({}));
  Connection client(port_);
  EXPECT_TRUE(client.is_open());
  EXPECT_EQ(client.read_all(), "");
}

TEST_F(Features, ARateLimitOnTcpIsRefusedWithTheRemedy) {
  auto state = tcp({});
  state.listeners[0].rate_limit = {5, 0};
  const auto outcome = prepare({}, next(), state);
  EXPECT_EQ(outcome.status(), Status::invalid_argument);
  EXPECT_NE(outcome.error().message.find("limit.rate.tcp"), std::string::npos);
}

TEST_F(Features, Ipv6EndpointsAreReached) {
  const auto port = free_port();
  endpoints_.set_http("server { listen [::1]:" + std::to_string(port) + "; return 200 six; }");
  endpoints_.start();
  deploy(web({{"::1", port}}));
  EXPECT_EQ(get("app.example.net", "/"), "200 six");
}

/// Answers an upgrade with 101 and echoes; anything else with the Upgrade header that it saw.
void websocket(int connection) {
  const std::string head = read_head(connection);
  if (head.find("Upgrade: websocket\r\n") != std::string::npos &&
      head.find("Connection: upgrade\r\n") != std::string::npos) {
    write_text(connection, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    return echo(connection);
  }
  const std::string body = head.find("Upgrade:") == std::string::npos ? "plain" : "upgrade";
  write_text(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
                             "\r\n\r\n" + body);
}

constexpr const char* upgrade_request =
    "GET / HTTP/1.1\r\nHost: app.example.net\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n";

TEST_F(Features, WebSocketsPassAndOtherUpgradesDoNot) {
  Peer peer(websocket);
  deploy(web({at(peer)}));
  Connection client(port_);
  client.send(upgrade_request);
  EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 101"));
  client.send("ping");
  EXPECT_EQ(client.read_until("ping"), "ping");
  EXPECT_EQ(request(port_, "app.example.net", "/", "Upgrade: h2c\r\n").body, "plain");
}

TEST_F(Features, ConnectionsThatAnOldWorkerStillHoldsAreCounted) {
  Peer peer(websocket);
  deploy(web({at(peer)}));
  EXPECT_EQ(connections_to(at(peer)), 0u);
  {
    Connection client(port_);
    client.send(upgrade_request);
    EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 101"));
    Connection stranger(peer.port());  // not the gateway's
    EXPECT_EQ(connections_to(at(peer)), 1u);
    deploy(web({}));
    EXPECT_EQ(connections_to(at(peer)), 1u);
    client.send("ping");
    EXPECT_EQ(client.read_until("ping"), "ping");
  }
  EXPECT_TRUE(eventually([&] { return connections_to(at(peer)) == 0; }));
}

TEST_F(Features, AThousandEndpointsFitTheirZone) {
  std::vector<gateway::Endpoint> endpoints;
  for (int i = 0; i < 1000; ++i) {
    endpoints.push_back({"2001:db8::" + std::to_string(1000 + i), static_cast<std::uint16_t>(20000 + i)});
  }
  auto state = web(endpoints);
  state.backends[0].balance = gateway::Balance::source_hash;
  deploy(state);
  EXPECT_TRUE(observe()->served);
}

}  // namespace
}  // namespace k4t::nginx::testing
