#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host_test.hpp"

namespace k4t::transport {
namespace {

using namespace std::chrono_literals;
using k4t::testing::eventually;
using k4t::testing::Scratch;
using k4t::testing::SshdServer;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

class Ssh : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!SshdServer::available()) K4T_SKIP_OR_FAIL("sshd is not installed, or this is not root");
  }

  SshdServer& serve(const std::string& settings = {}) {
    sshd = std::make_unique<SshdServer>(settings);
    sshd->start();
    options = options_for(*sshd);
    return *sshd;
  }
  [[nodiscard]] std::shared_ptr<Host> open() const { return *ssh_host(sshd->url(), options); }

  static Result<Output> run(Host& host, const std::string& script, std::chrono::milliseconds timeout = 20s) {
    return run_script(host, script, {}, {}, timeout);
  }
  /// The error of a host that cannot be reached.
  [[nodiscard]] Error refusal() const {
    const auto host = open();
    const auto ran = run(*host, "true");
    return ran ? Error{Status::ok, "it was let in", {}} : ran.error();
  }

  std::unique_ptr<SshdServer> sshd;
  SshOptions options;
};

TEST_F(Ssh, AnUnknownHostKeyIsRefusedWithTheRemedyAndNotNoted) {
  serve();
  const auto empty = sshd->scratch().write("empty", "");
  options.known_hosts = empty.string();
  const auto error = refusal();
  EXPECT_EQ(error.status, Status::unavailable);
  EXPECT_THAT(error.message, AllOf(HasSubstr("unknown"), HasSubstr("SHA256:"),
                                   HasSubstr("ssh-keyscan -p " + std::to_string(sshd->port()) + " 127.0.0.1 >> "),
                                   HasSubstr(empty.string())));
  EXPECT_EQ(Scratch::read(empty), "");
  options.known_hosts += ".none";
  EXPECT_THAT(refusal().message, HasSubstr("unknown"));
  EXPECT_FALSE(std::filesystem::exists(options.known_hosts));
  EXPECT_EQ(sshd->logins(), 0U);
}

TEST_F(Ssh, AChangedHostKeyIsRefusedWithTheRemedy) {
  serve();
  EXPECT_TRUE(run(*open(), "true").ok());
  sshd->kill();
  sshd->change_host_key();
  sshd->start();
  const auto error = refusal();
  EXPECT_EQ(error.status, Status::unavailable);
  EXPECT_THAT(error.message, AllOf(HasSubstr("is not the one in " + options.known_hosts),
                                   HasSubstr("ssh-keygen -R '[127.0.0.1]:" + std::to_string(sshd->port()) + "'")));
}

TEST_F(Ssh, ARevokedHostKeyIsRefusedThoughItIsKnown) {
  serve();
  const std::string known = Scratch::read(options.known_hosts);
  std::ofstream(options.known_hosts, std::ios::app) << "@revoked * " << known.substr(known.find(' ') + 1);
  EXPECT_THAT(refusal().message, HasSubstr("revoked"));
}

TEST_F(Ssh, AKeyThatIsNotAuthorizedIsNamed) {
  serve();
  const std::string other = (sshd->scratch().path() / "other").string();
  SshdServer::make_key(other, "ed25519");
  options.identity = {other};
  auto error = refusal();
  EXPECT_EQ(error.status, Status::unavailable);
  EXPECT_THAT(error.message, AllOf(HasSubstr(other), HasSubstr("authorized_keys")));
  options.identity = {other, sshd->identity()};
  EXPECT_EQ(refusal().message, "it was let in") << "the keys are tried in order";
  options.identity = {other + ".none"};
  EXPECT_THAT(refusal().message, HasSubstr("cannot be opened"));
}

