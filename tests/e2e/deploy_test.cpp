#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "support/docker_engine.hpp"
#include "support/real_cluster.hpp"
#include "support/sshd_server.hpp"

/// What users do all day, through the k4t program, on real servers.

namespace k4t::testing {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

namespace fs = std::filesystem;

constexpr const char* echo_service =
    "[[service]]\nname = \"echo\"\nimage = \"app\"\ncommand = [\"tcp\"]\nreplicas = 2\nnetwork = \"host\"\n"
    "stop_timeout = \"2s\"\ndrain_timeout = \"2s\"\n"
    "[[service.port]]\nname = \"echo\"\n[service.health]\ntcp = true\ninterval = \"500ms\"\n"
    "[[service.expose]]\nprotocol = \"tcp\"\nlisten = @tcp@\n";

/// Everything that a server or a witness keeps on disk: path, time of the last change, content.
std::map<std::string, std::string> written(RealCluster& cluster) {
  std::map<std::string, std::string> found;
  for (const fs::path& root :
       {cluster.nginx().folder(), cluster.haproxy().file().parent_path(), cluster.folder() / "state"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      const auto name = entry.path().filename().string();
      // The lock names its holder, SQLite's shared memory and journal are opened by readers too.
      if (!entry.is_regular_file() || name.ends_with(".lock") || name.ends_with("-shm") || name.ends_with("-wal"))
        continue;
      found[entry.path()] =
          Scratch::read(entry.path()) + std::to_string(fs::last_write_time(entry.path()).time_since_epoch().count());
    }
  }
  for (auto* server : {&cluster.ns1(), &cluster.ns2()}) {
    found["serial of " + std::to_string(server->port())] = server->dig(RealCluster::domain, "SOA");
  }
  return found;
}

TEST(Deploy, AnHttpAndATcpServiceAreReachedThroughBothGatewaysAndNamedByBothServers) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  cluster.web(2, "hello");
  cluster.service("echo", echo_service);
  const auto applied = cluster.apply();
  ASSERT_EQ(applied.exit_code, 0) << applied.out << applied.err;

  for (const char* gateway : {RealCluster::nginx_address, RealCluster::haproxy_address}) {
    const auto answer = cluster.get(gateway, "web");
    EXPECT_EQ(answer.status, 200) << gateway;
    EXPECT_THAT(answer.body, HasSubstr("hello from web"));
    EXPECT_EQ(cluster.get(gateway, "nobody").status, 404) << gateway;
  }
  for (auto* server : {&cluster.ns1(), &cluster.ns2()}) {
    EXPECT_EQ(server->dig("web.demo.example.net", "A"), "127.0.20.1\n127.0.20.2");
    EXPECT_THAT(server->dig("_echo._tcp.echo.demo.example.net", "SRV"),
                HasSubstr(std::to_string(cluster.tcp_port()) + " echo.demo.example.net"));
  }
  EXPECT_THAT(cluster.served_versions(), Each(Pair(::testing::_, 1)));
  const auto ps = cluster.k4t({"ps", "-o", "json"}).json();
  EXPECT_EQ(ps.size(), 4u);
  const auto logs = cluster.k4t({"logs", "web", "--tail", "5"});
  EXPECT_EQ(logs.exit_code, 0) << logs.err;
}

TEST(Deploy, ApplyingTwiceChangesNothingAndWritesNothingAnywhere) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  cluster.web(2, "hello");
  ASSERT_EQ(cluster.apply().exit_code, 0);
  const auto before = written(cluster);
  const auto instances = cluster.k4t({"ps", "-o", "json"}).json();

  const auto again = cluster.apply();
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("Nothing to do."));
  EXPECT_THAT(again.out, HasSubstr("nothing was written anywhere"));
  EXPECT_EQ(written(cluster), before);
  EXPECT_EQ(cluster.k4t({"ps", "-o", "json"}).json(), instances);
}

TEST(Deploy, PlanTellsWhatWouldHappenAndDoesNothing) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  cluster.web(2, "hello");
  const auto plan = cluster.k4t({"plan", "-f", "services"});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("+ web: start 2 instances on n1 ×2"));
  EXPECT_THAT(plan.out, HasSubstr("web.demo.example.net"));
  EXPECT_THAT(cluster.served_versions(), Each(Pair(::testing::_, 0)));
  EXPECT_EQ(cluster.k4t({"ps"}).out, "No instances.\n");
}

TEST(Deploy, ScalingKeepsWhatRunsAndADeletedServiceIsGone) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  cluster.web(1, "hello");
  ASSERT_EQ(cluster.apply().exit_code, 0);
  const auto first = cluster.k4t({"ps", "-o", "json"}).json().at(0).at("name");
  cluster.web(3, "hello");
  ASSERT_EQ(cluster.apply().exit_code, 0);
  const auto scaled = cluster.k4t({"ps", "-o", "json"}).json();
  EXPECT_EQ(scaled.size(), 3u);
  EXPECT_TRUE(std::any_of(scaled.begin(), scaled.end(), [&](const auto& one) { return one.at("name") == first; }));

  const auto deleted = cluster.k4t({"delete", "web", "--yes"});
  EXPECT_EQ(deleted.exit_code, 0) << deleted.err;
  EXPECT_EQ(cluster.k4t({"ps"}).out, "No instances.\n");
  EXPECT_EQ(cluster.get(RealCluster::nginx_address, "web").status, 0) << "the listener is gone";
  EXPECT_EQ(cluster.ns2().dig("web.demo.example.net", "A"), "");
}

