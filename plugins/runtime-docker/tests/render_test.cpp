#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client.hpp"
#include "docker_driver.hpp"
#include "render.hpp"

namespace k4t::docker {
namespace {

using runtime::Health;
using runtime::Instance;
using runtime::InstanceSpec;
using runtime::Phase;
using runtime::PortMap;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

InstanceSpec small() {
  InstanceSpec spec;
  spec.name = "shop-web-1";
  spec.image = "web:1";
  spec.labels = {{"k4t.cluster", "shop"}};
  return spec;
}

const Reached reached{"192.0.2.1", "k4t"};

Status refusal_of(const InstanceSpec& spec) { return create_body(spec, reached).status(); }

TEST(CreateBody, OfASmallSpecHasTheDefaultsAndNothingElse) {
  EXPECT_EQ(create_body(small(), reached)->dump(1), R"({
 "Env": [],
 "ExposedPorts": {},
 "HostConfig": {
  "LogConfig": {
   "Config": {
    "max-file": "3",
    "max-size": "10m"
   },
   "Type": "json-file"
  },
  "NetworkMode": "bridge",
  "PortBindings": {},
  "RestartPolicy": {
   "Name": "unless-stopped"
  }
 },
 "Image": "web:1",
 "Labels": {
  "k4t.cluster": "shop"
 },
 "StopTimeout": 10
})");
}

TEST(CreateBody, AnAddressOfItsOwnIsInTheNetworkAndPublishesNothing) {
  InstanceSpec spec = small();
  spec.ports = {{8080, 8080, "tcp"}};
  spec.address = "2001:db8:0:1::9";
  const Json body = *create_body(spec, reached);
  EXPECT_EQ(body.at("HostConfig").at("NetworkMode"), "k4t");
  EXPECT_EQ(body.at("HostConfig").at("PortBindings"), Json::object());
  EXPECT_EQ(body.at("NetworkingConfig").dump(),
            R"({"EndpointsConfig":{"k4t":{"IPAMConfig":{"IPv6Address":"2001:db8:0:1::9"}}}})");
  spec.address = "192.0.2.77";
  EXPECT_EQ(create_body(spec, reached)->at("NetworkingConfig").dump(),
            R"({"EndpointsConfig":{"k4t":{"IPAMConfig":{"IPv4Address":"192.0.2.77"}}}})");
  EXPECT_THAT(create_body(spec, {"192.0.2.1", ""}).error().message, HasSubstr("no options.network"));
  spec.network = runtime::Network::host;
  EXPECT_EQ(refusal_of(spec), Status::invalid_argument);
}

TEST(Subnets, AreReadFromTheNetworksAnswer) {
  const auto network =
      Json::parse(R"({"IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}, {"Subnet": "2001:db8::/64"}]}})");
  EXPECT_THAT(*subnets_of(network), ElementsAre("172.18.0.0/16", "2001:db8::/64"));
  EXPECT_TRUE(subnets_of(Json::parse(R"({"IPAM": {"Config": null}})"))->empty());
  for (const char* odd :
       {R"({"IPAM": {"Config": [{}]}})", R"({"IPAM": {"Config": [{"Subnet": 1}]}})", R"({"IPAM": 1})"}) {
    EXPECT_EQ(subnets_of(Json::parse(odd)).status(), Status::unavailable) << odd;
  }
}

