#include <gtest/gtest.h>

#include "nginx_driver.hpp"
#include "snapshot.hpp"
#include "sockets.hpp"

namespace k4t::nginx {
namespace {

TEST(Sockets, LinesOfSsAreRead) {
  const auto lines = parse_sockets(
      "LISTEN 0 511 127.0.0.1:8911 0.0.0.0:* users:((\"nginx\",pid=12,fd=6),(\"nginx\",pid=11,fd=6))\n"
      "LISTEN 0 128 [::]:22 [::]:*\n"
      "LISTEN 0 128 *:9000 *:* users:((\"app\",pid=7,fd=3))\n"
      "nonsense\n",
      true);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].local, (Socket{"127.0.0.1", 8911}));
  EXPECT_EQ(lines[0].pids, (std::vector<int>{12, 11}));
  EXPECT_EQ(lines[0].holder, "nginx (pid 12)");
  EXPECT_EQ(lines[1].local, (Socket{"::", 22}));
  EXPECT_TRUE(lines[1].pids.empty());
  EXPECT_EQ(lines[2].local, (Socket{"*", 9000}));
}

TEST(Sockets, WhatAStageAnswersIsReadWholeOrNotAtAll) {
  const std::string text =
      "own 11 12 13 \nsockets\nLISTEN 0 511 127.0.0.1:8911 0.0.0.0:* users:((\"nginx\",pid=12,fd=6))\nend\n";
  const auto found = parse_listening(text);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->own_pids, (std::set<int>{11, 12, 13}));
  ASSERT_EQ(found->sockets.size(), 1U);
  EXPECT_EQ(found->sockets[0].local, (Socket{"127.0.0.1", 8911}));
  EXPECT_TRUE(parse_listening("own 11 \nsockets\n\nend\n")->sockets.empty());
  for (const std::string& bad : {std::string(), text.substr(0, text.size() - 4), std::string("sockets\n\nend\n"),
                                 std::string("own 11 \nunknown\n\nend\n")}) {
    EXPECT_EQ(parse_listening(bad).status(), Status::unavailable) << bad;
  }
}

TEST(Sockets, WhatTheLiveVersionListensAtIsReadWholeOrNotAtAll) {
  EXPECT_EQ(*parse_live_listens("  listen 192.0.2.1:80 default_server;\n  listen [2001:db8::1]:80;\nend\n"),
            (std::set<std::string>{"192.0.2.1:80", "[2001:db8::1]:80"}));
  EXPECT_TRUE(parse_live_listens("end\n")->empty());
  EXPECT_EQ(parse_live_listens("  listen 192.0.2.1:80;\n").status(), Status::unavailable);
}

TEST(Sockets, OnlyAHolderThatIsInTheWayAndNotShownHasToBeGuessed) {
  const std::vector<SocketLine> hidden{{{"192.0.2.1", 80}, {}, {}, {}}};
  EXPECT_TRUE(needs_listens({{"0.0.0.0", 80}}, hidden));
  EXPECT_FALSE(needs_listens({{"192.0.2.1", 81}}, hidden));
  EXPECT_FALSE(needs_listens({{"192.0.2.1", 80}}, {{{"192.0.2.1", 80}, {}, {7}, "app (pid 7)"}}));
}

class FreePorts : public ::testing::Test {
 protected:
  static Result<void> check(const Socket& wanted, const Socket& held, int pid) {
    return check_free({wanted}, {{held, {}, {pid}, "app (pid 7)"}}, {{11, 12}, {}});
  }
};

TEST_F(FreePorts, ASocketOfAnotherProcessIsTaken) {
  const auto outcome = check({"192.0.2.1", 80}, {"192.0.2.1", 80}, 7);
  EXPECT_EQ(outcome.status(), Status::invalid_argument);
  EXPECT_NE(outcome.error().message.find("app (pid 7) already listens at 192.0.2.1:80"), std::string::npos);
  EXPECT_FALSE(check({"192.0.2.1", 80}, {"0.0.0.0", 80}, 7));
  EXPECT_FALSE(check({"192.0.2.1", 80}, {"*", 80}, 7));
  EXPECT_FALSE(check({"0.0.0.0", 80}, {"192.0.2.1", 80}, 7));
}

TEST_F(FreePorts, OtherAddressesAndPortsAreFree) {
  EXPECT_TRUE(check({"192.0.2.1", 80}, {"192.0.2.2", 80}, 7));
  EXPECT_TRUE(check({"192.0.2.1", 80}, {"192.0.2.1", 81}, 7));
  EXPECT_TRUE(check({"192.0.2.1", 80}, {"::", 80}, 7));
}

TEST_F(FreePorts, NginxHandsOnExactlyItsOwnSockets) {
  EXPECT_TRUE(check({"192.0.2.1", 80}, {"192.0.2.1", 80}, 12));
  const auto outcome = check({"192.0.2.1", 80}, {"0.0.0.0", 80}, 12);
  EXPECT_EQ(outcome.status(), Status::invalid_argument);
  EXPECT_NE(outcome.error().message.find("in one reload"), std::string::npos);
}

