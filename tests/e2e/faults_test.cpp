#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "support/docker_engine.hpp"
#include "support/real_cluster.hpp"

/// What goes wrong in practice: each fault has a clear message and leaves the state before or the state after.

namespace k4t::testing {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Pair;

/// A small file system of its own, gone with this object.
class TinyDisk {
 public:
  TinyDisk(const std::filesystem::path& folder, const std::string& size) : folder_(folder) {
    std::filesystem::create_directories(folder);
    mounted_ = ::mount("tmpfs", folder.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~TinyDisk() {
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  TinyDisk(const TinyDisk&) = delete;
  TinyDisk& operator=(const TinyDisk&) = delete;
  [[nodiscard]] bool mounted() const { return mounted_; }
  void fill() const {
    std::ofstream out(folder_ / "filler", std::ios::binary);
    const std::string block(4096, 'x');
    while (out.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void empty() const { std::filesystem::remove(folder_ / "filler"); }

 private:
  std::filesystem::path folder_;
  bool mounted_ = false;
};

/// Listens somewhere, as a program that has nothing to do with k4t.
class Squatter {
 public:
  Squatter(const char* address, std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    ::inet_pton(AF_INET, address, &at.sin_addr);
    if (::bind(socket_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 || ::listen(socket_, 1) != 0) {
      throw std::runtime_error("cannot listen");
    }
  }
  ~Squatter() { ::close(socket_); }
  Squatter(const Squatter&) = delete;
  Squatter& operator=(const Squatter&) = delete;

 private:
  int socket_;
};

/// A cluster that serves "one" from one instance; every fault below must leave it so, or complete.
class Faults : public ::testing::Test {
 protected:
  void SetUp() override {
    K4T_REQUIRE_CLUSTER();
    cluster_ = std::make_unique<RealCluster>();
    cluster_->web(1, "one");
    const auto applied = cluster_->apply();
    ASSERT_EQ(applied.exit_code, 0) << applied.out << applied.err;
    instances_ = cluster_->k4t({"ps", "-o", "json"}).json();
  }

  /// Exit code 1 with that message, and nothing is different.
  void expect_nothing_changed(const RealCluster::Command& command, const std::string& message) {
    EXPECT_EQ(command.exit_code, 1) << command.out << command.err;
    EXPECT_THAT(command.err, HasSubstr(message));
    expect_serves("one", 1);
    EXPECT_EQ(cluster_->k4t({"ps", "-o", "json"}).json(), instances_);
  }

  void expect_serves(const std::string& greeting, int version) {
    for (const char* gateway : {RealCluster::nginx_address, RealCluster::haproxy_address}) {
      EXPECT_THAT(cluster_->get(gateway, "web").body, HasSubstr(greeting + " from web")) << gateway;
    }
    EXPECT_THAT(cluster_->served_versions(), Each(Pair(::testing::_, version)));
  }

  std::unique_ptr<RealCluster> cluster_;
  Json instances_;
};

TEST_F(Faults, AParticipantThatIsDownAtPrepareDoesNotStopADeploy) {
  cluster_->ns1().stop();
  cluster_->web(1, "two");
  const auto applied = cluster_->apply();
  EXPECT_EQ(applied.exit_code, 3) << applied.out << applied.err;
  EXPECT_THAT(applied.out, HasSubstr("dns ns1"));
  cluster_->ns1().start();
  EXPECT_EQ(cluster_->k4t({"sync"}).exit_code, 0);
  expect_serves("two", 2);
}

TEST_F(Faults, WithAvailabilityAllAMemberThatIsDownStopsIt) {
  cluster_->edit_config("gateways = \"one\"", "gateways = \"all\"");
  cluster_->haproxy().stop();
  cluster_->web(1, "two");
  const auto applied = cluster_->apply();
  EXPECT_EQ(applied.exit_code, 1) << applied.out << applied.err;
  EXPECT_THAT(applied.err, HasSubstr("gw2"));
  cluster_->haproxy().start();
  expect_serves("one", 1);
  EXPECT_EQ(cluster_->k4t({"ps", "-o", "json"}).json(), instances_);
}

TEST_F(Faults, SomebodyElsesBrokenNginxFileIsToldInNginxsWords) {
  cluster_->nginx().set_http("this_is_no_directive on;");
  cluster_->web(1, "two");
  expect_nothing_changed(cluster_->apply(), "this_is_no_directive");
}

TEST_F(Faults, AListenerPortThatIsTakenIsNamedWithItsHolder) {
  const auto port = free_port();
  const Squatter squatter(RealCluster::nginx_address, port);
  std::string text = Scratch::read(cluster_->folder() / "services/web.toml");
  text += "[[service.expose]]\nlisten = " + std::to_string(port) + "\n";
  cluster_->service("web", text);
  expect_nothing_changed(cluster_->apply(), std::to_string(port));
}

TEST_F(Faults, AnImageThatDoesNotExistFailsBeforeAnythingIsRouted) {
  std::string text = Scratch::read(cluster_->folder() / "services/web.toml");
  text.replace(text.find("image = \"app\""), 13, "image = \"nope\"");
  cluster_->service("web", text);
  expect_nothing_changed(cluster_->apply(), "nope");
}

TEST_F(Faults, AnInstanceThatNeverBecomesHealthyIsUndoneWithItsLastWords) {
  std::string text = Scratch::read(cluster_->folder() / "services/web.toml");
  text.replace(text.find("/healthz"), 8, "/nothing");
  text.replace(text.find("GREETING = \"one\""), 16, "GREETING = \"two\"");
  text.replace(text.find("deadline = \"20s\""), 16, "deadline = \"2s\"");
  cluster_->service("web", text);
  expect_nothing_changed(cluster_->apply(), "did not become healthy within 2 s: GET /nothing answered 404");
}

TEST_F(Faults, AWrongTsigKeyIsExplained) {
  cluster_->edit_config(cluster_->ns1().key_file(), cluster_->ns1().wrong_file());
  cluster_->web(1, "two");
  const auto applied = cluster_->apply();
  EXPECT_THAT(applied.out + applied.err, HasSubstr("key")) << applied.exit_code;
  EXPECT_TRUE(applied.exit_code == 1 || applied.exit_code == 3) << applied.out << applied.err;
  cluster_->edit_config(cluster_->ns1().wrong_file(), cluster_->ns1().key_file());
  cluster_->k4t({"sync"});
  expect_serves(applied.exit_code == 1 ? "one" : "two", applied.exit_code == 1 ? 1 : 2);
}

TEST_F(Faults, TwoAppliesAtOnceOneWaitsItsTurnAndSaysWhoIsAtWork) {
  cluster_->web(1, "two");
  // The first one stands still in the middle: a gateway that does not answer holds it up.
  cluster_->haproxy().signal_all(SIGSTOP);
  const auto first = cluster_->start_apply(cluster_->folder() / "first.log");
  ASSERT_TRUE(eventually([&] { return !Scratch::read(cluster_->folder() / "first.log").empty(); }));
  const auto second = cluster_->apply();
  cluster_->haproxy().signal_all(SIGCONT);
  EXPECT_EQ(second.exit_code, 1) << second.out << second.err;
  EXPECT_THAT(second.err, HasSubstr("another k4t"));
  ASSERT_TRUE(
      eventually([&] { return Scratch::read(cluster_->folder() / "first.log").find("Done") != std::string::npos; },
                 std::chrono::seconds(90)))
      << Scratch::read(cluster_->folder() / "first.log");
  cluster_->k4t({"sync"});
  expect_serves("two", 2);
}

TEST_F(Faults, AFullDiskUnderTheMetadataChangesNothing) {
  const auto state = cluster_->folder() / "state";
  const auto kept = cluster_->folder() / "kept";
  std::filesystem::rename(state, kept);
  const TinyDisk disk(state, "1m");
  if (!disk.mounted()) K4T_SKIP_OR_FAIL("cannot mount a tmpfs");
  std::filesystem::copy(kept, state, std::filesystem::copy_options::recursive);
  disk.fill();
  cluster_->web(1, "two");
  const auto applied = cluster_->apply();
  EXPECT_EQ(applied.exit_code, 1) << applied.out << applied.err;
  EXPECT_THAT(applied.err, HasSubstr("is full: free some space"));
  disk.empty();
  expect_serves("one", 1);
  EXPECT_EQ(cluster_->apply().exit_code, 0);
  expect_serves("two", 2);
}

TEST_F(Faults, HostileTextArrivesUnchangedOrIsRefusedWithItsPlace) {
  std::string text = Scratch::read(cluster_->folder() / "services/web.toml");
  text.replace(text.find("env = { GREETING = \"one\" }"), 26, "");
  text.insert(text.find("[[service.port]]"),
              "[service.env]\nGREETING = 'a\"b;c %[x] ${HOME} `id` $(id) -n \\'\nEVIL = \"line\\nbreak\"\n");
  cluster_->service("web", text);
  const auto applied = cluster_->apply();
  ASSERT_EQ(applied.exit_code, 0) << applied.out << applied.err;
  EXPECT_EQ(cluster_->get(RealCluster::nginx_address, "web", "/env/EVIL").body, "line\nbreak");
  EXPECT_EQ(cluster_->get(RealCluster::haproxy_address, "web", "/env/GREETING").body,
            "a\"b;c %[x] ${HOME} `id` $(id) -n \\");

  for (const char* host : {"a;b", "a b", "a{b", "%[x]", "${HOME}", "-a", "a\\nb", "a\\\"b"}) {
    cluster_->service("web", text + "[[service.expose]]\nlisten = @http@\nhost = \"" + host + "\"\n");
    const auto refused = cluster_->apply();
    EXPECT_EQ(refused.exit_code, 2) << host << refused.out << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("services/web.toml:")) << host;
  }
  for (const char* path : {"/a;b", "/a b", "/{", "/%[x]", "/${HOME}", "a", "/a\\nb", "/\\\""}) {
    cluster_->service("web", text + "[[service.expose]]\nlisten = @http@\npath = \"" + path + "\"\n");
    EXPECT_EQ(cluster_->apply().exit_code, 2) << path;
  }
  cluster_->service("web", "[[service]]\nname = \"" + std::string(64, 'x') + "\"\nimage = \"app\"\n");
  EXPECT_EQ(cluster_->apply().exit_code, 2) << "a label has at most 63 bytes";
}

TEST(DockerFaults, AnEngineThatDiesInTheMiddleOfAnApplyLeavesTheStateBefore) {
  K4T_REQUIRE_CLUSTER();
  if (const auto why = DockerEngine::missing(); !why.empty()) K4T_SKIP_OR_FAIL(why);
  DockerEngine engine;
  engine.import_image("app", {{std::string(K4T_BINARY_DIR) + "/bin/k4t-demo-app", "/app"}});
  RealCluster cluster({engine.host(), "one"});
  cluster.web(1, "one");
  std::string text = Scratch::read(cluster.folder() / "services/web.toml");
  text.insert(text.find("command ="), "entrypoint = [\"/app\"]\n");
  cluster.service("web", text);
  const auto first = cluster.apply();
  ASSERT_EQ(first.exit_code, 0) << first.out << first.err;

  text.replace(text.find("GREETING = \"one\""), 16, "GREETING = \"two\"");
  cluster.service("web", text);
  const auto log = cluster.folder() / "apply.log";
  const auto apply = cluster.start_apply(log);
  ASSERT_TRUE(eventually([&] { return Scratch::read(log).find("creating") != std::string::npos; }));
  engine.kill();
  ASSERT_TRUE(eventually([&] { return Scratch::read(log).find("Docker Engine") != std::string::npos; },
                         std::chrono::seconds(60)))
      << Scratch::read(log);
  EXPECT_THAT(cluster.served_versions(), Each(Pair(::testing::_, 1)));

  engine.start();
  const auto again = cluster.apply();
  EXPECT_EQ(again.exit_code, 0) << again.out << again.err;
  EXPECT_THAT(cluster.get(RealCluster::haproxy_address, "web").body, HasSubstr("two from web"));
  EXPECT_EQ(cluster.k4t({"ps", "-o", "json"}).json().size(), 1u) << "never doubled";
}

}  // namespace
}  // namespace k4t::testing
