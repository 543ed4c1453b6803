#include "config/grammar.hpp"

#include <gtest/gtest.h>

namespace k4t::config {
namespace {

/// The canonical text, or "!" and why there is none.
std::string outcome(const Result<std::string>& result) { return result ? *result : "!" + result.error().message; }

template <class Number>
std::string outcome(const Result<Number>& result) {
  return result ? std::to_string(*result) : "!" + result.error().message;
}

const std::string bad_domain_character = "!only letters, digits, '-' and '.' are allowed";

TEST(GrammarTest, NamesAreLowerCaseDnsLabels) {
  EXPECT_EQ(outcome(parse_name("web-2", 30)), "web-2");
  EXPECT_EQ(outcome(parse_name(std::string(30, 'a'), 30)), std::string(30, 'a'));
  EXPECT_EQ(outcome(parse_name(std::string(31, 'a'), 30)), "!longer than 30 characters");
  EXPECT_EQ(outcome(parse_name("", 30)), "!it is empty");
  for (const char* bad : {"Web", "web_1", "web.1", "wéb", "a b", "a\nb"}) {
    EXPECT_EQ(outcome(parse_name(bad, 30)), "!only lower-case letters, digits and '-' are allowed") << bad;
  }
  EXPECT_EQ(outcome(parse_name("-web", 30)), "!it begins or ends with '-'");
  EXPECT_EQ(outcome(parse_name("web-", 30)), "!it begins or ends with '-'");
  EXPECT_EQ(parse_name("_k4t-w", 30).status(), Status::conflict);
}

TEST(GrammarTest, PortNamesFollowRfc6335) {
  EXPECT_EQ(outcome(parse_port_name("http-admin")), "http-admin");
  EXPECT_EQ(outcome(parse_port_name("8080")), "!it has no letter");
  EXPECT_EQ(outcome(parse_port_name("a--b")), "!it has '--'");
  EXPECT_EQ(outcome(parse_port_name(std::string(16, 'a'))), "!longer than 15 characters");
}

TEST(GrammarTest, DomainsAreCanonicalAndWithinTheirLimits) {
  EXPECT_EQ(outcome(parse_domain("Apps.Example.NET.")), "apps.example.net");
  EXPECT_EQ(outcome(parse_domain("a.b")), "a.b");
  const std::string label(63, 'a');
  const std::string longest = label + '.' + label + '.' + label + '.' + std::string(61, 'b');
  EXPECT_EQ(outcome(parse_domain(longest)), longest);
  EXPECT_EQ(outcome(parse_domain(longest + "b")), "!longer than 253 characters");
  EXPECT_EQ(outcome(parse_domain(label + "a.net")), "!a label is longer than 63 characters");
  EXPECT_EQ(outcome(parse_domain("a..b")), "!it has an empty label");
  EXPECT_EQ(outcome(parse_domain(".a")), "!it has an empty label");
  EXPECT_EQ(outcome(parse_domain("a.b..")), "!it has an empty label");
  EXPECT_EQ(outcome(parse_domain(".")), "!it is empty");
  EXPECT_EQ(outcome(parse_domain("-a.net")), "!a label begins or ends with '-'");
  for (const char* bad : {"a_b.net", "münchen.example.net", "a;b", "a b", "*.example.net", "a/b"}) {
    EXPECT_EQ(outcome(parse_domain(bad)), bad_domain_character) << bad;
  }
  EXPECT_EQ(parse_domain("_k4t.example.net").status(), Status::conflict);
}

TEST(GrammarTest, AddressesAreCanonicalAndOfOneMachine) {
  EXPECT_EQ(outcome(parse_address("192.0.2.1")), "192.0.2.1");
  EXPECT_EQ(outcome(parse_address("2001:DB8:0:0::1")), "2001:db8::1");
  for (const char* bad : {"", "192.0.2", "192.0.2.256", "192.0.02.1", "192.0.2.1 ", "example.net", "2001:db8::1%eth0",
                          "[2001:db8::1]", "1.2.3.4:80"}) {
    EXPECT_EQ(outcome(parse_address(bad)), "!not an IPv4 or IPv6 address") << bad;
  }
  EXPECT_EQ(outcome(parse_address(std::string("192.0.2.1\0x", 11))), "!not an IPv4 or IPv6 address");
  EXPECT_EQ(outcome(parse_address("0.0.0.0")), "!the unspecified address belongs to no single machine");
  EXPECT_EQ(outcome(parse_address("::")), "!the unspecified address belongs to no single machine");
  EXPECT_EQ(outcome(parse_address("224.0.0.1")), "!a multicast address belongs to no single machine");
  EXPECT_EQ(outcome(parse_address("ff02::1")), "!a multicast address belongs to no single machine");
  EXPECT_EQ(outcome(parse_address("255.255.255.255")), "!the broadcast address belongs to no single machine");
  EXPECT_EQ(outcome(parse_address("::ffff:192.0.2.1")), "!an IPv4 address in IPv6 clothing");
  EXPECT_EQ(outcome(parse_address("fe80::1")), "!a link-local address means something else on every link");
}

TEST(GrammarTest, RoutePathsAreWholeSegmentsThatAllGatewaysReadAlike) {
  EXPECT_EQ(outcome(parse_route_path("/")), "/");
  EXPECT_EQ(outcome(parse_route_path("/api/v1/")), "/api/v1");
  EXPECT_EQ(outcome(parse_request_path("/health/")), "/health/");
  EXPECT_EQ(outcome(parse_route_path("/a-b_c.d~e!f&g(h)*i+j,k=l:m@n")), "/a-b_c.d~e!f&g(h)*i+j,k=l:m@n");
  EXPECT_EQ(outcome(parse_route_path("")), "!it does not begin with '/'");
  EXPECT_EQ(outcome(parse_route_path("api")), "!it does not begin with '/'");
  EXPECT_EQ(outcome(parse_route_path("/a//b")), "!it has an empty segment");
  EXPECT_EQ(outcome(parse_route_path("/a/../b")), "!'.' and '..' segments never match");
  EXPECT_EQ(outcome(parse_route_path("/.")), "!'.' and '..' segments never match");
  EXPECT_EQ(outcome(parse_route_path('/' + std::string(255, 'a'))), "!longer than 255 characters");
  for (const char* bad : {"/%", "/%2", "/%2f", "/%zz", "/a%00"}) {
    EXPECT_EQ(outcome(parse_route_path(bad)),
              "!percent-encoding is not allowed, because gateways compare it in different ways")
        << bad;
  }
  for (const char* bad :
       {"/a b", "/a;b", "/{a}", "/\"a\"", "/'a'", "/a\\b", "/$a", "/a?b", "/a#b", "/ä", "/a\nb", "/a\x7f"}) {
    EXPECT_EQ(outcome(parse_route_path(bad)),
              "!only letters, digits and - . _ ~ ! & ( ) * + , = : @ are allowed between slashes")
        << bad;
  }
}

TEST(GrammarTest, MemoryHasAUnit) {
  EXPECT_EQ(outcome(parse_memory_bytes("64MiB")), "67108864");
  EXPECT_EQ(outcome(parse_memory_bytes("1.5GiB")), "1610612736");
  EXPECT_EQ(outcome(parse_memory_bytes("500MB")), "500000000");
  EXPECT_EQ(outcome(parse_memory_bytes("0.001KiB")), "1");
  EXPECT_EQ(outcome(parse_memory_bytes("1024TiB")), "1125899906842624");
  EXPECT_EQ(outcome(parse_memory_bytes("1025TiB")), "!more than 1024 TiB");
  EXPECT_EQ(outcome(parse_memory_bytes("999999999999TiB")), "!more than 1024 TiB");
  EXPECT_EQ(outcome(parse_memory_bytes("64")), "!it has no unit");
  EXPECT_EQ(outcome(parse_memory_bytes("64Mb")), "!its unit is not one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB");
  for (const char* bad : {"", "MiB", "-1MiB", "1.MiB", ".5MiB", "1.2345MiB", "1..5MiB", "9999999999999MiB", " 1MiB"}) {
    EXPECT_EQ(outcome(parse_memory_bytes(bad)), "!it is not a number, with at most 3 decimals, and a unit") << bad;
  }
  EXPECT_EQ(show_memory(1610612736), "1536MiB");
  EXPECT_EQ(show_memory(500), "500B");
}

TEST(GrammarTest, CpuIsCoresOrThousandths) {
  EXPECT_EQ(outcome(parse_cpu_millis("0.5")), "500");
  EXPECT_EQ(outcome(parse_cpu_millis("500m")), "500");
  EXPECT_EQ(outcome(parse_cpu_millis("2")), "2000");
  EXPECT_EQ(outcome(parse_cpu_millis("1024")), "1024000");
  EXPECT_EQ(outcome(parse_cpu_millis("0")), "!it is zero");
  EXPECT_EQ(outcome(parse_cpu_millis("1024.001")), "!more than 1024 cores");
  for (const char* bad : {"", "m", "0.5m", "-1", "0.0001", "half", "1e3"}) {
    EXPECT_EQ(outcome(parse_cpu_millis(bad)),
              "!it is neither cores with at most 3 decimals nor thousandths such as 500m")
        << bad;
  }
}

TEST(GrammarTest, DurationsHaveAUnit) {
  EXPECT_EQ(outcome(parse_duration_ms("250ms")), "250");
  EXPECT_EQ(outcome(parse_duration_ms("10s")), "10000");
  EXPECT_EQ(outcome(parse_duration_ms("1m")), "60000");
  EXPECT_EQ(outcome(parse_duration_ms("4294967295h")), "15461882262000000");
  EXPECT_EQ(outcome(parse_duration_ms("10")), "!it has no unit");
  EXPECT_EQ(outcome(parse_duration_ms("10sec")), "!its unit is not one of ms, s, m, h");
  EXPECT_EQ(outcome(parse_duration_ms("1.5s")), "!it is not a whole number with a unit");
  EXPECT_EQ(outcome(parse_duration_ms("1m30s")), "!its unit is not one of ms, s, m, h");
  EXPECT_EQ(show_duration_ms(90'000), "90s");
  EXPECT_EQ(show_duration_ms(0), "0s");
}

TEST(GrammarTest, PortRangesAndPercentages) {
  const auto range = parse_port_range("20000-29999");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 20000);
  EXPECT_EQ(range->last, 29999);
  for (const char* bad : {"20000", "2-1", "0-5", "1-65536", "1-", "-1", "1-2-3", "a-b", "1 - 2"}) {
    EXPECT_FALSE(parse_port_range(bad)) << bad;
  }
  EXPECT_EQ(outcome(parse_percent("50%")), "50");
  for (const char* bad : {"50", "101%", "-1%", "%", "1.5%"}) EXPECT_FALSE(parse_percent(bad)) << bad;
}

TEST(GrammarTest, VariablesAndLabelsOfK4tAreReserved) {
  EXPECT_EQ(outcome(parse_env_name("_A1")), "_A1");
  EXPECT_EQ(outcome(parse_env_name("1A")), "!it begins with a digit");
  EXPECT_EQ(outcome(parse_env_name("A=B")), "!only letters, digits and '_' are allowed");
  EXPECT_EQ(parse_env_name("K4T_NODE").status(), Status::conflict);
  EXPECT_EQ(outcome(parse_label_key("example.net/zone")), "example.net/zone");
  EXPECT_EQ(parse_label_key("k4t.service").status(), Status::conflict);
  for (const char* bad : {"", "a b", "-a", "a\n"}) EXPECT_FALSE(parse_label_key(bad)) << bad;
}

TEST(GrammarTest, ImagesUsersAndMachines) {
  for (const char* good : {"web", "web:1.4", "registry.example.net:5000/a/b@sha256:00ff"}) {
    EXPECT_EQ(outcome(parse_image(good)), good);
  }
  for (const char* bad : {"", "-web", "web:", "a b", "a//b", "a::b", "a;b", "$IMAGE"})
    EXPECT_FALSE(parse_image(bad)) << bad;
  for (const char* good : {"www-data", "1000", "1000:1000", "app:staff"}) EXPECT_EQ(outcome(parse_user(good)), good);
  for (const char* bad : {"", ":1", "1:", "a:b:c", "-u", "a b"}) EXPECT_FALSE(parse_user(bad)) << bad;
  for (const char* good :
       {"local", "ssh://example.net", "ssh://root@192.0.2.1:22", "ssh://u@[2001:db8::1]:2222", "ssh://[2001:db8::1]"}) {
    EXPECT_EQ(outcome(parse_machine(good)), good);
  }
  for (const char* bad : {"", "Local", "ssh://", "ssh://u:p@example.net", "ssh://example.net:", "ssh://example.net:0",
                          "ssh://[2001:db8::1", "ssh://a b", "ssh://-oProxyCommand=x", "ssh://[", "ssh://[]"}) {
    EXPECT_FALSE(parse_machine(bad)) << bad;
  }
}

TEST(GrammarTest, NearestFindsMisspellingsOnly) {
  const std::vector<std::string> keys = {"replicas", "restart", "name"};
  EXPECT_EQ(nearest("replica", keys), "replicas");
  EXPECT_EQ(nearest("nmae", keys), "name");
  EXPECT_EQ(nearest("nope", keys), std::nullopt);
  EXPECT_EQ(nearest("nam", keys), "name");
  EXPECT_EQ(nearest("volumes", keys), std::nullopt);
  EXPECT_EQ(nearest("", keys), std::nullopt);
}

}  // namespace
}  // namespace k4t::config
