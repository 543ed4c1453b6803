#include "ssh_turn.hpp"

#include <atomic>
#include <fstream>
#include <future>
#include <list>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host_test.hpp"

namespace k4t::transport {
namespace {

using namespace std::chrono_literals;
using k4t::testing::eventually;
using k4t::testing::Scratch;
using k4t::testing::SshdServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto long_enough = 60s;

/// Somebody who wants a turn.
class Comer {
 public:
  explicit Comer(Turns& turns) : turn_(turns, wake_) {}
  ~Comer() {
    turn_.give_back();
    ::close(wake_);
  }
  Comer(const Comer&) = delete;
  Comer& operator=(const Comer&) = delete;

  bool take() { return turn_.take(); }
  void give_back() { turn_.give_back(); }
  /// False: it was not woken within `patience`.
  bool await(std::chrono::milliseconds patience = long_enough) {
    while (!turn_.take()) {
      pollfd ready{wake_, POLLIN, 0};
      if (::poll(&ready, 1, static_cast<int>(patience.count())) <= 0) return false;
      eventfd_t ignored = 0;
      ::eventfd_read(wake_, &ignored);
    }
    return true;
  }

 private:
  const int wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  Turn turn_;
};

TEST(Turn, GoesToAsManyAsThereAreAndThenInOrderOfArrival) {
  Turns turns(2);
  Comer first(turns);
  Comer second(turns);
  Comer third(turns);
  Comer fourth(turns);
  EXPECT_TRUE(first.take());
  EXPECT_TRUE(second.take());
  EXPECT_FALSE(third.take());
  EXPECT_FALSE(fourth.take());
  second.give_back();
  EXPECT_TRUE(third.await());
  EXPECT_FALSE(fourth.take());
  first.give_back();
  EXPECT_TRUE(fourth.await());
}

TEST(Turn, WhoGaveItBackGoesBeforeThoseThatCameLater) {
  Turns turns(1);
  Comer early(turns);
  Comer busy(turns);
  Comer late(turns);
  EXPECT_TRUE(early.take());
  early.give_back();
  EXPECT_TRUE(busy.take());
  EXPECT_FALSE(late.take());
  EXPECT_FALSE(early.take());
  busy.give_back();
  EXPECT_TRUE(early.await());
  EXPECT_FALSE(late.take());
}

TEST(Turn, WhoStopsWaitingIsPassedOver) {
  Turns turns(1);
  Comer busy(turns);
  auto gone = std::make_unique<Comer>(turns);
  Comer next(turns);
  EXPECT_TRUE(busy.take());
  EXPECT_FALSE(gone->take());
  EXPECT_FALSE(next.take());
  gone.reset();
  busy.give_back();
  EXPECT_TRUE(next.await());
}

TEST(Turn, HoweverManyWantOneNoMoreHaveItThanThereAre) {
  Turns turns(3);
  std::atomic<int> having = 0;
  std::atomic<int> most = 0;
  std::atomic<int> served = 0;
  {
    std::vector<std::jthread> threads;
    for (int n = 0; n < 50; ++n) {
      threads.emplace_back([&] {
        Comer comer(turns);
        for (int round = 0; round < 20; ++round) {
          if (!comer.await()) return;
          const int now = ++having;
          for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
          ++served;
          --having;
          comer.give_back();
        }
      });
    }
  }
  EXPECT_EQ(served, 50 * 20);
  EXPECT_LE(most, 3);
}

/// A port of 127.0.0.1 behind which nobody says anything.
class Silence {
 public:
  explicit Silence(int backlog) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address_), size), 0);
    EXPECT_EQ(::listen(fd_, backlog), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &size), 0);
  }
  ~Silence() {
    for (const int fd : taken_) ::close(fd);
    ::close(fd_);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

  /// From now on it does not even accept: the kernel drops what asks for a connection.
  void swallow() {
    for (;;) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      taken_.push_back(fd);
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_);
      pollfd ready{fd, POLLOUT, 0};
      if (::poll(&ready, 1, 300) <= 0) return;
    }
  }
  /// Returns when a client has spoken.
  void hear() {
    taken_.push_back(::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC));
    char first = 0;
    EXPECT_EQ(::read(taken_.back(), &first, 1), 1);
  }
  [[nodiscard]] std::string url() const { return "ssh://127.0.0.1:" + std::to_string(ntohs(address_.sin_port)); }

 private:
  int fd_;
  sockaddr_in address_{};
  std::vector<int> taken_;
};