TEST(CreateBody, OfAFullSpecHasEverything) {
  InstanceSpec spec = small();
  spec.entrypoint = {"/bin/web"};
  spec.command = {"--port", "80"};
  spec.env = {{"A", "1"}, {"B", "x=y"}};
  spec.ports = {{80, 20000, "tcp"}, {80, 20001, "udp"}, {80, 20002, "tcp"}};
  spec.network = runtime::Network::host;
  spec.dns_servers = {"192.0.2.53"};
  spec.dns_search = {"shop.example.net"};
  spec.cpu_millis = 250;
  spec.memory_bytes = 64u << 20;
  spec.pids = 100;
  spec.user = "1000:1000";
  spec.read_only = true;
  spec.restart = runtime::Restart::on_failure;
  spec.stop_timeout_s = 3;
  EXPECT_EQ(create_body(spec, reached)->dump(1), R"({
 "Cmd": [
  "--port",
  "80"
 ],
 "Entrypoint": [
  "/bin/web"
 ],
 "Env": [
  "A=1",
  "B=x=y"
 ],
 "ExposedPorts": {
  "80/tcp": {},
  "80/udp": {}
 },
 "HostConfig": {
  "Dns": [
   "192.0.2.53"
  ],
  "DnsSearch": [
   "shop.example.net"
  ],
  "LogConfig": {
   "Config": {
    "max-file": "3",
    "max-size": "10m"
   },
   "Type": "json-file"
  },
  "Memory": 67108864,
  "MemorySwap": 67108864,
  "NanoCpus": 250000000,
  "NetworkMode": "host",
  "PidsLimit": 100,
  "PortBindings": {
   "80/tcp": [
    {
     "HostIp": "192.0.2.1",
     "HostPort": "20000"
    },
    {
     "HostIp": "192.0.2.1",
     "HostPort": "20002"
    }
   ],
   "80/udp": [
    {
     "HostIp": "192.0.2.1",
     "HostPort": "20001"
    }
   ]
  },
  "ReadonlyRootfs": true,
  "RestartPolicy": {
   "Name": "on-failure"
  }
 },
 "Image": "web:1",
 "Labels": {
  "k4t.cluster": "shop"
 },
 "StopTimeout": 3,
 "User": "1000:1000"
})");
}

TEST(CreateBody, RefusesWhatTheEngineWouldTakeForSomethingElse) {
  for (const char* name : {"", "a", "-a", "a b", "a/../b", "A1", "a'b", "a\nb"}) {
    InstanceSpec spec = small();
    spec.name = name;
    EXPECT_EQ(refusal_of(spec), Status::invalid_argument) << name;
  }
  InstanceSpec spec = small();
  spec.name = std::string(64, 'a');
  EXPECT_EQ(refusal_of(spec), Status::invalid_argument);
  spec = small();
  spec.env = {{"A=B", "c"}};
  EXPECT_EQ(refusal_of(spec), Status::invalid_argument);
  spec = small();
  spec.ports = {{80, 0, "tcp"}};
  EXPECT_EQ(refusal_of(spec), Status::invalid_argument) << "host port 0 would be any port";
  spec.ports = {{80, 20000, "sctp"}};
  EXPECT_EQ(refusal_of(spec), Status::invalid_argument);
  spec.ports = {{80, 20000, "tcp"}, {81, 20000, "tcp"}};
  EXPECT_EQ(refusal_of(spec), Status::invalid_argument);
  spec = small();
  spec.image = "web:1/json?x=";
  EXPECT_EQ(refusal_of(spec), Status::invalid_argument);
}

Json inspected() {
  return Json::parse(R"({
    "Id": "4f0c", "Name": "/shop-web-1", "RestartCount": 2,
    "State": {"Status": "exited", "OOMKilled": true, "ExitCode": 137, "Error": "", "StartedAt": "2026-01-02T03:04:05.678Z"},
    "Config": {"Image": "web:1", "Labels": {"k4t.cluster": "shop"}},
    "HostConfig": {"NanoCpus": 250000000, "Memory": 67108864,
                   "PortBindings": {"80/tcp": [{"HostIp": "192.0.2.1", "HostPort": "20000"}]}}})");
}

TEST(InstanceOf, ReadsEveryField) {
  Instance expected;
  expected.id = "4f0c";
  expected.name = "shop-web-1";
  expected.image = "web:1";
  expected.labels = {{"k4t.cluster", "shop"}};
  expected.ports = {{80, 20000, "tcp"}};
  expected.phase = Phase::exited;
  expected.exit_code = 137;
  expected.restarts = 2;
  expected.started_at_s = 1767323045;
  expected.cpu_millis = 250;
  expected.memory_bytes = 64u << 20;
  expected.detail = "out of memory: the kernel ended it at its memory limit";
  const auto instance = instance_of(inspected());
  ASSERT_TRUE(instance.ok());
  EXPECT_EQ(Json(*instance), Json(expected));
}

