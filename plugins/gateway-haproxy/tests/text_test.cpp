#include <gtest/gtest.h>

#include "client.hpp"
#include "file.hpp"
#include "haproxy_driver.hpp"
#include "runtime.hpp"

namespace k4t::haproxy {
namespace {

const Register at{"demo", 43, "00000000000000000000000000000043", "ab.7"};
const std::string body =
    "  hard-stop-after 60s\n\nbackend k4t-be-web from k4t-defaults\n  server a_1 192.0.2.7:1 id 5\n";

TEST(File, WhatWasComposedIsReadBackIntact) {
  const auto file = parse_file(compose(at, body));
  EXPECT_EQ(file.kind, FileKind::ours);
  EXPECT_TRUE(file.intact);
  EXPECT_EQ(file.marker.at, at);
  EXPECT_EQ(file.body, body);
}

TEST(File, EveryChangedByteIsSeen) {
  const std::string text = compose(at, body);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string edited = text;
    edited[i] = edited[i] == 'x' ? 'y' : 'x';
    const auto file = parse_file(edited);
    EXPECT_FALSE(file.kind == FileKind::ours && file.intact) << "byte " << i;
  }
}

TEST(File, BlankIsNothingButComments) {
  EXPECT_EQ(parse_file("").kind, FileKind::blank);
  EXPECT_EQ(parse_file("\n  # nothing yet\n").kind, FileKind::blank);
  EXPECT_EQ(parse_file("defaults\n").kind, FileKind::foreign);
  EXPECT_EQ(parse_file("# k4t nonsense\n").kind, FileKind::foreign);
}

TEST(File, AMarkerIsReadOnlyInItsOneSpelling) {
  const Marker marker{at, "d1", true};
  EXPECT_EQ(parse_marker(marker_text(marker)), marker);
  for (const char* text : {"", "1/demo/43/t/w", "2/demo/43/t/w/d", "1/demo/043/t/w/d", "1/demo/-1/t/w/d",
                           "1/de mo/1/t/w/d", "1/demo/1/t/w/d/other", "applying/1/demo/1/t/w/d"}) {
    EXPECT_FALSE(parse_marker(text)) << text;
  }
  EXPECT_EQ(check_register({"a)b", 1, "t", "w"}).status(), Status::invalid_argument);
  EXPECT_EQ(check_register({"a", 1, "../t", "w"}).status(), Status::invalid_argument);
}

constexpr const char* state_head =
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port\n";

TEST(Runtime, ServersAreReadFromTheirState) {
  const auto servers = parse_servers_state(std::string(state_head) +
                                           "2 k4t-be-web 5 a_1 192.0.2.7 2 1 1 8080\n"
                                           "3 theirs 1 x 192.0.2.8 2 0 1 80\n\n");
  ASSERT_TRUE(servers.ok());
  ASSERT_EQ(servers->size(), 1u);
  EXPECT_EQ(servers->at(0).name, "a_1");
  EXPECT_EQ(servers->at(0).port, 8080);
  EXPECT_EQ(servers->at(0).admin_state, 1u);
}

TEST(Runtime, AnAnswerThatIsNotUnderstoodIsUnavailableNeverEmpty) {
  EXPECT_EQ(parse_servers_state("").status(), Status::unavailable);
  EXPECT_EQ(parse_servers_state("Unknown command\n").status(), Status::unavailable);
  EXPECT_EQ(parse_servers_state(std::string(state_head) + "2 k4t-be-web 5\n").status(), Status::unavailable);
  EXPECT_EQ(parse_servers_state(std::string(state_head) + "2 k4t-be-web 5 a_1 192.0.2.7 2 x 1 1\n").status(),
            Status::unavailable);
  EXPECT_EQ(parse_variable("").status(), Status::unavailable);
  EXPECT_EQ(parse_variable("Permission denied\n").status(), Status::unavailable);
  EXPECT_EQ(parse_stat("").status(), Status::unavailable);
  EXPECT_EQ(parse_stat("# pxname,svname,scur,status\nk4t-be-web,a_1\n").status(), Status::unavailable);
  EXPECT_EQ(parse_stat("# pxname,svname,scur,status\nk4t-be-web,a_1,x,UP\n").status(), Status::unavailable);
}

TEST(Runtime, AVariableIsKnownToBeSetOrNotSet) {
  EXPECT_EQ(*parse_variable("Variable not found.\n\n"), std::nullopt);
  EXPECT_EQ(*parse_variable("proc.k4t: type=str value=<1/a>\n"), "1/a");
}

Layout layout(const std::vector<ServerLine>& servers) { return {"same\n", servers, {}}; }

TEST(Runtime, ABatchTakesOutWhatLeftAndPutsInWhatCame) {
  const ServerLine a{"k4t-be-web", "a_1", "192.0.2.7:1 id 5"};
  const ServerLine b{"k4t-be-web", "b_1", "192.0.2.8:1 id 6 check inter 9ms rise 1 fall 1"};
  const auto batch = plan_batch(layout({a}), layout({b}), {{"k4t-be-web", "a_1", "192.0.2.7", 1, 0, 1}}, 77);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->added, 1u);
  ASSERT_EQ(batch->lines.size(), 1u);
  EXPECT_EQ(batch->lines[0],
            "experimental-mode on"
            "; @!77 add server k4t-be-web/b_1 192.0.2.8:1 id 6 check inter 9ms rise 1 fall 1"
            "; @!77 enable health k4t-be-web/b_1; @!77 enable server k4t-be-web/b_1"
            "; @!77 set server k4t-be-web/a_1 state maint; @!77 del server k4t-be-web/a_1; quit");
}

