#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "cgroup.hpp"
#include "fixture.hpp"
#include "log_file.hpp"

namespace k4t::process {
namespace {

using k4t::testing::eventually;
using k4t::testing::free_port;
using k4t::testing::Scratch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool connects(std::uint16_t port) {
  const Descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = loopback(port);
  return ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

TEST_F(ProcessTest, TheLogHasBothChannelsItsLastLinesAndTimes) {
  auto spec = script("echo one; echo two >&2; echo three; printf end");
  spec.restart = runtime::Restart::never;
  begin(spec);
  ASSERT_TRUE(eventually([&] { return seen().phase == Phase::exited; }));
  Collected all;
  ASSERT_TRUE(ask<method::Logs>({kName, false, 0, false}, {std::chrono::seconds(10), &all}));
  EXPECT_EQ(all.out, "one\nthree\nend");
  EXPECT_EQ(all.err, "two\n");
  Collected tail;
  ASSERT_TRUE(ask<method::Logs>({kName, false, 1, true}, {std::chrono::seconds(10), &tail}));
  EXPECT_THAT(tail.out, MatchesRegex("20[0-9-]+T[0-9:.]+Z end"));
}

TEST_F(ProcessTest, FollowingShowsWhatComesAndEndsWithTheInstance) {
  begin(script("echo begin; until test -e \"$1\"; do sleep 0.02; done; echo second; exec sleep 1000"));
  Collected followed;
  std::thread follower([&] {
    const auto ended = ask<method::Logs>({kName, true, 0, false}, {std::chrono::seconds(30), &followed});
    EXPECT_TRUE(ended) << ended.error().message;
  });
  std::ofstream(file_) << "go";
  Collected until;
  until.until = "second\n";
  EXPECT_TRUE(ask<method::Logs>({kName, true, 0, false}, {std::chrono::seconds(10), &until}));
  EXPECT_TRUE(ask<method::Stop>({kName}));
  follower.join();
  EXPECT_EQ(followed.out, "begin\nsecond\n");
}

TEST_F(ProcessTest, ExecRunsACommandAsTheInstanceRuns) {
  auto spec = script("exec sleep 1000");
  spec.env["A"] = "$x\ny";
  begin(spec);
  Collected said;
  const auto ran = ask<method::Exec>({kName, {"sh", "-c", "printf '%s' \"$A\"; echo bad >&2; exit 5"}},
                                     {std::chrono::seconds(10), &said});
  ASSERT_TRUE(ran) << ran.error().message;
  EXPECT_EQ(ran->exit_code, 5);
  EXPECT_EQ(said.out, "$x\ny");
  EXPECT_EQ(said.err, "bad\n");
  EXPECT_EQ(ask<method::Exec>({kName, {"no-such-command"}})->exit_code, 127);
  EXPECT_EQ(seen().phase, Phase::running);
  ASSERT_TRUE(ask<method::Stop>({kName}));
  EXPECT_EQ(ask<method::Exec>({kName, {"true"}}).status(), Status::conflict);
}

TEST_F(ProcessTest, AnExecThatIsGivenUpEndsWithAllThatItStarted) {
  begin(script("exec sleep 1000"));
  const auto before = seen().started_at_s;
  const auto ran = ask<method::Exec>(
      {kName, {"sh", "-c", "echo $$ >> \"$1\"; setsid sleep 1000 & echo $! >> \"$1\"; wait", "sh", file_}},
      {std::chrono::milliseconds(500)});
  EXPECT_EQ(ran.status(), Status::deadline);
  for (const int pid : pids(2)) EXPECT_TRUE(eventually([&] { return !is_alive(pid); }));
  EXPECT_EQ(seen().phase, Phase::running);
  EXPECT_EQ(seen().started_at_s, before);
}

TEST_F(ProcessTest, AMemoryLimitKillsAndTheReasonIsTold) {
  const std::string why = why_not_enforced(find_hierarchies(), "memory");
  if (!why.empty()) K4T_SKIP_OR_FAIL(why);
  auto spec = script("exec tail /dev/zero");
  spec.memory_bytes = 32 << 20;
  spec.restart = runtime::Restart::never;
  begin(spec);
  ASSERT_TRUE(eventually([&] { return seen().phase == Phase::exited; }, std::chrono::seconds(30)));
  EXPECT_EQ(seen().exit_code, 137);
  EXPECT_EQ(seen().detail, "out of memory (limit 33554432 bytes)");
  EXPECT_EQ(seen().memory_bytes, 32u << 20);
}

TEST_F(ProcessTest, LimitsOnProcessesAndCoresHold) {
  const std::string why = why_not_enforced(find_hierarchies(), "pids") + why_not_enforced(find_hierarchies(), "cpu");
  if (!why.empty()) K4T_SKIP_OR_FAIL(why);
  auto spec = script("(for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done); exec sleep 1000");
  spec.pids = 4;
  spec.cpu_millis = 250;
  spec.restart = runtime::Restart::never;
  begin(spec);
  Collected said;
  said.until = "fork";
  EXPECT_TRUE(ask<method::Logs>({kName, true, 0, false}, {std::chrono::seconds(10), &said}));
  EXPECT_THAT(said.err, HasSubstr("annot fork"));
  EXPECT_EQ(seen().cpu_millis, 250u);
  for (const auto& setting : plan_cgroups(find_hierarchies(), folder().launch()->cgroup, {250, 0, 4}).settings) {
    if (setting.optional && !std::filesystem::exists(setting.file)) continue;
    EXPECT_EQ(Scratch::read(setting.file), setting.text + "\n");
  }
}

TEST_F(ProcessTest, ATakenPortIsNamed) {
  const std::uint16_t port = free_port();
  const Descriptor other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = loopback(port);
  ASSERT_EQ(::bind(other.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(other.get(), 1), 0);
  auto spec = script("exec sleep 1000");
  spec.ports = {{port, port, "tcp"}};
  ASSERT_TRUE(ask<method::Create>(spec));
  const auto started = ask<method::Start>({kName});
  EXPECT_EQ(started.status(), Status::conflict);
  EXPECT_THAT(started.error().message, HasSubstr("tcp port " + std::to_string(port)));
}

TEST_F(ProcessTest, AnImageStandsForItsProgram) {
  const std::uint16_t port = free_port();
  runtime::InstanceSpec spec = script("");
  spec.image = "k4t-demo";
  spec.command = {"http", "--listen", "127.0.0.1"};
  spec.env = {{"PORT", std::to_string(port)}};
  spec.ports = {{port, port, "tcp"}};
  const auto image = ask<method::EnsureImage>({"k4t-demo", false});
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_THAT(image->id, MatchesRegex("sha256:[0-9a-f]+"));
  EXPECT_EQ(ask<method::EnsureImage>({"other", false}).status(), Status::not_found);
  begin(spec);
  EXPECT_TRUE(eventually([&] { return connects(port); }));
  EXPECT_EQ(seen().image, "k4t-demo");
  ASSERT_TRUE(ask<method::Stop>({kName}));
  EXPECT_EQ(seen().exit_code, 0);
}

TEST_F(ProcessTest, AProgramThatCannotBeStartedFailsTheStart) {
  auto spec = script("");
  spec.command = {"/no/such/program"};
  ASSERT_TRUE(ask<method::Create>(spec));
  EXPECT_EQ(ask<method::Start>({kName}).status(), Status::invalid_argument);
  EXPECT_EQ(seen().phase, Phase::exited);
  EXPECT_EQ(seen().exit_code, 127);
  spec.name = "shop-web-2";
  spec.command = {scratch_.write("text", "no program", 0755)};
  ASSERT_TRUE(ask<method::Create>(spec));
  const auto started = ask<method::Start>({spec.name});
  EXPECT_EQ(started.status(), Status::invalid_argument);
  EXPECT_THAT(started.error().message, HasSubstr("Exec format error"));
}

TEST_F(ProcessTest, AUserHasOnlyItsOwnRights) {
  if (::geteuid() != 0) K4T_SKIP_OR_FAIL("changing the user needs root");
  auto spec = script("id -u; id -g; id -G");
  spec.user = "nobody";
  spec.restart = runtime::Restart::never;
  begin(spec);
  ASSERT_TRUE(eventually([&] { return seen().phase == Phase::exited; }));
  Collected said;
  ASSERT_TRUE(ask<method::Logs>({kName, false, 0, false}, {std::chrono::seconds(10), &said}));
  const passwd* nobody = ::getpwnam("nobody");
  ASSERT_NE(nobody, nullptr);
  const std::string gid = std::to_string(nobody->pw_gid) + "\n";
  EXPECT_EQ(said.out, std::to_string(nobody->pw_uid) + "\n" + gid + gid);
}

TEST_F(ProcessTest, NameServersAndAReadOnlyViewAreTheInstancesAlone) {
  if (::geteuid() != 0) K4T_SKIP_OR_FAIL("a view of its own needs root");
  const std::string machines = Scratch::read("/etc/resolv.conf");
  auto spec = script("cat /etc/resolv.conf; echo x > \"$1\"; exit 0");
  spec.dns_servers = {"192.0.2.53"};
  spec.dns_search = {"shop.example.net"};
  spec.read_only = true;
  spec.user = "nobody";
  spec.restart = runtime::Restart::never;
  begin(spec);
  ASSERT_TRUE(eventually([&] { return seen().phase == Phase::exited; }));
  Collected said;
  ASSERT_TRUE(ask<method::Logs>({kName, false, 0, false}, {std::chrono::seconds(10), &said}));
  EXPECT_EQ(said.out, "nameserver 192.0.2.53\nsearch shop.example.net\n");
  EXPECT_THAT(said.err, HasSubstr("Read-only file system"));
  EXPECT_EQ(Scratch::read("/etc/resolv.conf"), machines);
}

TEST_F(ProcessTest, WhatCannotBeReadIsUnavailableNeverAbsent) {
  ASSERT_TRUE(ask<method::Create>(script("exit 0")));
  std::ofstream(folder().spec_file()) << "{\"spec\":";
  EXPECT_EQ(ask<method::List>({"shop"}).status(), Status::unavailable);
  EXPECT_EQ(ask<method::Inspect>({kName}).status(), Status::unavailable);
  EXPECT_EQ(ask<method::Remove>({kName}).status(), Status::unavailable);
}

TEST_F(ProcessTest, SecretsInTheEnvironmentAreNotReadableByOthers) {
  auto spec = script("exec sleep 1000");
  spec.env["PASSWORD"] = "hidden";
  begin(spec);
  for (const auto& entry : std::filesystem::directory_iterator(folder().path())) {
    EXPECT_EQ(entry.status().permissions() & std::filesystem::perms::others_all, std::filesystem::perms::none)
        << entry.path();
  }
  EXPECT_EQ(std::filesystem::status(folder().path()).permissions(), std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace k4t::process
