#include <sys/stat.h>

#include <atomic>
#include <list>
#include <thread>

#include "docker_test.hpp"
#include "support/docker_machine.hpp"

/// The driver on a real engine of another machine: over SSH, and over TCP with TLS.

namespace k4t::docker {
namespace {

using namespace std::chrono_literals;
using k4t::testing::Authority;
using k4t::testing::DockerEngine;
using k4t::testing::DockerMachine;
using k4t::testing::eventually;
using k4t::testing::SshdServer;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;

/// More followers than the HTTP client keeps connections, and than a connection runs commands at once.
constexpr std::size_t followers = 20;

class Remote : public DockerTest {
 protected:
  void SetUp() override {
    if (const auto missing = DockerEngine::missing(); !missing.empty()) K4T_SKIP_OR_FAIL(missing);
    if (!SshdServer::available()) K4T_SKIP_OR_FAIL("sshd is not installed");
    DockerTest::SetUp();
  }
  [[nodiscard]] DockerEngine& engine() override { return DockerMachine::shared().engine; }

  static DockerMachine& machine() { return DockerMachine::shared(); }
  /// What a driver with these options says of the engine that it cannot reach.
  static std::string refusal(const Json& options, Status status = Status::unavailable) {
    const auto driver = open(options);
    DirectCallee<runtime::Kind> callee(*driver);
    const auto info = invoke<method::Info>(callee, {}, {30s, nullptr});
    EXPECT_EQ(info.status(), status);
    return info ? "reached" : info.error().message;
  }
};

enum class Way { ssh, tls };

class EachWay : public Remote, public ::testing::WithParamInterface<Way> {
 protected:
  [[nodiscard]] Json options() override {
    return GetParam() == Way::ssh ? machine().over_ssh() : machine().over_tls(machine().tls());
  }
  [[nodiscard]] static int connections() {
    return GetParam() == Way::ssh ? machine().at_socket() : machine().at_port();
  }
};
INSTANTIATE_TEST_SUITE_P(Ways, EachWay, ::testing::Values(Way::ssh, Way::tls),
                         [](const auto& way) { return way.param == Way::ssh ? "ssh" : "tls"; });

TEST_P(EachWay, Conforms) { expect_conformance(); }

TEST_P(EachWay, CallsInARowUseOneConnection) {
  // sshd lets go of a connection to the engine a moment after its client has.
  ASSERT_TRUE(eventually([] { return connections() == 0; })) << connections() << " are left of the test before";
  for (int n = 0; n < 20; ++n) ASSERT_TRUE(call<method::Info>({}).ok());
  EXPECT_EQ(connections(), 1);
  EXPECT_THAT(call<method::Info>({})->warnings, Each(::testing::Not(HasSubstr("encrypted"))));
}

TEST_P(EachWay, UsageIsKnownWhereCommandsRun) {
  const auto usage = call<method::Usage>({});
  ASSERT_TRUE(usage.ok()) << usage.error().message;
  const bool known = GetParam() == Way::ssh;
  EXPECT_EQ(usage->load.has_value(), known);
  EXPECT_EQ(usage->memory_used_bytes.has_value(), known);
  EXPECT_EQ(usage->disk_bytes.has_value(), known);
}

/// A caller that leaves once told to, at the next output.
class Follower final : public CallSink {
 public:
  explicit Follower(std::atomic<bool>& leave) : leave_(leave) {}
  bool stream(Channel /*channel*/, std::string_view /*bytes*/) override {
    heard = true;
    return !leave_;
  }
  std::atomic<bool> heard = false;