TEST(Runtime, ABatchIsNoWayToChangeAServersWordsOrTheRest) {
  const ServerLine a{"k4t-be-web", "a_1", "192.0.2.7:1 id 5"};
  ServerLine other = a;
  other.words += " check";
  EXPECT_FALSE(plan_batch(layout({a}), layout({other}), {}, 77));
  auto rest = layout({a});
  rest.skeleton = "other\n";
  EXPECT_FALSE(plan_batch(layout({a}), rest, {}, 77));
}

TEST(Runtime, NoLineOfABatchOutgrowsTheServersBuffer) {
  std::vector<ServerLine> many;
  for (int i = 0; i < 1000; ++i) many.push_back({"k4t-be-web", "s_" + std::to_string(i), "192.0.2.7:1 id 5"});
  const auto batch = plan_batch(layout({}), layout(many), {}, 77);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->added, 1000u);
  for (const auto& line : batch->lines) EXPECT_LT(line.size(), 12000u);
}

TEST(Runtime, ADifferenceBetweenFileAndProcessIsNamed) {
  const auto wanted = layout({{"k4t-be-web", "a_1", "192.0.2.7:1 id 5"}});
  const RunningServer good{"k4t-be-web", "a_1", "192.0.2.7", 1, 0, 1};
  EXPECT_EQ(difference(wanted, {good}), "");
  EXPECT_NE(difference(wanted, {}), "");
  for (int field = 0; field < 4; ++field) {
    RunningServer bad = good;
    if (field == 0) bad.address = "192.0.2.8";
    if (field == 1) bad.port = 2;
    if (field == 2) bad.admin_state = 1;
    if (field == 3) bad.weight = 9;
    EXPECT_NE(difference(wanted, {bad}), "") << field;
  }
  RunningServer extra{"k4t-be-web", "x_1", "192.0.2.9", 1, 0, 1};
  EXPECT_NE(difference(wanted, {good, extra}), "");
  extra.admin_state = 1;
  EXPECT_EQ(difference(wanted, {good, extra}), "") << "taken out: it only waits for its last connection";
}

TEST(Sockets, ListenersAreReadAndCompared) {
  const auto found = parse_ss(
      "LISTEN 0 511 127.0.0.1:8080 0.0.0.0:* users:((\"nginx\",pid=7,fd=5))\n"
      "LISTEN 0 4096 [::1]:25 [::]:*\n"
      "LISTEN 0 4096 127.0.0.53%lo:53 0.0.0.0:*\n");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].program, "nginx");
  EXPECT_EQ(found[1].address, "::1");
  EXPECT_EQ(found[2].address, "127.0.0.53");
  EXPECT_TRUE(collides("127.0.0.1", 8080, found[0]));
  EXPECT_TRUE(collides("0.0.0.0", 8080, found[0]));
  EXPECT_FALSE(collides("127.0.0.2", 8080, found[0]));
  EXPECT_FALSE(collides("127.0.0.1", 8081, found[0]));
}

TEST(Options, MistakesAreInvalidAndDefaultsWork) {
  HostCall host(CallOptions{});
  Call call(*host.raw());
  OpenRequest request{"demo", "demo.example.net", "gw1", "192.0.2.1", Json::object()};
  EXPECT_TRUE(open_driver(request, call).ok());
  for (const auto& bad : std::vector<Json>{{{"file", "k4t.cfg"}},
                                           {{"listen", "localhost"}},
                                           {{"host", "ssh"}},
                                           {{"config", {"/a\nb"}}},
                                           {{"hard_stop_after_s", 0}}}) {
    request.options = bad;
    EXPECT_EQ(open_driver(request, call).status(), Status::invalid_argument) << bad;
  }
}

}  // namespace
}  // namespace k4t::haproxy
