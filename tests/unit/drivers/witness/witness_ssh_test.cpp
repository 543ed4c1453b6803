#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/witness_file.hpp"
#include "k4t/ssh.hpp"
#include "support/process.hpp"
#include "support/sshd_server.hpp"

namespace k4t::drivers {
namespace {

using namespace std::chrono_literals;
using k4t::testing::SshdServer;
using ::testing::AnyOf;

model::Record record(std::uint64_t version, const std::string& base, const std::string& suffix) {
  model::State state;
  state.dns.suffix = suffix;
  return model::make_record(base, version, state);
}

txn::ClaimRequest claim(std::uint64_t counter, const std::string& run, bool initialise = false) {
  return {{counter, run}, "alpha root", false, initialise};
}

transport::SshOptions options_for(const SshdServer& server) {
  transport::SshOptions options;
  options.identity = {server.identity()};
  options.known_hosts = server.known_hosts();
  return options;
}

/// A TCP relay that counts the pieces that the client sends, and can act before it passes one on.
class Relay {
 public:
  Relay(std::uint16_t to, std::function<void(int piece)> before) : to_(to), before_(std::move(before)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 4), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Relay() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int pieces() const { return pieces_; }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void run() {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(to_);
    if (::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) pass(client, server);
    ::close(client);
    ::close(server);
  }