 private:
  std::atomic<bool>& leave_;
};

TEST_P(EachWay, ManyFollowersStarveNobodyAndEndWhenTheyLeave) {
  const std::size_t logins = machine().sshd.logins();
  const InstanceSpec chatty = script("1", "while true; do echo line; sleep 0.05; done");
  run(chatty);
  std::atomic<bool> leave = false;
  std::list<Follower> sinks;
  std::list<std::thread> threads;
  std::array<bool, followers> ended{};
  for (std::size_t n = 0; n < followers; ++n) {
    auto& sink = sinks.emplace_back(leave);
    threads.emplace_back([&, n] { ended.at(n) = call<method::Logs>({chatty.name, true, 0, false}, &sink).ok(); });
  }
  EXPECT_TRUE(eventually(
      [&] { return std::all_of(sinks.begin(), sinks.end(), [](const Follower& sink) { return sink.heard.load(); }); }));
  EXPECT_GE(connections(), static_cast<int>(followers));
  std::vector<std::thread> others;
  std::array<bool, 8> answered{};
  for (std::size_t n = 0; n < answered.size(); ++n) {
    others.emplace_back([&, n] { answered.at(n) = call<method::List>({"t"}, nullptr, 10s).ok(); });
  }
  for (auto& thread : others) thread.join();
  EXPECT_THAT(answered, Each(true));
  leave = true;
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(ended, Each(true));
  EXPECT_TRUE(eventually([&] { return connections() <= 8; })) << connections() << " connections are still served";
  EXPECT_LE(machine().sshd.logins() - logins, GetParam() == Way::ssh ? 1U : 0U);
}

TEST_P(EachWay, ACallerWhoseTimeIsOverLeavesNoConnectionBehind) {
  const InstanceSpec silent = script("1", "exec sleep 600");
  run(silent);
  const int before = connections();
  EXPECT_EQ(call<method::Logs>({silent.name, true, 0, false}, nullptr, 500ms).status(), Status::deadline);
  EXPECT_EQ(call<method::Exec>({silent.name, {"sleep", "600"}}, nullptr, 500ms).status(), Status::deadline);
  EXPECT_TRUE(eventually([&] { return connections() <= before; })) << connections();
}

TEST_P(EachWay, AFollowerThatReadsNothingHoldsUpNobody) {
  const InstanceSpec flood = script("1", "exec dd if=/dev/zero bs=64k count=1000000 2>/dev/null");
  run(flood);
  std::atomic<bool> go = false;
  class Stuck final : public CallSink {
   public:
    explicit Stuck(std::atomic<bool>& go) : go_(go) {}
    bool stream(Channel /*channel*/, std::string_view /*bytes*/) override {
      stuck = true;
      go_.wait(false);
      return false;
    }
    std::atomic<bool> stuck = false;

   private:
    std::atomic<bool>& go_;
  } sink(go);
  std::thread follower([&] { EXPECT_TRUE(call<method::Logs>({flood.name, true, 0, false}, &sink).ok()); });
  EXPECT_TRUE(eventually([&] { return sink.stuck.load(); }));
  for (int n = 0; n < 3; ++n) EXPECT_TRUE(call<method::Info>({}, nullptr, 10s).ok());
  go = true;
  go.notify_all();
  follower.join();
}

TEST_P(EachWay, AnEngineThatIsKilledUnderACallIsUnavailableAndFoundAgain) {
  const InstanceSpec spec = script("1", "while true; do echo line; sleep 0.05; done");
  run(spec);
  std::thread killer;
  std::atomic<bool> never = false;
  Follower sink(never);
  killer = std::thread([&] {
    EXPECT_TRUE(eventually([&] { return sink.heard.load(); }));
    engine().kill();
  });
  EXPECT_EQ(call<method::Logs>({spec.name, true, 0, false}, &sink).status(), Status::unavailable);
  killer.join();
  const auto gone = call<method::Info>({});
  ASSERT_EQ(gone.status(), Status::unavailable);
  EXPECT_THAT(gone.error().message, AllOf(HasSubstr("cannot reach the Docker Engine at "),
                                          HasSubstr(GetParam() == Way::ssh ? "nobody listens" : "refused")));
  engine().start();
  EXPECT_TRUE(call<method::Info>({}).ok());
}

class OverSsh : public Remote {
 protected:
  [[nodiscard]] Json options() override { return machine().over_ssh(); }
};

TEST_F(OverSsh, AnUnknownHostKeyAndARefusedKeyAreToldWithTheRemedy) {
  Json unknown = options();
  unknown["ssh"]["known_hosts"] = machine().authority.scratch().write("no_hosts", "").string();
  EXPECT_THAT(refusal(unknown), AllOf(HasSubstr("host key is unknown"), HasSubstr("ssh-keyscan")));
  const auto stranger = (machine().authority.scratch().path() / "stranger").string();
  SshdServer::make_key(stranger, "ed25519");
  Json refused = options();
  refused["ssh"]["identity"] = {stranger};
  EXPECT_THAT(refusal(refused), AllOf(HasSubstr("accepts none of the keys"), HasSubstr("authorized_keys")));
}

TEST_F(OverSsh, AnAbsentSocketAndOneThatTheUserMayNotUseAreToldApart) {
  Json absent = options();
  absent["socket"] = "/nowhere/docker.sock";
  EXPECT_THAT(refusal(absent), HasSubstr("there is no such socket"));
  // The folder of a test's engine is closed to others, that of a real one is not.
  SshdServer sshd;
  sshd.add_user("deploy", 4711);
  sshd.start();
  struct stat found {};
  ASSERT_EQ(::stat(engine().socket().c_str(), &found), 0);
  const auto folder = engine().socket().parent_path();
  std::filesystem::permissions(folder, std::filesystem::perms(0711));
  ASSERT_EQ(::chown(engine().socket().c_str(), 0, 60), 0);
  const auto said = refusal(machine().over_ssh(sshd, sshd.url("deploy")));
  ASSERT_EQ(::chown(engine().socket().c_str(), found.st_uid, found.st_gid), 0);
  std::filesystem::permissions(folder, std::filesystem::perms(0700));
  EXPECT_THAT(said, AllOf(HasSubstr("the user deploy may not use it"), HasSubstr("usermod -aG games deploy")));
}

TEST_F(OverSsh, AServerThatForbidsForwardingIsTold) {
  for (const char* settings : {"AllowStreamLocalForwarding no", "DisableForwarding yes"}) {
    SshdServer sshd(settings);
    sshd.start();
    EXPECT_THAT(refusal(machine().over_ssh(sshd, sshd.url())), HasSubstr("forbids forwarding")) << settings;
  }
}

TEST_F(OverSsh, AServerThatRunsNoCommandsWillDo) {
  for (const char* settings : {"ForceCommand /bin/false", "MaxSessions 0"}) {
    SshdServer sshd(settings);
    sshd.start();
    const auto driver = open(machine().over_ssh(sshd, sshd.url()));
    DirectCallee<runtime::Kind> callee(*driver);
    const auto info = invoke<method::Info>(callee, {}, {30s, nullptr});
    EXPECT_TRUE(info.ok()) << settings << (info ? "" : info.error().message);
  }
}

TEST_F(OverSsh, AMachineThatIsGoneInTheMiddleIsUnavailableAndFoundAgain) {
  const InstanceSpec spec = script("1", "while true; do echo line; sleep 0.05; done");
  run(spec);
  std::atomic<bool> never = false;
  Follower sink(never);
  std::thread cutter([&] {
    EXPECT_TRUE(eventually([&] { return sink.heard.load(); }));
    machine().sshd.kill();
  });
  const auto cut = call<method::Logs>({spec.name, true, 0, false}, &sink);
  cutter.join();
  ASSERT_EQ(cut.status(), Status::unavailable);
  EXPECT_THAT(cut.error().message, HasSubstr("connection was lost"));
  const auto gone = call<method::Info>({});
  ASSERT_EQ(gone.status(), Status::unavailable);
  EXPECT_THAT(gone.error().message, HasSubstr(machine().sshd.url()));
  machine().sshd.start();
  EXPECT_TRUE(call<method::Info>({}).ok());
}

TEST_F(OverSsh, AMachineThatHangsCostsTheCallersDeadline) {
  ASSERT_TRUE(call<method::Info>({}).ok());
  machine().sshd.freeze();
  const auto begun = std::chrono::steady_clock::now();
  const auto late = call<method::List>({"t"}, nullptr, 500ms);
  EXPECT_EQ(late.status(), Status::deadline);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  machine().sshd.thaw();
  EXPECT_TRUE(call<method::Info>({}).ok());
}

class OverTls : public Remote {
 protected:
  [[nodiscard]] Json options() override { return machine().over_tls(machine().tls()); }
};

TEST_F(OverTls, AnotherAuthorityAndAnotherNameAreRefused) {
  const Authority other;
  Json files = machine().tls();
  files["ca"] = other.certificate();
  EXPECT_THAT(refusal(machine().over_tls(files)), HasSubstr("not from the authority in " + other.certificate()));
  files = machine().tls();
  files["server_name"] = "node2.example.net";
  EXPECT_THAT(refusal(machine().over_tls(files)), HasSubstr("and not for node2.example.net"));
  files["server_name"] = "node1.example.net";
  EXPECT_TRUE(invoke<method::Info>(*std::make_unique<DirectCallee<runtime::Kind>>(*open(machine().over_tls(files))), {},
                                   {30s, nullptr})
                  .ok());
}

TEST_F(OverTls, AClientCertificateThatTheEngineRefusesIsNamed) {
  const Authority other;
  const auto stranger = other.issue({.name = "stranger", .purpose = "clientAuth"});
  const auto expired = machine().authority.issue({.name = "expired", .purpose = "clientAuth", .until_s = -60});
  for (const auto& own : {stranger, expired}) {
    Json files = machine().tls();
    files["cert"] = own.certificate;
    files["key"] = own.key;
    EXPECT_THAT(refusal(machine().over_tls(files)), HasSubstr("refuses the client certificate " + own.certificate));
  }
}

TEST_F(OverTls, SpokenToWithoutTlsTheEngineIsToldToWantIt) {
  Json plain = options();
  plain.erase("tls");
  EXPECT_THAT(refusal(plain), AllOf(HasSubstr("speaks TLS only"), HasSubstr("options.tls")));
}

}  // namespace
}  // namespace k4t::docker