TEST_F(Ssh, AnRsaKeyWillDo) {
  serve();
  const std::string rsa = (sshd->scratch().path() / "rsa").string();
  SshdServer::make_key(rsa, "rsa");
  std::ofstream(sshd->authorized_keys()) << Scratch::read(rsa + ".pub");
  options.identity = {rsa};
  EXPECT_EQ(refusal().message, "it was let in");
}

TEST_F(Ssh, AnEncryptedKeyIsReadWithItsPassphraseAndNeverAskedFor) {
  serve();
  const std::string locked = (sshd->scratch().path() / "locked").string();
  SshdServer::make_key(locked, "ed25519", "open sesame");
  std::ofstream(sshd->authorized_keys()) << Scratch::read(locked + ".pub");
  options.identity = {locked};
  EXPECT_THAT(refusal().message, HasSubstr("encrypted: set passphrase_file or use ssh-agent"));
  options.passphrase_file = sshd->scratch().write("wrong", "open barley\n", 0600).string();
  EXPECT_THAT(refusal().message, HasSubstr("wrong"));
  options.passphrase_file = sshd->scratch().write("right", "open sesame\n", 0600).string();
  EXPECT_EQ(refusal().message, "it was let in");
}

TEST_F(Ssh, TheAgentsKeysAreOfferedWhereNoneIsNamed) {
  serve();
  const std::string socket = (sshd->scratch().path() / "agent").string();
  const testing::Server agent({"ssh-agent", "-D", "-a", socket}, sshd->scratch().path() / "agent.log");
  ::setenv("SSH_AUTH_SOCK", socket.c_str(), 1);
  ASSERT_TRUE(eventually([&] { return testing::run({"ssh-add", "-q", sshd->identity()}).exit_code == 0; }));
  options.identity.clear();
  EXPECT_EQ(refusal().message, "it was let in");
  ::unsetenv("SSH_AUTH_SOCK");
}

TEST_F(Ssh, AnAgentThatNeverAnswersCostsTheCallersDeadlineAndNoMore) {
  serve();
  const std::string socket = (sshd->scratch().path() / "agent").string();
  const testing::Server agent({"ssh-agent", "-D", "-a", socket}, sshd->scratch().path() / "agent.log");
  // Exit code 1: it answers, and has no keys.
  ASSERT_TRUE(eventually([&] {
    return testing::run({"env", "SSH_AUTH_SOCK=" + socket, "ssh-add", "-l"}).exit_code == 1;
  })) << "a socket that is there may not be listened to yet";
  agent.signal(SIGSTOP);
  ::setenv("SSH_AUTH_SOCK", socket.c_str(), 1);
  options.identity.clear();
  const auto begun = Clock::now();
  EXPECT_EQ(run(*open(), "true", 700ms).status(), Status::deadline);
  EXPECT_LT(Clock::now() - begun, 5s);
  ::unsetenv("SSH_AUTH_SOCK");
}

TEST_F(Ssh, AHostBehindAnotherIsReachedThroughIt) {
  SshdServer jump;
  jump.start();
  serve();
  std::ofstream(options.known_hosts, std::ios::app) << Scratch::read(jump.known_hosts());
  std::ofstream(sshd->authorized_keys(), std::ios::app) << Scratch::read(jump.identity() + ".pub");
  options.identity = {jump.identity()};
  options.jump = jump.url();
  auto host = open();
  const auto ran = run(*host, "echo $SSH_CONNECTION; head -c 3000000 /dev/zero | wc -c");
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_THAT(ran->out, AllOf(HasSubstr(" " + std::to_string(sshd->port()) + "\n"), HasSubstr("3000000")));
  EXPECT_EQ(jump.logins(), 1U);
  EXPECT_EQ(sshd->logins(), 1U);
  jump.kill();
  EXPECT_EQ(run(*host, "true").status(), Status::unavailable);
}