TEST(Deploy, ScalingFarDownNeedsForce) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  cluster.web(4, "hello");
  ASSERT_EQ(cluster.apply().exit_code, 0);
  cluster.web(1, "hello");
  const auto refused = cluster.apply();
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("would remove 75 % of the instances, more than the limit of 50 %"));
  EXPECT_EQ(cluster.k4t({"ps", "-o", "json"}).json().size(), 4u);
  EXPECT_EQ(cluster.k4t({"apply", "-f", "services", "--force"}).exit_code, 0);
  EXPECT_EQ(cluster.k4t({"ps", "-o", "json"}).json().size(), 1u);
}

TEST(Deploy, ANewRevisionLosesNoRequest) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  cluster.web(2, "one");
  ASSERT_EQ(cluster.apply().exit_code, 0);
  cluster.web(2, "two");
  const auto apply = cluster.start_apply(cluster.folder() / "apply.log");
  int answered = 0;
  int failed = 0;
  const auto all_new = [&] {
    bool fresh = true;
    for (const char* gateway : {RealCluster::nginx_address, RealCluster::haproxy_address}) {
      const auto answer = cluster.get(gateway, "web");
      ++(answer.status == 200 ? answered : failed);
      fresh = fresh && answer.body.find("two from web") != std::string::npos;
    }
    return fresh && Scratch::read(cluster.folder() / "apply.log").find("Done.") != std::string::npos;
  };
  EXPECT_TRUE(eventually(all_new, std::chrono::seconds(60))) << Scratch::read(cluster.folder() / "apply.log");
  EXPECT_EQ(failed, 0) << "of " << answered + failed;
  EXPECT_GT(answered, 20);
}

TEST(Deploy, ALaggingGatewayCatchesUpWhenItReturns) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  cluster.web(1, "one");
  ASSERT_EQ(cluster.apply().exit_code, 0);
  cluster.nginx().stop();
  cluster.web(1, "two");
  const auto lagging = cluster.apply();
  EXPECT_EQ(lagging.exit_code, 3) << lagging.out << lagging.err;
  EXPECT_THAT(lagging.out, HasSubstr("gateway gw1"));
  EXPECT_THAT(cluster.get(RealCluster::haproxy_address, "web").body, HasSubstr("two from web"));
  EXPECT_EQ(cluster.k4t({"status"}).exit_code, 3);

  cluster.nginx().start();
  const auto synced = cluster.k4t({"sync"});
  EXPECT_EQ(synced.exit_code, 0) << synced.out << synced.err;
  EXPECT_THAT(cluster.get(RealCluster::nginx_address, "web").body, HasSubstr("two from web"));
  EXPECT_EQ(cluster.k4t({"status"}).exit_code, 0);
}

/// Applies, looks at and deletes a service whose one node has a Docker Engine.
void expect_life_in_containers(RealCluster& cluster) {
  cluster.web(2, "hello");
  std::string text = Scratch::read(cluster.folder() / "services/web.toml");
  text.insert(text.find("command ="), "entrypoint = [\"/app\"]\nmemory = \"64MiB\"\n");
  cluster.service("web", text);
  const auto applied = cluster.apply();
  ASSERT_EQ(applied.exit_code, 0) << applied.out << applied.err;
  for (const char* gateway : {RealCluster::nginx_address, RealCluster::haproxy_address}) {
    EXPECT_THAT(cluster.get(gateway, "web").body, HasSubstr("hello from web"));
  }
  EXPECT_THAT(cluster.apply().out, HasSubstr("Nothing to do."));
  EXPECT_EQ(cluster.k4t({"delete", "web", "--yes"}).exit_code, 0);
  EXPECT_EQ(cluster.k4t({"ps"}).out, "No instances.\n");
}

DockerEngine& engine_with_app() {
  auto& engine = DockerEngine::shared();
  engine.import_image("app", {{std::string(K4T_BINARY_DIR) + "/bin/k4t-demo-app", "/app"}});
  return engine;
}

TEST(Deploy, OnADockerEngineTheSameHappensInContainers) {
  K4T_REQUIRE_CLUSTER();
  if (const auto why = DockerEngine::missing(); !why.empty()) K4T_SKIP_OR_FAIL(why);
  RealCluster cluster({engine_with_app().host(), "one"});
  expect_life_in_containers(cluster);
}

TEST(Deploy, ADockerEngineOfAnotherMachineIsReachedAsTheTableSshSays) {
  K4T_REQUIRE_CLUSTER();
  if (const auto why = DockerEngine::missing(); !why.empty()) K4T_SKIP_OR_FAIL(why);
  if (!SshdServer::available()) K4T_SKIP_OR_FAIL("sshd is not installed");
  SshdServer sshd;
  sshd.start();
  RealCluster cluster({sshd.url(), "one"});
  const std::string host = "options.host = \"" + sshd.url() + "\"\n";
  cluster.edit_config(host, host + "options.socket = \"" + engine_with_app().socket().string() + "\"\n");
  const auto unknown = cluster.k4t({"doctor"});
  EXPECT_THAT(unknown.out + unknown.err, HasSubstr("host key is unknown"));
  cluster.edit_config("[cluster]\n", "[ssh]\nidentity = [\"" + sshd.identity() + "\"]\nknown_hosts = \"" +
                                         sshd.known_hosts() + "\"\n\n[cluster]\n");
  expect_life_in_containers(cluster);
  sshd.kill();
  const auto gone = cluster.k4t({"ps"});
  EXPECT_THAT(gone.out + gone.err, HasSubstr("cannot reach the Docker Engine at " + sshd.url()));
}

}  // namespace
}  // namespace k4t::testing
