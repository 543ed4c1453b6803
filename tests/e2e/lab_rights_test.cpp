#include "lab_fixture.hpp"

/// Gateways that k4t administers as a user who is not root, with the rights that the drivers' READMEs ask for.

namespace k4t::testing::lab {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* user = "k4t";

class LabRights : public LabCluster {
 protected:
  void SetUp() override {
    if (find_program("sudo").empty()) K4T_SKIP_OR_FAIL("sudo is not installed");
    ClusterOptions options;
    options.nodes = 1;
    options.dns = {"bind"};
    options.gateway_user = user;
    set_up(options);
  }

  /// Whether the user can do that on a machine.
  static bool may(const std::string& machine, const std::vector<std::string>& argv) {
    std::vector<std::string> as_user{"setpriv", "--reuid", user, "--regid", user, "--init-groups"};
    as_user.insert(as_user.end(), argv.begin(), argv.end());
    return cluster()[machine].run(as_user).exit_code == 0;
  }
  static bool may_write(const std::string& machine, const std::string& file) {
    return may(machine, {"sh", "-c", ": >>\"$1\"", "sh", file});
  }
  /// A second service, on a port of its own that no gateway has listened on yet.
  static void want_more() {
    cluster().service("more",
                      "[[service]]\nname = \"more\"\nimage = \"app\"\nentrypoint = [\"/app\"]\ncommand = [\"http\"]\n"
                      "[[service.port]]\nname = \"http\"\nport = 8080\n[[service.expose]]\nlisten = 8081\n");
  }
  /// It is served; then it is deleted.
  static void expect_more() {
    for (const unsigned number : {1u, 2u}) EXPECT_EQ(cluster().ask(gateway(number), 8081, "more", "from more"), "");
    cluster().remove_service_file("more");
    k4t({"delete", "more", "--yes"});
  }
  static std::string owner_of(const std::string& machine, const std::string& file) {
    return cluster()[machine].must({"stat", "-L", "-c", "%U", file});
  }
};

TEST_F(LabRights, ChangesAreCommittedAndReloadedWithoutRoot) {
  deploy(1, "first");
  expect_greeting("first from web");
  deploy(2, "second");
  expect_greeting("second from web");
  EXPECT_EQ(owner_of("gw1", "/etc/nginx/k4t/live/http.conf"), "k4t\n");
  EXPECT_EQ(owner_of("gw2", "/etc/haproxy/k4t/k4t.cfg"), "k4t\n");
  EXPECT_EQ(k4t({"status"}).exit_code, 0);
}

TEST_F(LabRights, WhatAGatewaysCheckRefusesIsNotDecided) {
  deploy(1, "kept");
  for (const char* name : {"gw1", "gw2"}) {
    Machine& machine = cluster()[name];
    machine.serve("squatter", {"busybox", "httpd", "-f", "-p", "8081", "-h", "/tmp"}, [&machine] {
      return !machine.must({"ss", "-Htln", "sport = :8081"}).empty();
    });
  }
  want_more();
  const auto refused = cluster().apply();
  EXPECT_EQ(refused.exit_code, 1) << refused.out << refused.err;
  EXPECT_THAT(refused.out, HasSubstr("8081"));
  expect_greeting("kept from web");
  k4t({"status"});
  for (const char* name : {"gw1", "gw2"}) cluster()[name].stop("squatter");
  EXPECT_EQ(cluster().apply().exit_code, 0);
  expect_more();
}

// The check passes and the version is decided; then somebody takes the port just before the reload.
TEST_F(LabRights, WhatNginxDoesNotTakeIsPutBackThereUntilItDoes) {
  deploy(1, "kept");
  const std::string honest = cluster()["gw1"].read("/usr/local/bin/k4t-nginx");
  cluster()["gw1"].write(
      "/usr/local/bin/k4t-nginx",
      "#!/bin/sh\ncase $* in *reload*) busybox httpd -p 8081 -h /tmp >/dev/null 2>&1 9>&- ;; esac\n" +
          honest.substr(honest.find('\n') + 1),
      0755);
  want_more();
  const auto applied = cluster().apply();
  EXPECT_EQ(applied.exit_code, 3) << applied.out << applied.err;
  EXPECT_THAT(applied.err, HasSubstr("gateway gw1: prepared"));
  EXPECT_THAT(cluster()["gw1"].read("/etc/nginx/k4t/live/http.conf"), Not(HasSubstr("8081")));
  expect_greeting("kept from web");
  EXPECT_EQ(cluster().ask(gateway(2), 8081, "more", "from more"), "");
  cluster()["gw1"].write("/usr/local/bin/k4t-nginx", honest, 0755);
  cluster()["gw1"].must({"sh", "-c", "kill $(pidof busybox)"});
  k4t({"sync"});
  k4t({"status"});
  expect_greeting("kept from web");
  expect_more();
}

TEST_F(LabRights, TheRulesAllowNothingElse) {
  EXPECT_TRUE(may("gw1", {"sudo", "-n", "/usr/sbin/nginx", "-s", "reload", "-c", "/etc/nginx/nginx.conf"}));
  const std::vector<std::vector<std::string>> others{
      {"sh", "-c", "true"},
      {"/usr/sbin/nginx"},
      {"/usr/sbin/nginx", "-t"},
      {"/usr/sbin/nginx", "-s", "stop"},
      {"/usr/sbin/nginx", "-s", "reload", "-c", "/tmp/other.conf"},
      {"/usr/sbin/nginx", "-s", "reload", "-c", "/etc/nginx/nginx.conf", "-g", "daemon off;"},
      {"/usr/sbin/nginx", "-t", "-q", "-c", "/etc/nginx/k4t-check.conf", "-p", "/tmp"},
      {"/usr/local/bin/k4t-nginx", "-t"},
  };
  for (auto argv : others) {
    argv.insert(argv.begin(), {"sudo", "-n"});
    EXPECT_FALSE(may("gw1", argv)) << ::testing::PrintToString(argv);
  }
  EXPECT_TRUE(may_write("gw1", "/etc/nginx/k4t/some"));
  for (const char* file : {"/etc/nginx/nginx.conf", "/etc/nginx/other", "/etc/sudoers.d/k4t", "/run/nginx.pid",
                           "/usr/local/bin/k4t-nginx", "/var/log/nginx/error.log"}) {
    EXPECT_FALSE(may_write("gw1", file)) << file;
  }
  EXPECT_FALSE(may("gw2", {"sudo", "-n", "true"}));
  EXPECT_TRUE(may_write("gw2", "/etc/haproxy/k4t/some"));
  for (const char* file : {"/etc/haproxy/haproxy.cfg", "/etc/haproxy/other"})
    EXPECT_FALSE(may_write("gw2", file)) << file;
}

}  // namespace
}  // namespace k4t::testing::lab
