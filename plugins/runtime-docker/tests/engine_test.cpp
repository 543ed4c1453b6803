#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "docker_test.hpp"

/// The driver on a real engine.

namespace k4t::docker {
namespace {

using namespace std::chrono_literals;
using k4t::testing::DockerEngine;
using k4t::testing::eventually;
using k4t::testing::free_port;
using runtime::Phase;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(DockerTest, Conforms) { expect_conformance(); }

TEST_F(DockerTest, InfoNamesTheNodesSize) {
  const auto info = call<method::Info>({});
  ASSERT_TRUE(info.ok());
  EXPECT_GE(info->cpus, 1U);
  EXPECT_GT(info->memory_bytes, 100u << 20);
  EXPECT_FALSE(info->runtime_version.empty());
}

TEST_F(DockerTest, AnExposedEngineIsWarnedOf) {
  auto parsed = parse_options({"t", "t.example.net", "node1", "127.0.0.1", options()});
  ASSERT_TRUE(parsed.ok());
  parsed->exposed = true;
  DockerDriver exposed(*parsed);
  DirectCallee<runtime::Kind> callee(exposed);
  const auto warning = HasSubstr("neither encrypted nor authenticated");
  EXPECT_THAT(invoke<method::Info>(callee, {}, {60s, nullptr})->warnings, Contains(warning));
  EXPECT_THAT(call<method::Info>({})->warnings, Not(Contains(warning)));
}

TEST_F(DockerTest, APresentImageIsEnsuredWithoutARegistry) {
  const auto first = call<method::EnsureImage>({image});
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_THAT(first->id, HasSubstr("sha256:"));
  EXPECT_EQ(call<method::EnsureImage>({first->id})->id, first->id);
}

TEST_F(DockerTest, AnImageWhoseRegistryIsOutOfReachIsUnavailable) {
  const auto absent = call<method::EnsureImage>({"127.0.0.1:" + std::to_string(free_port()) + "/none:1"});
  ASSERT_EQ(absent.status(), Status::unavailable);
  EXPECT_THAT(absent.error().message, HasSubstr("registry could not be asked"));
}

TEST_F(DockerTest, AnImageThatIsNotHereIsNotFoundByCreateAndLeavesNothing) {
  InstanceSpec spec = script("1", "true");
  spec.image = "k4t-test/none:1";
  EXPECT_EQ(call<method::Create>(spec).status(), Status::not_found);
  EXPECT_EQ(call<method::Inspect>({spec.name}).status(), Status::not_found);
  EXPECT_EQ(call<method::EnsureImage>({"sha256:" + std::string(64, '0')}).status(), Status::not_found);
}

TEST_F(DockerTest, OddTextArrivesUnchanged) {
  const std::string odd = "-x 'single' \"double\" $HOME `id` \\ line\nbreak\ttab ü %s \x01";
  InstanceSpec spec = script("1", "printf %s \"$ODD\"; printf '|%s' \"$1\"");
  spec.command.insert(spec.command.end(), {"-", odd});
  spec.env = {{"ODD", odd}, {"-dash", odd}};
  spec.labels["k4t.declaration"] = odd;
  spec.labels["odd 'key\" $x"] = odd;
  run(spec);
  EXPECT_EQ(ended(spec.name).labels, spec.labels);
  EXPECT_EQ(logs(spec.name), odd + "|" + odd);
  EXPECT_TRUE(call<method::Create>(spec).ok()) << "it is recognised as the same";
}

TEST_F(DockerTest, LimitsAreReadBackAndEnforced) {
  InstanceSpec spec = script("1",
                             "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; id -u; "
                             "echo x > /file || echo read-only; exec sleep 600");
  spec.cpu_millis = 250;
  spec.memory_bytes = 32u << 20;
  spec.pids = 50;
  spec.user = "1234";
  spec.read_only = true;
  const Instance instance = run(spec);
  EXPECT_EQ(instance.cpu_millis, 250U);
  EXPECT_EQ(instance.memory_bytes, 32u << 20);
  EXPECT_TRUE(eventually([&] { return logs(spec.name) == "50\n1234\nread-only\n"; })) << logs(spec.name);
}

/// It waits for a word before it takes the memory, because the engine listens for the limit only once an instance has
/// been started, and before it ends, so that the engine hears of it in time.
TEST_F(DockerTest, RunningOutOfMemoryIsReported) {
  InstanceSpec spec = script("1",
                             "await() { until test -e $1; do sleep 0.1; done; }; await /started; "
                             "dd if=/dev/zero of=/dev/null bs=400M count=1; code=$?; await /heard; exit $code");
  spec.memory_bytes = 64u << 20;  // what runs in it beside dd, also to tell it something, needs room
  run(spec);
  const auto tell = [&](const std::string& word) {
    const auto told = call<method::Exec>({spec.name, {"/bin/sh", "-c", ": > /" + word}});
    ASSERT_TRUE(told.ok()) << told.error().message;
    EXPECT_EQ(told->exit_code, 0) << word;
  };
  tell("started");
  EXPECT_TRUE(eventually([&] { return heard_of_memory_limit(spec.name); }));
  tell("heard");
  const Instance dead = ended(spec.name);
  EXPECT_EQ(dead.exit_code, 137);
  EXPECT_EQ(dead.detail, "out of memory: the kernel ended it at its memory limit");
}

/// Whether the engine hears of the limit before the instance is over is chance; either is told.
TEST_F(DockerTest, RunningOutOfMemoryAtOnceIsReportedAsFarAsTheEngineKnows) {
  InstanceSpec spec = script("1", "exec dd if=/dev/zero of=/dev/null bs=200M count=1");
  spec.memory_bytes = 16u << 20;
  run(spec);
  const Instance dead = ended(spec.name);
  EXPECT_EQ(dead.exit_code, 137);
  EXPECT_THAT(dead.detail, HasSubstr("out of memory"));
}

TEST_F(DockerTest, APublishedPortAnswersOnTheNodesAddressOnly) {
  const auto port = free_port();
  InstanceSpec spec = script("1", "echo fine > /tmp/health; exec httpd -f -p 8080 -h /tmp");
  spec.ports = {{8080, port, "tcp"}};
  const Instance instance = run(spec);
  EXPECT_EQ(instance.ports, spec.ports);
  EXPECT_TRUE(eventually([&] {
    const auto status = http::probe("127.0.0.1", port, "/health", 1s);
    return status.ok() && *status == 200;
  }));
  EXPECT_FALSE(http::probe_tcp("127.0.0.2", port, 1s).ok());
}

/// A network of the engine with addresses for instances; it goes when they have gone.
class OwnAddress : public DockerTest {
 protected:
  void SetUp() override {
    DockerTest::SetUp();
    if (IsSkipped()) return;
    const Json block{{"Subnet", "203.0.113.0/24"}};
    ASSERT_EQ(docker("/networks/create", "POST", {{"Name", "own"}, {"IPAM", {{"Config", {block}}}}}), 201);
  }
  void TearDown() override {
    DockerTest::TearDown();
    if (IsSkipped()) return;
    EXPECT_EQ(docker("/networks/own", "DELETE", nullptr), 204);
  }
  Json options() override { return {{"host", engine().host()}, {"network", "own"}}; }

