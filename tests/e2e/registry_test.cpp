#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "lab/cluster.hpp"
#include "support/docker_engine.hpp"

/// A private registry on a machine of its own, with a login and a certificate of its own authority, and nodes that are
/// reached over SSH.

namespace k4t::testing::lab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* password = R"(pass"w\ord-4711)";
/// The password's bcrypt hash, as htpasswd writes it.
constexpr const char* users = "deploy:$2b$04$k4tk4tk4tk4tk4tk4tk4tuyB0qRh7jubgmp5MVAaNd8y4pPu2y6HW\n";
constexpr const char* password_file = "/etc/k4t/registry";

class PrivateRegistry : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = Cluster::missing(); !why.empty()) K4T_SKIP_OR_FAIL(why);
    if (find_program("docker-registry").empty()) K4T_SKIP_OR_FAIL("docker-registry is not installed");
    cluster_ = std::make_unique<Cluster>(ClusterOptions{.nodes = 3, .gateways = {}, .dns = {"bind"}});
    registry_ = run_registry(cluster_->lab().add("registry"), authority_, users);
    for (const char* node : nodes) trust_registry(machine(node), registry_, authority_);
    set_password(password);
    for (const char* node : nodes) {
      const std::string host = "options.host = \"ssh://root@" + machine(node).address() + "\"\n";
      cluster_->edit_config(host, host + "options.registries = [{ server = \"" + registry_ +
                                      "\", user = \"deploy\", password_file = \"" + password_file + "\" }]\n");
    }
  }

  Machine& machine(const std::string& name) { return (*cluster_)[name]; }
  void set_password(const std::string& text) { cluster_->master().write(password_file, text + "\n", 0600); }
  [[nodiscard]] std::string image(const std::string& tag) const { return registry_ + "/team/app:" + tag; }

  /// Builds an image on a node and puts it into the registry, as people do; none of it stays there.
  void publish(const std::string& tag) {
    const Machine& node = machine("n1");
    const std::string home = "DOCKER_CONFIG=/root/publish";
    node.must({"docker", "tag", "app", image(tag)});
    node.must({"env", home, "docker", "login", "--username", "deploy", "--password-stdin", registry_}, password);
    node.must({"env", home, "docker", "push", image(tag)});
    node.must({"docker", "rmi", image(tag)});
    node.must({"rm", "-r", "/root/publish"});
  }

  Cluster::Command deploy(const std::string& tag) { return deploy_image(image(tag)); }
  Cluster::Command deploy_image(const std::string& name) {
    cluster_->service("web",
                      "[[service]]\nname = \"web\"\nimage = \"" + name +
                          "\"\nentrypoint = [\"/app\"]\ncommand = [\"http\"]\nreplicas = 3\nstop_timeout = \"2s\"\n"
                          "[[service.port]]\nname = \"http\"\nport = 8080\n"
                          "[service.health]\nhttp = \"/healthz\"\ninterval = \"500ms\"\nrise = 1\n");
    return cluster_->apply();
  }

  [[nodiscard]] bool has(const std::string& node, const std::string& tag) {
    return machine(node).run({"docker", "image", "inspect", image(tag)}).exit_code == 0;
  }

  static constexpr std::array nodes{"n1", "n2", "n3"};
  Authority authority_;
  std::unique_ptr<Cluster> cluster_;
  std::string registry_;
};

TEST_F(PrivateRegistry, NodesPullWithTheLoginAndVerifyItsCertificate) {
  publish("1");
  const auto first = deploy("1");
  ASSERT_EQ(first.exit_code, 0) << first.out << first.err;
  for (const char* node : nodes) EXPECT_TRUE(has(node, "1")) << node;
  for (const auto& instance : cluster_->k4t({"ps", "-o", "json"}).json()) {
    EXPECT_EQ(instance.value("image", image("1")), image("1"));
  }

  // A node that does not know the authority pulls nothing, and nothing changes.
  publish("2");
  distrust_registry(machine("n3"), registry_);
  const auto unknown = deploy("2");
  EXPECT_EQ(unknown.exit_code, 1) << unknown.out << unknown.err;
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("node 'n3'"), HasSubstr("x509: certificate signed by unknown authority")));
  EXPECT_FALSE(has("n3", "2"));
  EXPECT_EQ(cluster_->k4t({"ps", "-o", "json"}).json().size(), 3U);
  trust_registry(machine("n3"), registry_, authority_);
  const auto known = deploy("2");
  EXPECT_EQ(known.exit_code, 0) << known.out << known.err;
  EXPECT_TRUE(has("n3", "2"));

  // A wrong password is told, and shown to nobody.
  publish("3");
  set_password("wrong-4712");
  const auto refused = deploy("3");
  EXPECT_EQ(refused.exit_code, 1) << refused.out << refused.err;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("refuses the user deploy"), HasSubstr(password_file)));
  EXPECT_THAT(refused.out + refused.err, Not(HasSubstr("wrong-4712")));
  set_password(password);
  EXPECT_EQ(deploy("3").exit_code, 0);
  for (const char* node : nodes) EXPECT_THAT(machine(node).log("dockerd"), Not(HasSubstr("pass\"w"))) << node;
}

TEST_F(PrivateRegistry, IsNotNeededForAnImageThatWasPushedToTheNodes) {
  // A node that is off costs only itself; what is needed runs on the others.
  const std::string archive = "/root/k4t/app.tar";
  machine("n1").must({"docker", "tag", "app", "shop/app:9"});
  machine("n1").must({"docker", "save", "-o", "/root/app.tar", "shop/app:9"});
  machine("n1").must({"docker", "rmi", "shop/app:9"});
  cluster_->master().write(archive, machine("n1").read("/root/app.tar"));
  machine("n3").power_off();
  const auto partly = cluster_->k4t({"-o", "json", "image", "push", "--archive", archive});
  EXPECT_EQ(partly.exit_code, 7) << partly.out << partly.err;
  machine("n3").power_on();
  const auto pushed = cluster_->k4t({"-o", "json", "image", "push", "--archive", archive});
  ASSERT_EQ(pushed.exit_code, 0) << pushed.out << pushed.err;
  std::map<std::string, std::string> results;
  for (const auto& row : pushed.json()) results[row.at("node")] = row.at("result");
  EXPECT_EQ(results, (std::map<std::string, std::string>{{"n1", "present"}, {"n2", "present"}, {"n3", "loaded"}}));
  const auto deployed = deploy_image("shop/app:9");
  EXPECT_EQ(deployed.exit_code, 0) << deployed.out << deployed.err;
  std::set<std::string> where;
  for (const auto& instance : cluster_->k4t({"ps", "-o", "json"}).json()) where.insert(instance.at("node"));
  EXPECT_EQ(where.size(), 3U);
  const auto listed = cluster_->k4t({"image", "ls"});
  EXPECT_THAT(listed.out, HasSubstr("shop/app:9  web       n1, n2, n3  -       -"));
}

}  // namespace
}  // namespace k4t::testing::lab