TEST(InstanceOf, ThatWasKilledAtAMemoryLimitIsToldThoughTheEngineMissedWhy) {
  const std::string either =
      "killed: out of memory at its limit, or ended from outside; the engine does not tell which";
  Json answer = inspected();
  answer["State"]["OOMKilled"] = false;
  EXPECT_EQ(instance_of(answer)->detail, either);
  answer["State"]["Status"] = "restarting";
  EXPECT_EQ(instance_of(answer)->detail, either);
  answer["State"]["Error"] = "said by the engine";
  EXPECT_EQ(instance_of(answer)->detail, "said by the engine");
  answer["State"]["Error"] = "";
  answer["State"]["ExitCode"] = 1;
  EXPECT_EQ(instance_of(answer)->detail, "");
  answer["State"]["ExitCode"] = 137;
  answer["HostConfig"]["Memory"] = 0;
  EXPECT_EQ(instance_of(answer)->detail, "");
}

TEST(InstanceOf, KnowsEveryPhaseAndCallsTheRestUnknown) {
  const std::map<std::string, Phase> phases{{"created", Phase::created},       {"running", Phase::running},
                                            {"restarting", Phase::restarting}, {"exited", Phase::exited},
                                            {"dead", Phase::exited},           {"removing", Phase::exited},
                                            {"paused", Phase::unknown},        {"dreaming", Phase::unknown}};
  for (const auto& [status, phase] : phases) {
    Json answer = inspected();
    answer["State"] = {{"Status", status}};
    EXPECT_EQ(instance_of(answer)->phase, phase) << status;
  }
}

TEST(InstanceOf, ReadsHealthAndLeavesOutTheExitCodeOfALivingOne) {
  Json answer = inspected();
  answer["State"] = {{"Status", "running"}, {"ExitCode", 5}, {"Health", {{"Status", "unhealthy"}}}};
  EXPECT_EQ(instance_of(answer)->health, Health::unhealthy);
  EXPECT_EQ(instance_of(answer)->exit_code, 0);
}

TEST(InstanceOf, TakesNullForEmpty) {
  Json answer = inspected();
  answer["Config"]["Labels"] = nullptr;
  answer["HostConfig"]["PortBindings"] = nullptr;
  const auto instance = instance_of(answer);
  ASSERT_TRUE(instance.ok());
  EXPECT_TRUE(instance->labels.empty());
  EXPECT_TRUE(instance->ports.empty());
}

TEST(InstanceOf, AnAnswerOfAnotherShapeIsUnavailableNeverEmpty) {
  EXPECT_EQ(instance_of(Json()).status(), Status::unavailable);
  EXPECT_EQ(instance_of(Json::array()).status(), Status::unavailable);
  for (const char* field : {"Id", "Name", "State", "Config", "HostConfig"}) {
    Json answer = inspected();
    answer.erase(field);
    EXPECT_EQ(instance_of(answer).status(), Status::unavailable) << field;
    answer[field] = 7;
    EXPECT_EQ(instance_of(answer).status(), Status::unavailable) << field;
  }
}

TEST(NodeInfoOf, TellsWhatTheKernelDoesNotEnforce) {
  const auto info = node_info_of(Json::parse(R"({"NCPU": 4, "MemTotal": 8000000000, "Architecture": "x86_64",
      "OperatingSystem": "Debian", "ServerVersion": "20.10.24", "Warnings": null, "LiveRestoreEnabled": true,
      "MemoryLimit": true, "CpuCfsQuota": true, "PidsLimit": false})"));
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->cpus, 4U);
  EXPECT_EQ(info->memory_bytes, 8'000'000'000U);
  EXPECT_THAT(info->warnings, ElementsAre("process limits are not enforced on this node"));
  EXPECT_EQ(node_info_of(Json{{"NCPU", "many"}}).status(), Status::unavailable);
}

