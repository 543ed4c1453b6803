#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backoff.hpp"
#include "cgroup.hpp"
#include "instance_folder.hpp"
#include "log_file.hpp"
#include "options.hpp"
#include "spec.hpp"

namespace {

using namespace k4t;
using namespace k4t::process;
using namespace std::chrono_literals;
using runtime::Phase;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ProcessBackoff, DoublesUpToItsBoundAndBeginsAnewAfterAStableLife) {
  Backoff backoff;
  for (const auto wait : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 12800ms, 25600ms, 30000ms, 30000ms}) {
    EXPECT_EQ(backoff.next(9999ms), wait);
  }
  EXPECT_EQ(backoff.next(10s), 100ms);
  EXPECT_EQ(backoff.next(0ms), 200ms);
}

constexpr const char* kMounts =
    "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"
    "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n"
    "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n"
    "cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0\n"
    "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";

std::vector<std::string> texts(const CgroupPlan& plan) {
  std::vector<std::string> all;
  for (const auto& setting : plan.settings) all.push_back(setting.file + "=" + setting.text);
  return all;
}

TEST(ProcessCgroups, VersionOneControllersAndTheUnifiedTreeAreUsedTogether) {
  const auto plan = plan_cgroups(parse_mounts(kMounts), "web-1", {1500, 64 << 20, 30});
  EXPECT_THAT(plan.folders,
              ElementsAre("/sys/fs/cgroup/unified/k4t-process/web-1", "/sys/fs/cgroup/systemd/k4t-process/web-1",
                          "/sys/fs/cgroup/cpu,cpuacct/k4t-process/web-1", "/sys/fs/cgroup/memory/k4t-process/web-1"));
  EXPECT_THAT(texts(plan), ElementsAre("/sys/fs/cgroup/cpu,cpuacct/k4t-process/web-1/cpu.cfs_period_us=100000",
                                       "/sys/fs/cgroup/cpu,cpuacct/k4t-process/web-1/cpu.cfs_quota_us=150000",
                                       "/sys/fs/cgroup/memory/k4t-process/web-1/memory.limit_in_bytes=67108864",
                                       "/sys/fs/cgroup/memory/k4t-process/web-1/memory.memsw.limit_in_bytes=67108864"));
  EXPECT_EQ(plan.oom_file, "/sys/fs/cgroup/memory/k4t-process/web-1/memory.oom_control");
  EXPECT_EQ(plan.kill_file, "/sys/fs/cgroup/unified/k4t-process/web-1/cgroup.kill");
}

