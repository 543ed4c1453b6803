#include <gtest/gtest.h>

#include "samples.hpp"

namespace k4t::config::testing {
namespace {

struct Case {
  std::string more;      ///< what is added to the small service
  std::string expected;  ///< brief()
};

void expect_diagnostics(const std::vector<Case>& cases) {
  for (const auto& each : cases) {
    const auto loaded = parse_service_text(small_service(each.more));
    EXPECT_EQ(brief(loaded.diagnostics), each.expected) << "with " << each.more;
    EXPECT_EQ(loaded.ok(), !has_errors(loaded.diagnostics));
  }
}

TEST(ServiceFileTest, DefaultsAreTheModels) {
  const auto loaded = parse_service_text("[[service]]\nname = \"web\"\nimage = \"web:1\"\n");
  ASSERT_TRUE(loaded.ok()) << brief(loaded.diagnostics);
  model::Service expected;
  expected.name = "web";
  expected.image = "web:1";
  EXPECT_EQ(loaded.value->at(0), expected);
}

TEST(ServiceFileTest, EveryKeyReachesTheModel) {
  const auto loaded = parse_service_text(R"(
[[service]]
name = "api"
image = "registry.example.net/api:2"
replicas = 3
entrypoint = ["/bin/sh", "-c"]
command = ["one\ntwo", "${HOME} $K4T_X"]
env = {A = "b", CERTIFICATE = "line\nline"}
network = "host"
cpu = 0.25
memory = "64MiB"
pids = 100
user = "app:staff"
read_only = true
restart = "on_failure"
stop_timeout = "20s"
dns_servers = ["192.0.2.31", "2001:DB8::31"]
node_labels = {}
txt = ["v=1"]
drain_timeout = "2m"
[[service.port]]
name = "http"
[[service.port]]
name = "admin"
port = 9000
[service.health]
port = "admin"
http = "/healthz/"
interval = "500ms"
timeout = "250ms"
rise = 1
fall = 5
deadline = "90s"
[[service.expose]]
port = "admin"
protocol = "http"
listen = 8080
host = "API.Example.Net"
path = "/v1/"
balance = "source_hash"
connect_timeout = "1s"
idle_timeout = "5m"
rate_limit = {per_second = 5, burst = 10}
connections_per_client = 3
[[service.expose]]
listen = 7000
protocol = "tcp"
)");
  ASSERT_TRUE(loaded.ok()) << brief(loaded.diagnostics);
  model::Service expected;
  expected.name = "api";
  expected.image = "registry.example.net/api:2";
  expected.replicas = 3;
  expected.entrypoint = {"/bin/sh", "-c"};
  expected.command = {"one\ntwo", "${HOME} $K4T_X"};  // nothing is expanded
  expected.env = {{"A", "b"}, {"CERTIFICATE", "line\nline"}};
  expected.ports = {{"http", 0}, {"admin", 9000}};
  expected.network = runtime::Network::host;
  expected.cpu_millis = 250;
  expected.memory_bytes = 64U << 20U;
  expected.pids = 100;
  expected.user = "app:staff";
  expected.read_only = true;
  expected.restart = runtime::Restart::on_failure;
  expected.stop_timeout_s = 20;
  expected.dns_servers = {"192.0.2.31", "2001:db8::31"};
  expected.txt = {"v=1"};
  expected.drain_timeout_s = 120;
  expected.health = model::ServiceHealth{"admin", {gateway::Protocol::http, "/healthz/", 500, 250, 1, 5}, 90};
  model::Expose http;
  http.port = "admin";
  http.listen = 8080;
  http.host = "api.example.net";
  http.path = "/v1";
  http.balance = gateway::Balance::source_hash;
  http.rate_limit = gateway::RateLimit{5, 10};
  http.connection_limit = gateway::ConnectionLimit{3};
  http.connect_timeout_ms = 1000;
  http.idle_timeout_ms = 300'000;
  model::Expose tcp;
  tcp.port = "http";  // the first port
  tcp.protocol = gateway::Protocol::tcp;
  tcp.listen = 7000;
  expected.expose = {http, tcp};
  EXPECT_EQ(Json(loaded.value->at(0)), Json(expected));
}

TEST(ServiceFileTest, WrongKeysAndValuesAreNamedWithTheirPlaceAndRemedy) {
  expect_diagnostics({
      {"replica = 2\n", "5:1 020 unknown key \"replica\" in [[service]] | did you mean 'replicas'?\n"},
      {"replicas = 1001\n", "5:12 023 'replicas' is 1001: out of range | write a whole number from 0 to 1000\n"},
      {"replicas = -1\n", "5:12 023 'replicas' is -1: out of range | write a whole number from 0 to 1000\n"},
      {"replicas = 9223372036854775807\n",
       "5:12 023 'replicas' is 9223372036854775807: out of range | write a whole number from 0 to 1000\n"},
      {"replicas = 1.0\n", "5:12 022 'replicas' is a number with a fraction | write a whole number from 0 to 1000\n"},
      {"read_only = \"yes\"\n", "5:13 022 'read_only' is text | write true or false\n"},
      {"network = \"hots\"\n", "5:11 023 'network' is \"hots\" | did you mean 'host'?\n"},
      {"network = \"none\"\n", "5:11 023 'network' is \"none\" | write \"bridge\" or \"host\"\n"},
      {"command = [\"a\", 1]\n", "5:17 022 'command' is a whole number | write text of at most 16384 bytes\n"},
      {"command = \"a b\"\n", "5:11 022 'command' is text | write a list, each item text of at most 16384 bytes\n"},
      {"command = [\"a\\u0000\"]\n",
       "5:12 025 'command' is \"a\\u0000\", which has a control character | remove control characters other than "
       "newline and tab\n"},
      {"env = {\"A B\" = \"1\"}\n",
       "5:8 023 \"A B\" cannot be a variable: only letters, digits and '_' are allowed | choose another name\n"},
      {"env = {K4T_X = \"1\"}\n",
       "5:8 024 \"K4T_X\" cannot be a variable: variables that begin with 'K4T_' are k4t's own | choose another "
       "name\n"},
      {"env = {PORT_HTTP = \"1\"}\n",
       "5:8 024 \"PORT_HTTP\" cannot be a variable: k4t sets PORT and PORT_<NAME> from the service's ports | remove "
       "it, or choose another name\n"},
      {"env = {A = 1}\n", "5:12 022 'A' is a whole number | write text of at most 16384 bytes\n"},
      {"txt = [\"" + std::string(256, 'x') + "\"]\n",
       "5:8 026 'txt' has 256 bytes, more than 255 | write text of at most 255 bytes\n"},
      {"user = \"" + std::string(16385, 'x') + "\"\n", "5:8 026 'user' is longer than 16384 bytes | shorten it\n"},
      {"dns_servers = [\"resolver.example.net\"]\n",
       "5:16 023 'dns_servers' is \"resolver.example.net\": not an IPv4 or IPv6 address | write the IPv4 or IPv6 "
       "address of one machine\n"},
      {"[[service]]\nname = \"b\"\n",
       "5:1 021 [[service]] has neither 'image' nor 'command' | add the 'image' that instances are made of\n"},
      {"[[service]]\nname = \"b\"\nimage = \"b\"\n[[service.port]]\nname = \"p\"\n",
       "8:1 021 [[service.port]] has no 'port' | add 'port', the port in the container, or network = \"host\" to the "
       "service\n"},
      {"[[service]]\nname = \"b\"\nimage = \"b\"\nport = [{name = \"p\", port = 1}, {name = \"p\", port = 2}]\n",
       "8:41 030 port \"p\" is already declared at line 8 | give each its own 'name'\n"},
      {"[[service]]\nname = \"b\"\nimage = \"b\"\nport = [{name = \"p\", port = 65536}]\n",
       "8:29 023 'port' is 65536: out of range | write a whole number from 1 to 65535\n"},
  });
  EXPECT_EQ(brief(parse_service_text("name = \"web\"\n").diagnostics),
            "1:1 020 unknown key \"name\" in a service file | the keys here are: service\n"
            "1:1 021 a service file has no 'service' | add 'service', one [[service]] table each\n");
}

TEST(ServiceFileTest, HealthHasExactlyOneCheckOnAPortThatExists) {
  expect_diagnostics({
      {"health = {tcp = true}\n", ""},
      {"health = {}\n",
       "5:10 021 [service.health] has neither 'http' nor 'tcp' | add http = \"/PATH\" or tcp = true\n"},
      {"health = {tcp = true, http = \"/\"}\n", "5:11 027 'http' and 'tcp' exclude each other | remove one of them\n"},
      {"health = {tcp = false}\n", "5:17 023 'tcp' is false | write tcp = true, or http = \"/PATH\"\n"},
      {"health = {tcp = true, port = \"htp\"}\n", "5:30 031 the service has no port \"htp\" | did you mean 'http'?\n"},
      {"health = {http = \"/a b\"}\n",
       "5:18 023 'http' is \"/a b\": only letters, digits and - . _ ~ ! & ( ) * + , = : @ are allowed between slashes "
       "| write a path such as \"/healthz\"\n"},
      {"health = {tcp = true, interval = \"10ms\"}\n",
       "5:34 023 'interval' is \"10ms\": out of range | write a duration from 100ms to 1h, such as \"250ms\"\n"},
  });
  EXPECT_EQ(brief(parse_service_text("[[service]]\nname = \"a\"\nimage = \"a\"\nhealth = {tcp = true}\n").diagnostics),
            "4:10 031 the service has no port | add [[service.port]] with 'name' and 'port'\n");
}

TEST(ServiceFileTest, ExposeRefersToAPortAndItsProtocolsKeys) {
  expect_diagnostics({
      {"[[service.expose]]\nlisten = 80\nport = \"admin\"\n",
       "7:8 031 the service has no port \"admin\" | did you mean 'http'?\n"},
      {"[[service.expose]]\nport = \"http\"\n",
       "5:1 021 [[service.expose]] has no 'listen' | add 'listen', a port from 1 to 65535\n"},
      {"[[service.expose]]\nlisten = 80\nprotocol = \"tcp\"\nhost = \"a.b\"\npath = \"/\"\n",
       "8:1 027 'host' means nothing with protocol \"tcp\" | remove it, or write protocol = \"http\"\n"
       "9:1 027 'path' means nothing with protocol \"tcp\" | remove it, or write protocol = \"http\"\n"},
      {"[[service.expose]]\nlisten = 80\nrate_limit = {burst = 1}\n",
       "7:14 021 rate_limit has no 'per_second' | add 'per_second', a whole number from 1 to 1000000\n"},
      {"[[service.expose]]\nlisten = 80\nhost = \"*\"\n", ""},
      {"[[service.expose]]\nlisten = 80\nhost = \"*.example.net\"\n",
       "7:8 023 'host' is \"*.example.net\": only letters, digits, '-' and '.' are allowed | write a host name such as "
       "\"www.example.net\", or \"*\" for any\n"},
  });
}

TEST(ServiceFileTest, ListenersOfAllFilesMayNotOverlap) {
  const auto expose = [](const std::string& name, const std::string& keys) {
    return "[[service]]\nname = \"" + name + "\"\nimage = \"i\"\nport = [{name = \"p\", port = 1}]\nexpose = [{" +
           keys + "}]\n";
  };
  struct Pair {
    std::string first;
    std::string second;
    std::string expected;
  };
  const std::vector<Pair> pairs = {
      {"listen = 80", "listen = 80", ""},
      {"listen = 80, path = \"/a\"", "listen = 80, path = \"/b\"", ""},
      {"listen = 80, host = \"x.net\", path = \"/a/\"", "listen = 80, host = \"X.net.\", path = \"/a\"",
       "5:11 032 requests to host \"x.net\" and path \"/a\" on port 80 already go to service \"one\", see "
       "one.toml:5:11 | give one of them another 'host', 'path' or 'listen'\n"},
      {"listen = 80", "listen = 80, host = \"one.apps.example.net\"",
       "5:11 032 requests to host \"one.apps.example.net\" and path \"/\" on port 80 already go to service \"one\", "
       "see one.toml:5:11 | give one of them another 'host', 'path' or 'listen'\n"},
      {"listen = 80", "listen = 80, protocol = \"tcp\"",
       "5:21 032 port 80 already listens for http at one.toml:5:21 | use another 'listen' port: one port speaks one "
       "protocol\n"},
      {"listen = 80, protocol = \"tcp\"", "listen = 80, protocol = \"tcp\"",
       "5:21 032 port 80 already belongs to service \"one\" at one.toml:5:21 | use another 'listen' port: a tcp port "
       "belongs to one service\n"},
  };
  for (const auto& pair : pairs) {
    const auto loaded =
        parse_services({{"one.toml", expose("one", pair.first)}, {"two.toml", expose("two", pair.second)}}, cluster());
    EXPECT_EQ(brief(loaded.diagnostics), pair.expected) << pair.second;
    for (const auto& each : loaded.diagnostics) EXPECT_EQ(each.file, "two.toml");
  }
}

TEST(ServiceFileTest, NamesAreUniqueAcrossFiles) {
  const auto loaded = parse_services({{"a.toml", small_service()}, {"b.toml", small_service()}}, cluster());
  EXPECT_EQ(brief(loaded.diagnostics),
            "2:8 030 service \"web\" is already declared at a.toml:2:8 | give each its own 'name'\n");
}

TEST(ServiceFileTest, LabelsThatNoNodeHasAreAWarning) {
  const auto loaded = parse_service_text(small_service("node_labels = {zone = \"z\"}\n"));
  EXPECT_EQ(brief(loaded.diagnostics),
            "?5:15 033 no node has all 'node_labels' of service \"web\" | add them to the 'labels' of a [[node]], else "
            "no instance can be placed\n");
  EXPECT_TRUE(loaded.ok());
}

TEST(ServiceFileTest, ExposingNeedsNoGateway) {
  auto without = cluster();
  without.gateways.clear();
  const auto loaded = parse_services({{"web.toml", small_service("[[service.expose]]\nlisten = 80\n")}}, without);
  EXPECT_EQ(brief(loaded.diagnostics), "") << "its names lead clients to the instances";
}

TEST(ServiceFileTest, WhatIsReachedAtItsInstancesTakesNoListener) {
  const std::string exposed = "[[service.expose]]\nprotocol = \"tcp\"\nlisten = 80\n";
  auto other = small_service("reach = \"instances\"\n" + exposed);
  other.replace(other.find("web"), 3, "two");
  const auto loaded = parse_services({{"a.toml", small_service(exposed)}, {"b.toml", other}}, cluster());
  EXPECT_EQ(brief(loaded.diagnostics), "");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded.value->back().reach, model::Reach::instances);
}

TEST(ServiceFileTest, GatewaysThatAreNotThereCannotBeTheWay) {
  auto without = cluster();
  without.gateways.clear();
  const auto loaded = parse_services({{"web.toml", small_service("reach = \"gateways\"\n")}}, without);
  ASSERT_EQ(loaded.diagnostics.size(), 1u);
  EXPECT_EQ(loaded.diagnostics[0].id, "K4T-CFG-031");
  EXPECT_EQ(loaded.diagnostics[0].cause, "'reach' is \"gateways\", and k4t.toml has none");
}

TEST(ServiceFileTest, MoreInstancesThanAnAnswerHoldsNeedGateways) {
  const auto loaded =
      parse_services({{"web.toml", small_service("reach = \"instances\"\nreplicas = 91\n")}}, cluster());
  ASSERT_EQ(loaded.diagnostics.size(), 1u);
  EXPECT_EQ(loaded.diagnostics[0].id, "K4T-CFG-023");
  EXPECT_EQ(loaded.diagnostics[0].line, 5u + 1u);
  EXPECT_TRUE(parse_services({{"web.toml", small_service("reach = \"instances\"\nreplicas = 90\n")}}, cluster()).ok());
}

TEST(ServiceFileTest, ASyntaxErrorInOneFileDoesNotHideTheErrorsOfAnother) {
  const auto loaded = parse_services({{"a.toml", "a = \n"}, {"b.toml", small_service("cpus = 1\n")}}, cluster());
  ASSERT_EQ(loaded.diagnostics.size(), 2u);
  EXPECT_EQ(loaded.diagnostics[0].file, "a.toml");
  EXPECT_EQ(loaded.diagnostics[0].id, "K4T-CFG-010");
  EXPECT_EQ(loaded.diagnostics[1].file, "b.toml");
  EXPECT_EQ(loaded.diagnostics[1].cause, "unknown key \"cpus\" in [[service]]");
}

TEST(ServiceFileTest, WithoutAClusterOnlyTheServicesThemselvesAreChecked) {
  const auto loaded = parse_services(
      {{"web.toml", small_service("node_labels = {zone = \"z\"}\n[[service.expose]]\nlisten = 80\n")}}, {});
  EXPECT_EQ(brief(loaded.diagnostics), "");
  EXPECT_TRUE(loaded.ok());
}

}  // namespace
}  // namespace k4t::config::testing