TEST(ParseImage, TakesReferencesApart) {
  const auto parts = [](const std::string& reference) {
    const auto name = parse_image(reference);
    return name ? name->repository + " " + name->tag : std::string(to_string(name.status()));
  };
  EXPECT_EQ(parts("web"), "web latest");
  EXPECT_EQ(parts("web:1.4"), "web 1.4");
  EXPECT_EQ(parts("registry.example.net:5000/team/web"), "registry.example.net:5000/team/web latest");
  EXPECT_EQ(parts("registry.example.net:5000/team/web:1.4"), "registry.example.net:5000/team/web 1.4");
  EXPECT_EQ(parts("web@sha256:0a"), "web sha256:0a");
  EXPECT_EQ(parts("web:1.4@sha256:0a"), "web sha256:0a");
  for (const char* bad : {"", "-web", "/web", "a b", "a/../b", "a//b", "web?x", "web\n", "w'eb"}) {
    EXPECT_EQ(parts(bad), "invalid_argument") << bad;
  }
}

TEST(ListQuery, EscapesTheFilter) {
  EXPECT_EQ(list_query("a\"&b"), "all=1&filters=%7B%22label%22%3A%5B%22k4t.cluster%3Da%5C%22%26b%22%5D%7D");
}

TEST(UnixTime, NeverAndNonsenseAreZero) {
  EXPECT_EQ(unix_time_s("1970-01-02T00:00:00Z"), 86400);
  EXPECT_EQ(unix_time_s("0001-01-01T00:00:00Z"), 0);
  EXPECT_EQ(unix_time_s("yesterday"), 0);
}

TEST(SameIdentity, IgnoresLabelsOfTheImageButNotOfK4t) {
  const InstanceSpec spec = small();
  Instance present;
  present.name = spec.name;
  present.labels = spec.labels;
  present.labels["maintainer"] = "somebody";
  EXPECT_TRUE(same_identity(present, spec));
  present.labels["k4t.revision"] = "2";
  EXPECT_FALSE(same_identity(present, spec));
  present.labels = {{"k4t.cluster", "other"}};
  EXPECT_FALSE(same_identity(present, spec));
}

TEST(TakenPort, NamesThePortThatTheEngineMeans) {
  const std::vector<PortMap> ports{{80, 2000, "tcp"}, {81, 20000, "tcp"}};
  EXPECT_EQ(taken_port("Bind for 192.0.2.1:20000 failed: port is already allocated", ports, "192.0.2.1"),
            "192.0.2.1:20000");
  EXPECT_EQ(taken_port("listen tcp4 192.0.2.1:2000: bind: address already in use", ports, "192.0.2.1"),
            "192.0.2.1:2000");
  EXPECT_EQ(taken_port("address already in use", ports, "192.0.2.1"), "192.0.2.1:2000, 192.0.2.1:20000");
  EXPECT_EQ(taken_port("no space left on device", ports, "192.0.2.1"), "");
}

TEST(Negotiate, PicksTheHighestCommonVersion) {
  const auto pick = [](const char* newest, const char* oldest) {
    const auto agreed = negotiate({{"ApiVersion", newest}, {"MinAPIVersion", oldest}});
    return agreed ? *agreed : std::string(to_string(agreed.status()));
  };
  EXPECT_EQ(pick("1.41", "1.12"), "1.41");
  EXPECT_EQ(pick("1.47", "1.24"), "1.47");
  EXPECT_EQ(pick("1.99", "1.44"), "1.51");
  EXPECT_EQ(pick("1.40", "1.12"), "unsupported");
  EXPECT_EQ(pick("1.99", "1.90"), "unsupported");
  EXPECT_EQ(pick("2.0", "1.12"), "unavailable");
  EXPECT_EQ(negotiate(Json("text")).status(), Status::unavailable);
}

}  // namespace
}  // namespace k4t::docker