TEST(ProcessCgroups, VersionTwoPassesItsControllersDown) {
  Hierarchies two = parse_mounts("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
  two.v2_controllers = {"cpu", "memory", "pids"};
  const auto plan = plan_cgroups(two, "web-1", {500, 1 << 20, 7});
  EXPECT_THAT(plan.folders, ElementsAre("/sys/fs/cgroup/k4t-process/web-1"));
  ASSERT_EQ(plan.enable.size(), 6u);
  EXPECT_EQ(plan.enable[0], (std::pair<std::string, std::string>("/sys/fs/cgroup/cgroup.subtree_control", "+cpu")));
  EXPECT_EQ(plan.enable[5],
            (std::pair<std::string, std::string>("/sys/fs/cgroup/k4t-process/cgroup.subtree_control", "+pids")));
  EXPECT_THAT(texts(plan), ElementsAre("/sys/fs/cgroup/k4t-process/web-1/cpu.max=50000 100000",
                                       "/sys/fs/cgroup/k4t-process/web-1/memory.max=1048576",
                                       "/sys/fs/cgroup/k4t-process/web-1/memory.swap.max=0",
                                       "/sys/fs/cgroup/k4t-process/web-1/pids.max=7"));
  EXPECT_EQ(plan.oom_file, "/sys/fs/cgroup/k4t-process/web-1/memory.events");
}

TEST(ProcessCgroups, WithoutAControllerThereIsNoLimitAndTheReasonIsTold) {
  const Hierarchies none = parse_mounts("proc /proc proc rw 0 0\n");
  EXPECT_THAT(plan_cgroups(none, "web-1", {500, 1 << 20, 7}).settings, IsEmpty());
  EXPECT_THAT(why_not_enforced(none, "memory"), HasSubstr("offers no memory controller"));
  const Limits enforced = Cgroups(none, "web-1", {500, 1 << 20, 7}).create();
  EXPECT_EQ(enforced.cpu_millis + enforced.memory_bytes + enforced.pids, 0u);
}

StatusFile running() {
  StatusFile status;
  status.phase = Phase::running;
  status.boot = "boot-1";
  status.restarts = 3;
  status.started_at_s = 77;
  status.pid = 4711;
  return status;
}

TEST(ProcessStatus, IsTrueAsLongAsItsSupervisorLives) {
  EXPECT_EQ(judge(running(), /*supervised=*/true, "boot-1").phase, Phase::running);
  EXPECT_EQ(judge(std::nullopt, /*supervised=*/false, "boot-1").phase, Phase::created);
}

TEST(ProcessStatus, WithoutASupervisorItWasKilled) {
  const auto status = judge(running(), /*supervised=*/false, "boot-1");
  EXPECT_EQ(status.phase, Phase::exited);
  EXPECT_EQ(status.exit_code, 137);
  EXPECT_EQ(status.restarts, 3u);
  EXPECT_THAT(status.detail, HasSubstr("supervisor was killed"));
}

TEST(ProcessStatus, AnotherBootMeansThatTheMachineWasRestarted) {
  const auto status = judge(running(), /*supervised=*/false, "boot-2");
  EXPECT_EQ(status.phase, Phase::exited);
  EXPECT_EQ(status.detail, "the machine was restarted");
}

TEST(ProcessStatus, WhatEndedByItselfKeepsItsExitCode) {
  StatusFile ended = running();
  ended.phase = Phase::exited;
  ended.exit_code = 3;
  EXPECT_EQ(judge(ended, /*supervised=*/false, "boot-2").exit_code, 3);
}

TEST(ProcessStatus, SurvivesWritingAndReading) {
  const auto read = parse_status(Json(running()).dump());
  ASSERT_TRUE(read);
  EXPECT_EQ(Json(*read), Json(running()));
  EXPECT_EQ(parse_status("").status(), Status::invalid_argument);
  EXPECT_EQ(parse_status(R"({"phase":"dancing"})").status(), Status::invalid_argument);
}

TEST(ProcessLog, ALineIsReadAsItWasWritten) {
  const std::string time = format_time(std::chrono::system_clock::time_point(1769850000s + 1us));
  EXPECT_EQ(time, "2026-01-31T09:00:00.000001Z");
  const LogLine line{time, Channel::err, false, " two  spaces "};
  EXPECT_EQ(format_line(line), "2026-01-31T09:00:00.000001Z err P  two  spaces ");
  EXPECT_EQ(parse_line(format_line(line)), line);
  EXPECT_EQ(parse_line(format_line({time, Channel::out, true, ""})), (LogLine{time, Channel::out, true, ""}));
  for (const char* fragment :
       {"", "out F text", "2026-01-31T09:00:00.000001Z mid F x", "2026-01-31T09:00:00.000001Z o"}) {
    EXPECT_EQ(parse_line(fragment), std::nullopt) << fragment;
  }
}

runtime::InstanceSpec good_spec() {
  runtime::InstanceSpec spec;
  spec.name = "shop-web-1";
  spec.network = runtime::Network::host;
  spec.command = {"sleep", "1"};
  return spec;
}

TEST(ProcessSpec, ABridgeIsUnsupportedAndTheRemedyIsTold) {
  auto spec = good_spec();
  EXPECT_TRUE(check_spec(spec));
  spec.network = runtime::Network::bridge;
  EXPECT_EQ(check_spec(spec).status(), Status::unsupported);
  EXPECT_THAT(check_spec(spec).error().message, HasSubstr("network = \"host\""));
}

TEST(ProcessSpec, RefusesWhatCannotBeAProcess) {
  const auto refused = [](auto change) {
    auto spec = good_spec();
    change(spec);
    return check_spec(spec).status();
  };
  EXPECT_EQ(refused([](auto& spec) { spec.name = "../etc"; }), Status::invalid_argument);
  EXPECT_EQ(refused([](auto& spec) { spec.name = "-x"; }), Status::invalid_argument);
  EXPECT_EQ(refused([](auto& spec) { spec.ports = {{80, 8080, "tcp"}}; }), Status::invalid_argument);
  EXPECT_EQ(refused([](auto& spec) { spec.ports = {{80, 80, "sctp"}}; }), Status::invalid_argument);
  EXPECT_EQ(refused([](auto& spec) { spec.env["A=B"] = ""; }), Status::invalid_argument);
  EXPECT_EQ(refused([](auto& spec) { spec.command = {std::string("a\0b", 3)}; }), Status::invalid_argument);
  EXPECT_EQ(refused([](auto& spec) { spec.user = "no-such-user"; }), Status::invalid_argument);
}

TEST(ProcessSpec, AnImagesProgramTakesThePlaceOfTheEntrypoint) {
  auto spec = good_spec();
  EXPECT_THAT(*argv_of(spec, {}), ElementsAre("sleep", "1"));
  spec.image = "shop/web";
  EXPECT_EQ(argv_of(spec, {}).status(), Status::not_found);
  EXPECT_THAT(*argv_of(spec, {{"shop/web", "/usr/bin/web"}}), ElementsAre("/usr/bin/web", "sleep", "1"));
  spec.entrypoint = {"/app", "--fast"};
  EXPECT_THAT(*argv_of(spec, {{"shop/web", "/usr/bin/web"}}), ElementsAre("/usr/bin/web", "--fast", "sleep", "1"));
  EXPECT_EQ(argv_of({}, {}).status(), Status::invalid_argument);
}

TEST(ProcessSpec, TheResolverFileHoldsOnlyAddressesAndDomains) {
  EXPECT_EQ(*render_resolver({"192.0.2.1", "2001:db8::1"}, {"shop.example.net", "example.net"}),
            "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch shop.example.net example.net\n");
  EXPECT_EQ(*render_resolver({}, {}), "");
  EXPECT_EQ(render_resolver({"192.0.2.1\noptions debug"}, {}).status(), Status::invalid_argument);
  EXPECT_EQ(render_resolver({}, {"a\nnameserver 192.0.2.9"}).status(), Status::invalid_argument);
}

TEST(ProcessOptions, DefaultsAreFilledInAndEveryPropertyIsDescribed) {
  OpenRequest request;
  request.name = "node-1";
  EXPECT_EQ(read_options(request)->folder, "/var/lib/k4t/process/node-1");
  request.options = {{"folder", "relative"}};
  EXPECT_EQ(read_options(request).status(), Status::invalid_argument);
  const Json schema = options_schema();
  EXPECT_EQ(schema["additionalProperties"], false);
  for (const auto& [name, property] : schema["properties"].items())
    EXPECT_TRUE(property.contains("description")) << name;
}

}  // namespace