  static InstanceSpec addressed(const std::string& instance, const std::string& address) {
    InstanceSpec spec = script(instance, "echo fine > /tmp/health; exec httpd -f -p 8080 -h /tmp");
    spec.address = address;
    spec.labels["k4t.address"] = address;
    spec.ports = {{8080, 8080, "tcp"}};
    return spec;
  }
};

TEST_F(OwnAddress, IsWhereAnInstanceAnswers) {
  EXPECT_THAT(call<method::Info>({})->subnets, ElementsAre("203.0.113.0/24"));
  run(addressed("1", "203.0.113.77"));
  EXPECT_TRUE(eventually([&] {
    const auto status = http::probe("203.0.113.77", 8080, "/health", 1s);
    return status.ok() && *status == 200;
  }));
  EXPECT_FALSE(http::probe_tcp("127.0.0.1", 8080, 1s).ok());
}

TEST_F(OwnAddress, ThatSomebodyElseHasIsAConflictThatNamesIt) {
  run(addressed("1", "203.0.113.78"));
  const auto second = addressed("2", "203.0.113.78");
  ASSERT_TRUE(call<method::Create>(second).ok());
  const auto refused = call<method::Start>({second.name});
  ASSERT_EQ(refused.status(), Status::conflict) << refused.error().message << refused.error().detail;
  EXPECT_THAT(refused.error().message, HasSubstr("somebody else has its address 203.0.113.78"));
}

TEST_F(OwnAddress, OfANetworkThatIsNotThereIsRefusedAndTold) {
  driver_ = open({{"host", engine().host()}, {"network", "absent"}});
  callee_ = std::make_unique<DirectCallee<runtime::Kind>>(*driver_);
  const auto info = call<method::Info>({});
  ASSERT_TRUE(info.ok());
  EXPECT_TRUE(info->subnets.empty());
  EXPECT_THAT(info->warnings, Contains(HasSubstr("the engine has no network 'absent'")));
  const auto spec = addressed("1", "203.0.113.79");
  auto refused = call<method::Create>(spec);
  if (refused) refused = call<method::Start>({spec.name});
  ASSERT_EQ(refused.status(), Status::invalid_argument) << refused.error().message;
  EXPECT_THAT(refused.error().message, HasSubstr("docker network create"));
}

TEST_F(DockerTest, ATakenPortIsAConflictThatNamesItAndLeavesTheInstanceAsItWas) {
  const auto port = free_port();
  InstanceSpec first = script("1", "exec sleep 600");
  first.ports = {{80, port, "tcp"}};
  InstanceSpec second = script("2", "exec sleep 600");
  second.ports = first.ports;
  run(first);
  ASSERT_TRUE(call<method::Create>(second).ok());
  for (int again = 0; again < 2; ++again) {
    const auto refused = call<method::Start>({second.name});
    ASSERT_EQ(refused.status(), Status::conflict);
    EXPECT_THAT(refused.error().message, HasSubstr("127.0.0.1:" + std::to_string(port) + " is taken"));
    EXPECT_EQ(call<method::Inspect>({second.name})->phase, Phase::created);
  }
  EXPECT_TRUE(call<method::Remove>({first.name}).ok());
  EXPECT_TRUE(call<method::Start>({second.name}).ok()) << "once the port is free";
}

TEST_F(DockerTest, APortHeldByAnotherProgramIsAConflictToo) {
  const auto port = free_port();
  const k4t::testing::Scratch scratch;
  const k4t::testing::Server holder({"busybox", "httpd", "-f", "-p", "127.0.0.1:" + std::to_string(port)},
                                    scratch.path() / "log");
  ASSERT_TRUE(eventually([&] { return http::probe_tcp("127.0.0.1", port, 1s).ok(); }));
  InstanceSpec spec = script("1", "exec sleep 600");
  spec.ports = {{80, port, "tcp"}};
  ASSERT_TRUE(call<method::Create>(spec).ok());
  const auto refused = call<method::Start>({spec.name});
  ASSERT_EQ(refused.status(), Status::conflict);
  EXPECT_THAT(refused.error().message, HasSubstr(std::to_string(port)));
}

TEST_F(DockerTest, AProgramThatTheImageLacksIsAnInvalidArgument) {
  InstanceSpec spec = script("1", "");
  spec.command = {"/no/such/program"};
  ASSERT_TRUE(call<method::Create>(spec).ok());
  const auto refused = call<method::Start>({spec.name});
  ASSERT_EQ(refused.status(), Status::invalid_argument);
  EXPECT_THAT(refused.error().message, HasSubstr("/no/such/program"));
}

TEST_F(DockerTest, AHostNetworkInstanceListensOnTheNode) {
  const auto port = free_port();
  InstanceSpec spec = script("1", "exec httpd -f -p 127.0.0.1:$PORT -h /tmp");
  spec.network = runtime::Network::host;
  spec.env["PORT"] = std::to_string(port);
  spec.ports = {{port, port, "tcp"}};
  EXPECT_EQ(run(spec).ports, spec.ports);
  EXPECT_TRUE(eventually([&] { return http::probe_tcp("127.0.0.1", port, 1s).ok(); }));
}

TEST_F(DockerTest, NameServersAreTheInstances) {
  InstanceSpec spec = script("1", "cat /etc/resolv.conf");
  spec.dns_servers = {"192.0.2.53"};
  spec.dns_search = {"t.example.net"};
  run(spec);
  ended(spec.name);
  EXPECT_THAT(logs(spec.name), HasSubstr("search t.example.net"));
  EXPECT_THAT(logs(spec.name), HasSubstr("nameserver 192.0.2.53"));
}

TEST_F(DockerTest, LogsKeepTheChannelsApartAndKnowTailAndTimestamps) {
  const InstanceSpec both = script("1", "echo one; echo oops >&2; echo two");
  run(both);
  ended(both.name);
  OutputSink all;
  ASSERT_TRUE(call<method::Logs>({both.name, false, 0, false}, &all).ok());
  EXPECT_EQ(all.out, "one\ntwo\n");
  EXPECT_EQ(all.err, "oops\n");
  const InstanceSpec spec = script("2", "echo one; echo two; echo three");
  run(spec);
  ended(spec.name);
  EXPECT_EQ(logs(spec.name, 1), "three\n");
  OutputSink stamped;
  ASSERT_TRUE(call<method::Logs>({spec.name, false, 1, true}, &stamped).ok());
  EXPECT_THAT(stamped.out, ::testing::MatchesRegex("20[0-9]*-[^ ]*Z three\n"));
}

TEST_F(DockerTest, FollowedLogsEndWithTheInstanceOrWhenTheCallerHasEnough) {
  const InstanceSpec endless = script("1", "echo first; exec sleep 600");
  run(endless);
  OutputSink sink;
  sink.stop_at = "first";
  EXPECT_TRUE(call<method::Logs>({endless.name, true, 0, false}, &sink).ok());
  const InstanceSpec brief = script("2", "sleep 0.3; echo last");
  run(brief);
  OutputSink rest;
  EXPECT_TRUE(call<method::Logs>({brief.name, true, 0, false}, &rest).ok());
  EXPECT_EQ(rest.out, "last\n");
  EXPECT_EQ(call<method::Logs>({endless.name, true, 0, false}, nullptr, 300ms).status(), Status::deadline);
}

TEST_F(DockerTest, ExecStreamsAndTellsTheExitCode) {
  const InstanceSpec spec = script("1", "exec sleep 600");
  EXPECT_EQ(call<method::Exec>({spec.name, {"true"}}).status(), Status::not_found);
  ASSERT_TRUE(call<method::Create>(spec).ok());
  EXPECT_EQ(call<method::Exec>({spec.name, {"true"}}).status(), Status::conflict) << "it does not run yet";
  run(spec);
  OutputSink sink;
  const auto ran = call<method::Exec>({spec.name, {"/bin/sh", "-c", "echo out; echo err >&2; exit 3"}}, &sink);
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(ran->exit_code, 3);
  EXPECT_EQ(sink.out, "out\n");
  EXPECT_EQ(sink.err, "err\n");
  EXPECT_EQ(call<method::Exec>({spec.name, {}}).status(), Status::invalid_argument);
}

TEST_F(DockerTest, EveryVerbCanBeRepeated) {
  const InstanceSpec spec = script("1", "exec sleep 600");
  std::string id;
  for (int again = 0; again < 3; ++again) {
    const auto created = call<method::Create>(spec);
    ASSERT_TRUE(created.ok());
    EXPECT_TRUE(again == 0 || created->id == id);
    id = created->id;
  }
  for (int again = 0; again < 3; ++again) EXPECT_EQ(call<method::Start>({spec.name})->phase, Phase::running);
  for (int again = 0; again < 3; ++again) EXPECT_TRUE(call<method::Stop>({spec.name}).ok());
  EXPECT_EQ(call<method::Inspect>({spec.name})->phase, Phase::exited);
  for (int again = 0; again < 3; ++again) EXPECT_TRUE(call<method::Remove>({spec.name}).ok());
  EXPECT_EQ(call<method::Stop>({spec.name}).status(), Status::not_found);
}

TEST_F(DockerTest, AStoppedInstanceStaysStoppedAndARunningOneReturnsWhenTheEngineRestarts) {
  InstanceSpec stopped = script("1", "exec sleep 600");
  InstanceSpec running = script("2", "exec sleep 600");
  stopped.restart = running.restart = runtime::Restart::always;
  run(stopped);
  run(running);
  ASSERT_TRUE(call<method::Stop>({stopped.name}).ok());
  DockerEngine::shared().kill();
  const auto gone = call<method::List>({"t"});
  ASSERT_EQ(gone.status(), Status::unavailable);
  EXPECT_THAT(gone.error().message, HasSubstr("cannot reach the Docker Engine at " + DockerEngine::shared().host()));
  EXPECT_THAT(gone.error().message, HasSubstr("is it running?"));
  DockerEngine::shared().start();
  EXPECT_TRUE(eventually([&] { return call<method::Inspect>({running.name})->phase == Phase::running; }));
  EXPECT_EQ(call<method::Inspect>({stopped.name})->phase, Phase::exited);
}

TEST_F(DockerTest, AnEngineKilledInTheMiddleOfACallIsUnavailable) {
  const InstanceSpec spec = script("1", "echo first; exec sleep 600");
  run(spec);
  std::thread killer;
  class KillOnOutput final : public CallSink {
   public:
    explicit KillOnOutput(std::thread& killer) : killer_(killer) {}
    bool stream(Channel /*channel*/, std::string_view /*bytes*/) override {
      killer_ = std::thread([] { DockerEngine::shared().kill(); });
      return true;
    }

   private:
    std::thread& killer_;
  } sink(killer);
  const auto cut = call<method::Logs>({spec.name, true, 0, false}, &sink);
  killer.join();
  EXPECT_EQ(cut.status(), Status::unavailable);
  DockerEngine::shared().start();
}

TEST_F(DockerTest, AFrozenEngineIsADeadline) {
  DockerEngine::shared().freeze();
  const auto late = call<method::List>({"t"}, nullptr, 500ms);
  DockerEngine::shared().thaw();
  EXPECT_EQ(late.status(), Status::deadline);
}

TEST_F(DockerTest, WhatIsNotTheClustersIsNeitherListedNorRemoved) {
  ASSERT_EQ(docker("/containers/create?name=foreign", "POST", {{"Image", image}, {"Cmd", {"true"}}}), 201);
  ASSERT_EQ(docker("/containers/create?name=other", "POST",
                   {{"Image", image}, {"Cmd", {"true"}}, {"Labels", {{"k4t.cluster", "u"}}}}),
            201);
  EXPECT_EQ(call<method::Remove>({"foreign"}).status(), Status::conflict);
  EXPECT_EQ(call<method::Remove>({"other"}).status(), Status::conflict);
  EXPECT_THAT(call<method::List>({"t"})->instances, SizeIs(0));
  EXPECT_EQ(call<method::Inspect>({"foreign"})->phase, Phase::created);
  InstanceSpec spec = script("1", "true");
  spec.name = "foreign";
  EXPECT_EQ(call<method::Create>(spec).status(), Status::conflict);
  EXPECT_EQ(docker("/containers/foreign", "DELETE", nullptr), 204);
  EXPECT_EQ(docker("/containers/other", "DELETE", nullptr), 204);
}

TEST_F(DockerTest, TheBeginningOfAnIdentifierIsNoName) {
  const InstanceSpec spec = script("1", "exec sleep 600");
  const Instance instance = run(spec);
  EXPECT_EQ(call<method::Inspect>({instance.id.substr(0, 12)}).status(), Status::not_found);
  EXPECT_TRUE(call<method::Remove>({instance.id.substr(0, 12)}).ok());
  EXPECT_EQ(call<method::Inspect>({spec.name})->phase, Phase::running);
}

TEST_F(DockerTest, SeveralThreadsUseOneDriver) {
  std::vector<std::thread> threads;
  std::array<bool, 4> good{};
  for (std::size_t n = 0; n < good.size(); ++n) {
    threads.emplace_back([&, n] {
      const InstanceSpec spec = script(std::to_string(n), "exec sleep 600");
      good.at(n) = call<method::Create>(spec).ok() && call<method::Start>({spec.name}).ok() &&
                   call<method::Remove>({spec.name}).ok();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(good, ::testing::Each(true));
}

}  // namespace
}  // namespace k4t::docker