TEST_F(Ssh, AllHandlesShareOneConnectionHoweverMuchIsAtOnce) {
  serve();
  std::vector<std::shared_ptr<Host>> handles;
  for (int n = 0; n < 4; ++n) handles.push_back(open());
  std::vector<std::thread> threads;
  std::array<bool, 24> right{};
  for (std::size_t n = 0; n < right.size(); ++n) {
    threads.emplace_back([&, n] {
      const auto ran = run(*handles.at(n % handles.size()), "sleep 0.2; echo " + std::to_string(n));
      right.at(n) = ran.ok() && ran->out == std::to_string(n) + "\n";
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(right, Each(true));
  EXPECT_EQ(sshd->logins(), 1U);
}

TEST_F(Ssh, AServerThatAllowsFewSessionsIsUsedWithinThem) {
  serve("MaxSessions 2");
  const auto host = open();
  std::vector<std::thread> threads;
  std::array<bool, 10> right{};
  for (std::size_t n = 0; n < right.size(); ++n) {
    threads.emplace_back([&, n] { right.at(n) = run(*host, "sleep 0.1").ok(); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(right, Each(true));
  EXPECT_EQ(sshd->logins(), 1U);
}

TEST_F(Ssh, AServerThatAllowsNoSessionSaysSo) {
  serve("MaxSessions 0");
  EXPECT_THAT(refusal().message, HasSubstr("does not let commands run"));
}

TEST_F(Ssh, AfterACutTheNextCommandConnectsAnew) {
  serve();
  const auto host = open();
  ASSERT_TRUE(run(*host, "true").ok());
  sshd->cut_connections();
  const auto again = run(*host, "echo again");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->out, "again\n");
  EXPECT_EQ(sshd->logins(), 2U);
  sshd->kill();
  EXPECT_EQ(run(*host, "true").status(), Status::unavailable);
  sshd->start();
  EXPECT_TRUE(run(*host, "true").ok());
}

TEST_F(Ssh, ACutUnderACommandLeavesItsEffectUnknown) {
  serve();
  const auto host = open();
  const std::string file = (sshd->scratch().path() / "begun").string();
  std::thread cutter([&] {
    EXPECT_TRUE(eventually([&] { return std::filesystem::exists(file); }));
    sshd->cut_connections();
  });
  const auto ran = run_script(*host, ": > \"$1\"; sleep 20", {file}, {}, 20s);
  cutter.join();
  ASSERT_EQ(ran.status(), Status::unavailable);
  EXPECT_THAT(ran.error().message, HasSubstr("not known"));
}

TEST_F(Ssh, AFrozenServerCostsEachCallerItsOwnDeadline) {
  serve();
  const auto host = open();
  ASSERT_TRUE(run(*host, "true").ok());
  sshd->freeze();
  const auto begun = Clock::now();
  EXPECT_EQ(run(*host, "true", 300ms).status(), Status::deadline);
  Limits limits;
  limits.timeout = 300ms;
  EXPECT_EQ(host->read_file("/etc/hostname", limits).status(), Status::deadline);
  EXPECT_EQ(host->connect_tcp("127.0.0.1", 1, 300ms).status(), Status::unavailable);
  options.connect_timeout_ms = 500;
  EXPECT_THAT(refusal().message, HasSubstr("in time")) << "a new connection has its own limit";
  EXPECT_LT(Clock::now() - begun, 6s);
  sshd->thaw();
  EXPECT_TRUE(run(*host, "true").ok());
}

TEST_F(Ssh, AServerThatFallsSilentIsGivenUpAndAnIdleOneIsKept) {
  serve();
  options.keep_alive_ms = 200;
  const auto host = open();
  ASSERT_TRUE(run(*host, "sleep 2").ok()) << "it answers when asked for a sign of life";
  EXPECT_EQ(sshd->logins(), 1U);
  std::thread freezer([&] {
    std::this_thread::sleep_for(300ms);
    sshd->freeze();
  });
  const auto begun = Clock::now();
  const auto ran = run(*host, "sleep 60", 60s);
  freezer.join();
  sshd->thaw();
  ASSERT_EQ(ran.status(), Status::unavailable);
  EXPECT_THAT(ran.error().message, HasSubstr("sign of life"));
  EXPECT_LT(Clock::now() - begun, 10s);
}

TEST_F(Ssh, SomethingThatNeverSpeaksSshIsGivenUpInTime) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(fd, 4), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  options.connect_timeout_ms = 400;
  const auto host = *ssh_host("ssh://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), options);
  const auto begun = Clock::now();
  EXPECT_EQ(run(*host, "true").status(), Status::unavailable);
  EXPECT_LT(Clock::now() - begun, 5s);
  ::close(fd);
  EXPECT_THAT(run(*host, "true").error().message, HasSubstr("refused"));
}

TEST_F(Ssh, WhatTheLoginShellPrintsAndItsSlownessDoNotMatter) {
  serve("ForceCommand echo Welcome; echo Careful >&2; sleep 0.3; sh -c \"$SSH_ORIGINAL_COMMAND\"; echo Bye");
  const auto host = open();
  const auto ran = run_script(*host, "cat; echo err >&2; exit 5", {}, "in", 20s);
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(ran->out, "in");
  EXPECT_EQ(ran->err, "err\n");
  EXPECT_EQ(ran->exit_code, 5);
}

TEST_F(Ssh, AnAccountWithoutAShellIsNamedAsTheCause) {
  serve("ForceCommand echo This account is currently not available.; exit 1");
  const auto error = refusal();
  EXPECT_EQ(error.status, Status::unavailable);
  EXPECT_THAT(error.message, HasSubstr("login shell"));
  EXPECT_THAT(error.detail, HasSubstr("not available"));
}

TEST_F(Ssh, ACommandLineThatTheSystemCannotTakeIsRefusedBeforehand) {
  serve();
  Command command;
  command.argv = {"echo", std::string(130u << 10, 'x')};
  EXPECT_EQ(open()->run(command).status(), Status::invalid_argument);
  command.argv = {"echo", "-n", std::string(100u << 10, 'x')};
  const auto ran = open()->run(command);
  ASSERT_TRUE(ran.ok());
  EXPECT_EQ(ran->out.size(), 100u << 10);
}

/// A listening unix socket with a mode and a group.
class Socket {
 public:
  Socket(const std::string& path, unsigned mode, gid_t group = 0)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    EXPECT_EQ(::chown(path.c_str(), 0, group), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
  }
  ~Socket() { ::close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

 private:
  int fd_;
};

/// What connecting to a unix socket of the host fails with.
std::string socket_refusal(Host& host, const std::string& path) {
  const auto stream = host.connect_unix(path, 20s);
  EXPECT_EQ(stream.status(), Status::unavailable);
  return stream ? "connected" : stream.error().message;
}

TEST_F(Ssh, AForbiddenForwardingIsUnavailableAndSaysSo) {
  const Scratch scratch;
  const std::string path = (scratch.path() / "s").string();
  const Socket socket(path, 0600);
  for (const char* settings : {"DisableForwarding yes", "AllowStreamLocalForwarding no"}) {
    serve(settings);
    EXPECT_THAT(socket_refusal(*open(), path),
                AllOf(HasSubstr("the SSH server forbids forwarding"), HasSubstr("AllowStreamLocalForwarding yes")));
  }
  EXPECT_TRUE(open()->connect_tcp("127.0.0.1", sshd->port(), 10s).ok());
  serve("DisableForwarding yes");
  EXPECT_EQ(open()->connect_tcp("127.0.0.1", sshd->port(), 10s).status(), Status::unavailable);
  serve();
  std::ofstream(sshd->authorized_keys()) << "no-port-forwarding " << Scratch::read(sshd->identity() + ".pub");
  EXPECT_THAT(socket_refusal(*open(), path), HasSubstr("no-port-forwarding"));
}

TEST_F(Ssh, ASocketThatIsAbsentOrDeafIsToldApart) {
  serve();
  const Scratch scratch;
  const auto host = open();
  EXPECT_THAT(socket_refusal(*host, (scratch.path() / "none").string()), HasSubstr("there is no such socket"));
  EXPECT_THAT(socket_refusal(*host, scratch.write("file", "").string()), HasSubstr("no socket"));
  const std::string path = (scratch.path() / "deaf").string();
  { const Socket gone(path, 0600); }
  EXPECT_THAT(socket_refusal(*host, path), HasSubstr("nobody listens on it"));
}

TEST_F(Ssh, ASocketThatIsClosedToTheUserNamesTheGroupThatMayUseIt) {
  serve();
  sshd->add_user("deploy", 4711);
  sshd->start();
  const auto host = *ssh_host(sshd->url("deploy"), options);
  const Scratch scratch;
  std::filesystem::permissions(scratch.path(), std::filesystem::perms(0755));
  const Socket for_group((scratch.path() / "group").string(), 0660, 60);
  EXPECT_THAT(socket_refusal(*host, (scratch.path() / "group").string()),
              AllOf(HasSubstr("the user deploy may not use it: it belongs to root:games with mode 660"),
                    HasSubstr("usermod -aG games deploy")));
  const Socket for_owner((scratch.path() / "owner").string(), 0600);
  EXPECT_THAT(socket_refusal(*host, (scratch.path() / "owner").string()), HasSubstr("log in as root"));
  std::filesystem::permissions(scratch.path(), std::filesystem::perms(0700));
  EXPECT_THAT(socket_refusal(*host, (scratch.path() / "group").string()), HasSubstr("may not enter its folder"));
}

TEST_F(Ssh, WhereNoCommandRunsBothCausesOfARefusedSocketAreNamed) {
  serve("ForceCommand /bin/false");
  EXPECT_THAT(socket_refusal(*open(), "/run/none.sock"),
              AllOf(HasSubstr("either nobody listens"), HasSubstr("AllowStreamLocalForwarding")));
}

TEST_F(Ssh, AStreamThatBreaksIsNotOneThatEnds) {
  serve();
  const auto host = open();
  // The server's own greeting is at hand as a stream that stays open.
  auto stream = host->connect_tcp("127.0.0.1", sshd->port(), 10s);
  ASSERT_TRUE(stream.ok()) << stream.error().message;
  EXPECT_THAT(*(*stream)->read(7, 10s), HasSubstr("SSH-2.0"));
  sshd->kill();
  for (;;) {
    const auto piece = (*stream)->read(4096, 10s);
    if (piece && !piece->empty()) continue;
    EXPECT_EQ(piece.status(), Status::unavailable);
    break;
  }
}

TEST_F(Ssh, StreamsDoNotTakeCommandsPlaces) {
  serve();
  const auto host = open();
  std::vector<std::unique_ptr<Stream>> streams;
  for (int n = 0; n < 9; ++n) {
    auto stream = host->connect_tcp("127.0.0.1", sshd->port(), 20s);
    ASSERT_TRUE(stream.ok()) << stream.error().message;
    streams.push_back(*std::move(stream));
  }
  EXPECT_TRUE(run(*host, "true").ok());
  EXPECT_EQ(sshd->logins(), 1U);
}

TEST(SshOptions, WhatCannotBeRightIsNamed) {
  SshOptions options;
  options.identity = {"id_ed25519"};
  EXPECT_THAT(ssh_host("ssh://gw.example.net", options).error().message, HasSubstr("identity"));
  options = {};
  options.jump = "gw.example.net";
  EXPECT_THAT(ssh_host("ssh://gw.example.net", options).error().message, HasSubstr("jump"));
  options = {};
  options.keep_alive_ms = 0;
  EXPECT_THAT(ssh_host("ssh://gw.example.net", options).error().message, HasSubstr("keep_alive_ms"));
}

}  // namespace
}  // namespace k4t::transport
