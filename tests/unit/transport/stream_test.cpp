#include <cstring>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host_test.hpp"

namespace k4t::transport {
namespace {

using namespace std::chrono_literals;
using k4t::testing::free_port;
using k4t::testing::Scratch;

/// A listening socket in this process, served by hand.
class Listener {
 public:
  explicit Listener(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    listen_at(reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  explicit Listener(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listen_at(reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  ~Listener() { ::close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] int accept() const { return ::accept(fd_, nullptr, nullptr); }

 private:
  void listen_at(const sockaddr* address, socklen_t size) const {
    EXPECT_EQ(::bind(fd_, address, size), 0);
    EXPECT_EQ(::listen(fd_, 4), 0);
  }
  int fd_;
};

/// Answers what it got until the end of file, then closes.
void echo_once(const Listener& listener) {
  const int peer = listener.accept();
  for (char buffer[4096];;) {
    const auto got = ::read(peer, buffer, sizeof buffer);
    if (got <= 0 || ::write(peer, buffer, static_cast<std::size_t>(got)) != got) break;
  }
  ::close(peer);
}

void expect_echo(Stream& stream) {
  ASSERT_TRUE(stream.write("hello", 5s).ok());
  ASSERT_TRUE(stream.close_write().ok());
  std::string all;
  for (;;) {
    const auto piece = stream.read(3, 5s);
    ASSERT_TRUE(piece.ok());
    if (piece->empty()) break;
    all += *piece;
  }
  EXPECT_EQ(all, "hello");
}

class Streams : public HostTest {};
K4T_EACH_HOST(Streams);

TEST_P(Streams, CarriesBytesOverAUnixSocketUntilTheEnd) {
  const Scratch scratch;
  const std::string path = (scratch.path() / "s").string();
  const Listener listener(path);
  std::thread server([&] { echo_once(listener); });
  const auto stream = host->connect_unix(path, 5s);
  ASSERT_TRUE(stream.ok());
  expect_echo(**stream);
  server.join();
}

TEST_P(Streams, CarriesBytesOverTcp) {
  const auto port = free_port();
  const Listener listener(port);
  std::thread server([&] { echo_once(listener); });
  const auto stream = host->connect_tcp("127.0.0.1", port, 5s);
  ASSERT_TRUE(stream.ok());
  expect_echo(**stream);
  server.join();
}

TEST_P(Streams, ASilentPeerIsADeadline) {
  const auto port = free_port();
  const Listener listener(port);
  const auto stream = host->connect_tcp("127.0.0.1", port, 5s);
  ASSERT_TRUE(stream.ok());
  EXPECT_EQ((*stream)->read(10, 50ms).status(), Status::deadline);
  EXPECT_EQ((*stream)->write(std::string(32u << 20, 'x'), 100ms).status(), Status::deadline);
}

TEST_P(Streams, NobodyThereIsUnavailableAndNeverNotFound) {
  const Scratch scratch;
  EXPECT_EQ(host->connect_unix((scratch.path() / "none").string(), 1s).status(), Status::unavailable);
  EXPECT_EQ(host->connect_tcp("127.0.0.1", free_port(), 1s).status(), Status::unavailable);
}

TEST(LocalStream, AFullBacklogIsWaitedForAndThenUnavailable) {
  const Scratch scratch;
  const std::string path = (scratch.path() / "s").string();
  const Listener listener(path);
  std::vector<std::unique_ptr<Stream>> waiting;
  for (int n = 0; n < 100; ++n) {
    auto stream = local_host()->connect_unix(path, 50ms);
    if (!stream) {
      EXPECT_EQ(stream.status(), Status::unavailable);
      return;
    }
    waiting.push_back(*std::move(stream));
  }
  FAIL() << "the backlog never filled";
}

TEST_P(Streams, AddressesThatAreNoneAreRefused) {
  EXPECT_EQ(host->connect_tcp("localhost", 80, 1s).status(), Status::invalid_argument);
  EXPECT_EQ(host->connect_unix(std::string(200, 'x'), 1s).status(), Status::invalid_argument);
}

}  // namespace
}  // namespace k4t::transport