class SshTurns : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!SshdServer::available()) K4T_SKIP_OR_FAIL("sshd is not installed, or this is not root");
    sshd.emplace("MaxStartups 1000");
    sshd->start();
    options = options_for(*sshd);
    total = take_all();
    busy.clear();
  }
  void TearDown() override {
    busy.clear();
    EXPECT_EQ(take_all(), total) << "every turn comes back";
  }

  /// Takes all that are free, and tells how many they were.
  std::size_t take_all() {
    for (;;) {
      auto& one = busy.emplace_back(handshake_turns());
      if (one.take()) continue;
      busy.pop_back();
      return busy.size();
    }
  }
  /// The next of the connections to it that tests make are not shared with earlier ones.
  std::shared_ptr<Host> open(const std::string& url) {
    ++options.keep_alive_ms;
    return *ssh_host(url, options);
  }
  static std::future<Result<Output>> run(std::shared_ptr<Host> host, std::function<bool()> cancelled = {}) {
    return std::async(std::launch::async, [host, cancelled] {
      Command command;
      command.argv = {"true"};
      command.timeout = long_enough;
      command.cancelled = cancelled;
      return host->run(command);
    });
  }
  static bool is_pending(const std::future<Result<Output>>& running) {
    return running.wait_for(0s) == std::future_status::timeout;
  }
  [[nodiscard]] bool was_accepted() const {
    return eventually(
        [this] { return Scratch::read(sshd->log()).find("Connection from 127.0.0.1") != std::string::npos; });
  }
  /// Returns when connect_timeout_ms is over for all that began to connect before.
  void outwait() {
    Silence hole(0);
    hole.swallow();
    const auto ran = run(open(hole.url())).get();
    EXPECT_THAT(ran ? "it ran" : ran.error().message, HasSubstr("in time"));
  }

  std::optional<SshdServer> sshd;
  SshOptions options;
  std::list<Comer> busy;
  std::size_t total = 0;
};

TEST_F(SshTurns, WaitingForATurnIsNotHeldAgainstTheServer) {
  options.connect_timeout_ms = 3000;
  take_all();
  auto running = run(open(sshd->url()));
  ASSERT_TRUE(was_accepted()) << "the TCP connection needs no turn";
  outwait();
  EXPECT_TRUE(is_pending(running));
  busy.clear();
  const auto ran = running.get();
  EXPECT_TRUE(ran.ok()) << ran.error().message;
}

TEST_F(SshTurns, WaitingForTheJumpHostsTurnIsNotHeldAgainstTheServer) {
  std::ofstream(sshd->authorized_keys(), std::ios::app) << Scratch::read(sshd->identity() + ".pub");
  options.connect_timeout_ms = 3000;
  take_all();
  options.jump = sshd->url();
  auto running = run(open(sshd->url()));
  ASSERT_TRUE(was_accepted());
  options.jump.clear();
  outwait();
  EXPECT_TRUE(is_pending(running));
  busy.clear();
  const auto ran = running.get();
  EXPECT_TRUE(ran.ok()) << ran.error().message;
}

TEST_F(SshTurns, AHostBehindAnotherNeedsNoTwoTurnsAtATime) {
  take_all();
  busy.pop_back();
  options.jump = sshd->url();
  const auto ran = run(open(sshd->url())).get();
  EXPECT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(sshd->logins(), 2U);
}

TEST_F(SshTurns, AServerThatAcceptsAndSaysNothingLosesItsTurn) {
  Silence silence(8);
  options.connect_timeout_ms = 600'000;
  take_all();
  busy.pop_back();
  std::atomic<bool> enough = false;
  auto silent = run(open(silence.url()), [&] { return enough.load(); });
  silence.hear();
  const auto ran = run(open(sshd->url())).get();
  EXPECT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_TRUE(is_pending(silent)) << "its own time is not over";
  enough = true;
  EXPECT_EQ(silent.get().status(), Status::deadline);
}

TEST_F(SshTurns, AServerThatSpeaksAfterItLostItsTurnIsLetOn) {
  take_all();
  busy.pop_back();
  sshd->freeze();
  auto late = run(open(sshd->url()));
  // Should the test not be quick enough to see it in its turn, there is less to see.
  eventually([&] { return !Comer(handshake_turns()).take(); });
  Comer other(handshake_turns());
  ASSERT_TRUE(other.await());
  sshd->thaw();
  ASSERT_TRUE(was_accepted());
  EXPECT_TRUE(is_pending(late));
  other.give_back();
  const auto ran = late.get();
  EXPECT_TRUE(ran.ok()) << ran.error().message;
}

TEST_F(SshTurns, WhoCancelsDoesNotWaitForATurnNorTakesIt) {
  take_all();
  const auto host = open(sshd->url());
  std::atomic<bool> enough = false;
  auto running = run(host, [&] { return enough.load(); });
  ASSERT_TRUE(was_accepted());
  enough = true;
  EXPECT_EQ(running.get().status(), Status::deadline);
  Comer next(handshake_turns());
  EXPECT_FALSE(next.take());
  busy.pop_back();
  EXPECT_TRUE(next.await());
  next.give_back();
  EXPECT_EQ(sshd->logins(), 0U);
  EXPECT_TRUE(run(host).get().ok()) << "it connects when it is wanted again";
}

TEST_F(SshTurns, AProgramsConnectionThatIsGivenUpLeavesTheQueue) {
  take_all();
  Command command;
  command.argv = {"cat"};
  command.timeout = 100ms;
  EXPECT_EQ(open(sshd->url())->start(command).status(), Status::deadline);
}

TEST_F(SshTurns, ManyHostsAtOnceAreAllReachedThoughOneIsSilent) {
  const Silence silence(8);
  options.connect_timeout_ms = 60'000;
  std::atomic<bool> enough = false;
  auto silent = run(open(silence.url()), [&] { return enough.load(); });
  std::vector<std::future<Result<Output>>> running;
  for (std::size_t n = 0; n < 2 * total; ++n) running.push_back(run(open(sshd->url())));
  for (auto& one : running) {
    const auto ran = one.get();
    EXPECT_TRUE(ran.ok()) << ran.error().message;
  }
  EXPECT_EQ(sshd->logins(), 2 * total);
  EXPECT_TRUE(is_pending(silent));
  enough = true;
}

}  // namespace
}  // namespace k4t::transport
