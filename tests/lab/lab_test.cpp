#include "lab/lab.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lab/servers.hpp"
#include "support/docker_engine.hpp"

/// The lab itself: what other tests take for granted of its machines.

namespace k4t::testing::lab {
namespace {

using ::testing::HasSubstr;

#define K4T_REQUIRE_LAB() \
  if (const auto why = missing(); !why.empty()) K4T_SKIP_OR_FAIL(why)

bool reaches(const Machine& from, const std::string& address, unsigned port) {
  return from.run({"bash", "-c", "exec timeout 1 bash -c ': </dev/tcp/" + address + "/" + std::to_string(port) + "'"})
             .exit_code == 0;
}

TEST(Lab, MachinesHaveNamesAndProcessesAndDisksOfTheirOwn) {
  K4T_REQUIRE_LAB();
  Lab lab;
  auto& one = lab.add("one");
  auto& two = lab.add("two");
  EXPECT_EQ(one.must({"hostname"}), "one\n");
  one.write("/etc/mine", "one's");
  EXPECT_EQ(one.must({"cat", "/etc/mine"}), "one's");
  EXPECT_NE(two.run({"cat", "/etc/mine"}).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists("/etc/mine"));
  EXPECT_THAT(one.must({"cat", "/proc/1/cmdline"}), HasSubstr("tini"));
}

TEST(Lab, AnUnpluggedMachineIsOutOfReachUntilItIsPluggedIn) {
  K4T_REQUIRE_LAB();
  Lab lab;
  const Keys keys(lab);
  auto& one = lab.add("one");
  auto& two = lab.add("two");
  keys.run_sshd(two);
  EXPECT_TRUE(reaches(one, two.address(), 22));
  EXPECT_TRUE(reaches(one, two.address6(), 22));
  two.unplug();
  EXPECT_FALSE(reaches(one, two.address(), 22));
  two.plug();
  EXPECT_TRUE(eventually([&] { return reaches(one, two.address(), 22); }));
  EXPECT_FALSE(reaches(one, "198.51.100.1", 22)) << "there is nothing beyond the lab";
}

TEST(Lab, APowerCutEndsAllProcessesAndKeepsTheDisk) {
  K4T_REQUIRE_LAB();
  Lab lab;
  const Keys keys(lab);
  auto& one = lab.add("one");
  auto& two = lab.add("two");
  keys.run_sshd(two);
  two.write("/var/lib/kept", "kept");
  two.power_off();
  EXPECT_FALSE(reaches(one, two.address(), 22));
  two.power_on();
  EXPECT_TRUE(reaches(one, two.address(), 22)) << "its server is back";
  EXPECT_EQ(two.read("/var/lib/kept"), "kept");
}

TEST(Lab, KeysOpenAMachineByItsHostKey) {
  K4T_REQUIRE_LAB();
  Lab lab;
  const Keys keys(lab);
  auto& one = lab.add("one");
  auto& two = lab.add("two");
  keys.run_sshd(two);
  EXPECT_EQ(one.must({"ssh", "-i", keys.identity(), "-o", "UserKnownHostsFile=" + keys.known_hosts(), "-o",
                      "StrictHostKeyChecking=yes", two.address(), "hostname"}),
            "two\n");
}

TEST(Lab, ADockerEngineRunsContainersThere) {
  K4T_REQUIRE_LAB();
  if (const auto why = DockerEngine::missing(); !why.empty()) K4T_SKIP_OR_FAIL(why);
  Lab lab;
  auto& node = lab.add("n1");
  run_docker(node);
  import_image(docker_socket(node), "app", {});
  EXPECT_EQ(node.must({"docker", "run", "--rm", "-p", node.address() + ":8080:80", "app", "/bin/echo", "runs"}),
            "runs\n");
  EXPECT_THAT(node.must({"iptables", "-t", "nat", "-S"}), HasSubstr("DOCKER"));
}

TEST(Lab, ServersAnswerOnTheirUsualPorts) {
  K4T_REQUIRE_LAB();
  Lab lab;
  auto& nginx = lab.add("gw1");
  auto& haproxy = lab.add("gw2");
  auto& dns = lab.add("ns1");
  auto& client = lab.add("client");
  run_nginx(nginx);
  run_haproxy(haproxy);
  make_bind_key(lab.folder() / "k4t.key");
  run_bind(dns, "demo.example.net", lab.folder() / "k4t.key");
  EXPECT_EQ(client.must({"dig", "@" + dns.address(), "+short", "ns.demo.example.net", "A"}), dns.address() + "\n");
  nginx.stop("nginx");
  EXPECT_NE(nginx.run({"pgrep", "nginx"}).exit_code, 0);
  nginx.start("nginx");
  EXPECT_EQ(nginx.run({"pgrep", "nginx"}).exit_code, 0);
}

}  // namespace
}  // namespace k4t::testing::lab