  void pass(int client, int server) {
    for (char buffer[65536];;) {
      pollfd ready[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
      if (::poll(ready, 2, 30'000) <= 0) return;
      const bool from_client = ready[0].revents != 0;
      const auto got = ::read(from_client ? client : server, buffer, sizeof buffer);
      if (got <= 0) return;
      if (from_client) before_(++pieces_);
      if (::send(from_client ? server : client, buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) return;
    }
  }

  std::uint16_t to_;
  std::function<void(int)> before_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> pieces_ = 0;
  std::thread thread_;
};

class SshWitness : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!SshdServer::available()) K4T_SKIP_OR_FAIL("sshd is not installed, or this is not root");
  }
  static FileWitness witness(const SshdServer& server, const std::string& id, std::uint16_t port = 0) {
    const std::string url = "ssh://127.0.0.1:" + std::to_string(port == 0 ? server.port() : port);
    return FileWitness(*transport::ssh_host(url, options_for(server)), "demo", model::Witness{id, url, folder(server)});
  }
  static std::string folder(const SshdServer& server) { return (server.scratch().path() / "witness").string(); }

  CallOptions options_;
};

TEST_F(SshWitness, AMajorityOfLocalAndRemoteWitnessesVotesWhileOneIsAway) {
  SshdServer first;
  SshdServer second;
  first.start();
  second.start();
  const testing::Scratch scratch;
  std::vector<FileWitness> all;
  all.push_back(witness(first, "w1"));
  all.push_back(witness(second, "w2"));
  all.emplace_back(transport::local_host(), "demo", model::Witness{"w3", "local", scratch.path().string()});
  for (auto& one : all) {
    const auto claimed = one.claim(claim(1, "a", true), options_);
    ASSERT_TRUE(claimed) << claimed.error().message;
    EXPECT_TRUE(claimed->granted);
  }
  second.kill();
  const auto voted = record(1, "", "example.net");
  EXPECT_TRUE(all[0].vote({1, "a"}, voted, options_)->granted);
  EXPECT_EQ(all[1].vote({1, "a"}, voted, options_).status(), Status::unavailable);
  EXPECT_EQ(all[1].peek(options_).status(), Status::unavailable) << "never BLANK";
  EXPECT_TRUE(all[2].vote({1, "a"}, voted, options_)->granted);
  second.start();
  EXPECT_FALSE((*all[1].peek(options_))->vote);
  EXPECT_TRUE(all[1].vote({1, "a"}, voted, options_)->granted);
  for (auto& one : all) EXPECT_EQ(*one.fetch(voted.txn, options_), voted);
  EXPECT_TRUE(all[0].close({1, "a"}, options_));
}

TEST_F(SshWitness, TheRegisterIsOneHoweverItIsReached) {
  SshdServer server;
  server.start();
  auto far = witness(server, "w1");
  FileWitness near(transport::local_host(), "demo", model::Witness{"w1", "local", folder(server)});
  ASSERT_TRUE(far.claim(claim(1, "a", true), options_)->granted);
  ASSERT_TRUE(near.claim(claim(2, "b"), options_)->granted);
  const auto late = far.vote({1, "a"}, record(1, "", "x"), options_);
  ASSERT_TRUE(late);
  EXPECT_FALSE(late->granted);
  std::vector<std::thread> masters;
  for (std::uint64_t run = 0; run < 2; ++run) {
    masters.emplace_back([&, run] {
      FileWitness& one = run == 0 ? near : far;
      for (std::uint64_t counter = 3; counter <= 6; ++counter) {
        static_cast<void>(one.claim(claim(counter, std::to_string(run)), options_));
      }
    });
  }
  for (auto& master : masters) master.join();
  EXPECT_EQ((*near.peek(options_))->promised, (model::Epoch{6, "1"}));
}

TEST_F(SshWitness, AVoteAfterTheRunsClaimIsOneCommand) {
  SshdServer server("LogLevel DEBUG1\n");
  server.start();
  auto one = witness(server, "w1");
  const auto commands = [&server] {
    const std::string log = testing::Scratch::read(server.log());
    const std::string mark = "Starting session: ";
    std::size_t count = 0;
    for (auto at = log.find(mark); at != std::string::npos; at = log.find(mark, at + 1)) ++count;
    return count;
  };
  const auto first = record(1, "", std::string(40'000, 'x'));
  ASSERT_TRUE(one.claim(claim(1, "a", true), options_)->granted);
  const auto claimed = commands();
  ASSERT_GT(claimed, 0U);
  ASSERT_TRUE(one.vote({1, "a"}, first, options_)->granted);
  EXPECT_EQ(commands(), claimed + 1);
  ASSERT_TRUE(one.vote({1, "a"}, record(2, first.txn, "y"), options_)->granted);
  EXPECT_EQ(commands(), claimed + 2);
  ASSERT_TRUE(witness(server, "w1").claim(claim(2, "b"), options_)->granted);
  EXPECT_EQ(commands(), claimed + 4) << "a claim reads before it swaps";
}

TEST_F(SshWitness, AFrozenMachineCostsEachVerbItsDeadline) {
  SshdServer server;
  server.start();
  auto one = witness(server, "w1");
  ASSERT_TRUE(one.claim(claim(1, "a", true), options_)->granted);
  server.freeze();
  options_.timeout = 400ms;
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(one.claim(claim(2, "a"), options_).status(), Status::deadline);
  EXPECT_EQ(one.vote({1, "a"}, record(1, "", "x"), options_).status(), Status::deadline);
  EXPECT_EQ(one.peek(options_).status(), Status::deadline);
  EXPECT_EQ(one.fetch(std::string(32, '0'), options_).status(), Status::deadline);
  EXPECT_EQ(one.close({1, "a"}, options_).status(), Status::deadline);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 6s);
  server.thaw();
  options_.timeout = 20s;
  EXPECT_EQ((*one.peek(options_))->promised.counter, 1U);
}

/// Kills the voter before each piece that it sends, from the first of the handshake to the last of the vote. Whatever
/// was under way must have happened as a whole or not at all, and must hinder nobody.
TEST_F(SshWitness, AVoterThatIsKilledAtAnyMomentLeavesTheRegisterBeforeOrAfter) {
  SshdServer server;
  server.start();
  auto one = witness(server, "w1");
  const model::Epoch epoch{1, "a"};
  ASSERT_TRUE(one.claim(claim(1, "a", true), options_)->granted);
  std::string base;
  int before = 0;
  int after = 0;
  std::uint64_t version = 0;
  for (int kill_at = 1; kill_at < 200; ++kill_at) {
    const auto next = record(++version, base, "v" + std::to_string(kill_at) + std::string(40'000, 'x'));
    std::atomic<pid_t> voter = 0;
    const Relay relay(server.port(), [&](int piece) {
      if (piece == kill_at) ::kill(voter, SIGKILL);
    });
    server.know_at(relay.port());
    int hold[2];
    ASSERT_EQ(::pipe2(hold, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      char go = 0;
      [[maybe_unused]] const auto got = ::read(hold[0], &go, 1);
      auto mine = witness(server, "w1", relay.port());
      const auto voted = mine.vote(epoch, next, options_);
      ::_exit(voted && voted->granted ? 0 : 1);
    }
    voter = child;
    ASSERT_EQ(::write(hold[1], "g", 1), 1);
    int status = -1;
    ::waitpid(child, &status, 0);
    ::close(hold[0]);
    ::close(hold[1]);

    // What the server still had of it may end after its sender, but the lock orders it before or after what follows.
    const auto shown = one.peek(options_);
    ASSERT_TRUE(shown) << shown.error().message;
    ASSERT_TRUE(*shown);
    const bool voted = (*shown)->vote && (*shown)->vote->version == version;
    if (!voted && (*shown)->vote) {
      EXPECT_EQ((*shown)->vote->version, version - 1);
    }
    (voted ? after : before) += 1;
    const auto again = one.vote(epoch, next, options_);
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_TRUE(again->granted);
    ASSERT_EQ(*one.fetch(next.txn, options_), next);
    base = next.txn;
    if (WIFEXITED(status)) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
      break;
    }
  }
  EXPECT_GT(before, 10) << "the voter was killed in all its steps";
  EXPECT_GE(after, 1);
}

}  // namespace
}  // namespace k4t::drivers