TEST_F(FreePorts, AHolderThatIsNotShownIsNginxWhereTheLiveVersionListens) {
  const std::vector<SocketLine> listening{{{"2001:db8::1", 80}, {}, {}, {}}};
  EXPECT_TRUE(check_free({{"2001:db8::1", 80}}, listening, {{11}, {"[2001:db8::1]:80"}}));
  const auto outcome = check_free({{"2001:db8::1", 80}}, listening, {{11}, {}});
  EXPECT_EQ(outcome.status(), Status::invalid_argument);
  EXPECT_NE(outcome.error().message.find("root could see which"), std::string::npos);
}

TEST(Sockets, ConnectionsToTheEndpointAreCountedUnlessSomebodyElseHoldsThem) {
  const auto lines = parse_sockets(
      "0 0 192.0.2.1:40000 192.0.2.11:20000 users:((\"nginx\",pid=12,fd=9))\n"
      "0 0 192.0.2.1:40001 [::ffff:192.0.2.11]:20000 users:((\"nginx\",pid=11,fd=9))\n"
      "0 0 192.0.2.1:40002 192.0.2.11:20000 users:((\"curl\",pid=99,fd=5))\n"
      "0 0 192.0.2.1:40003 192.0.2.11:20000\n"
      "0 0 192.0.2.1:40005 192.0.2.11:20000 users:((\"nginx\",pid=8,fd=3))\n"
      "0 0 192.0.2.11:20000 192.0.2.1:40000 users:((\"app\",pid=7,fd=4))\n"
      "0 0 192.0.2.1:40004 192.0.2.11:20001 users:((\"nginx\",pid=12,fd=10))\n",
      false);
  EXPECT_EQ(count_to({"192.0.2.11", 20000}, lines, {{11, 12}, {}}), 4u);
}

TEST(Snapshot, ATextThatStopsEarlyIsUnavailable) {
  EXPECT_EQ(parse_snapshot("").status(), Status::unavailable);
  EXPECT_EQ(parse_snapshot("folder absent\nmaster alive 12\n").status(), Status::unavailable);
  EXPECT_TRUE(parse_snapshot("folder absent\nmaster alive 12\nend\n"));
}

TEST(Snapshot, WhatIsNotSaidIsNotKnown) {
  const auto now = parse_snapshot("end\n");
  ASSERT_TRUE(now);
  EXPECT_EQ(now->folder, Snapshot::Folder::unreadable);
  EXPECT_EQ(now->status_port, Snapshot::StatusPort::unknown);
  EXPECT_FALSE(now->master_alive);
}

Result<std::unique_ptr<gateway::Driver>> open_with(const Json& options) {
  HostCall host(CallOptions{});
  Call call(*host.raw());
  return open_driver({"demo", "example.net", "gw1", "192.0.2.1", options}, call);
}

TEST(Options, TheDefaultsAreDebians) {
  const auto options = read_options({"demo", "example.net", "gw1", "192.0.2.1", Json::object()});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->config, "/etc/nginx/nginx.conf");
  EXPECT_EQ(options->listen, std::vector<std::string>{"192.0.2.1"});
  EXPECT_TRUE(open_with(Json::object()));
}

TEST(Options, WhatCannotWorkIsRefusedNamingTheOption) {
  const std::vector<std::pair<std::string, Json>> bad = {
      {"folder", "relative"}, {"folder", "/a b"},     {"folder", "/a/../b"}, {"folder", "/a;b"},
      {"config", "/a\nb"},    {"pid_file", "/$(x)"},  {"listen", {"name"}},  {"listen", {"0.0.0.0;"}},
      {"status_port", 0},     {"status_port", 70000}, {"binary", "-x"},      {"host", "nowhere"}};
  for (const auto& [name, value] : bad) {
    const auto outcome = open_with(Json{{name, value}});
    EXPECT_EQ(outcome.status(), Status::invalid_argument) << name << " " << value;
    if (outcome.ok()) continue;
    EXPECT_NE(outcome.error().message.find(name == "host" ? "nowhere" : name), std::string::npos);
  }
}

TEST(Manifest, ClaimsOnlyWhatNginxCanDo) {
  const Manifest own = manifest();
  const auto claims = [&](const char* name) {
    return std::find(own.capabilities.begin(), own.capabilities.end(), name) != own.capabilities.end();
  };
  EXPECT_TRUE(claims(gateway::capability::health_passive));
  EXPECT_FALSE(claims(gateway::capability::health_active));
  EXPECT_FALSE(claims(gateway::capability::rate_limit_tcp));
  for (const auto& [name, option] : own.options_schema.at("properties").items()) {
    EXPECT_TRUE(option.contains("description")) << name;
  }
  EXPECT_EQ(own.options_schema.at("additionalProperties"), false);
}

}  // namespace
}  // namespace k4t::nginx
