#include "stream.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "errors.hpp"

namespace k4t::transport {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t largest_read_bytes = 64u << 10;
constexpr milliseconds backlog_retry{5};

/// Waits until the socket is ready for `events`; false: the time is over.
bool wait_ready(int fd, short events, Clock::time_point until) {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now()).count();
    pollfd ready{fd, events, 0};
    const int count = ::poll(&ready, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
    if (count > 0) return true;
    if (left <= 0) return false;
  }
}

Error broken(std::string_view doing, int number) {
  Error error = system_error(doing, number);
  error.status = Status::unavailable;
  return error;
}

class SocketStream final : public Stream {
 public:
  explicit SocketStream(Fd fd) : fd_(std::move(fd)) {}

  Result<std::string> read(std::size_t limit_bytes, milliseconds timeout) override {
    const auto until = Clock::now() + timeout;
    std::string bytes(std::clamp<std::size_t>(limit_bytes, 1, largest_read_bytes), '\0');
    for (;;) {
      const auto got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
      if (got >= 0) {
        bytes.resize(static_cast<std::size_t>(got));
        return bytes;
      }
      if (errno != EAGAIN && errno != EINTR) return broken("the connection broke", errno);
      if (!wait_ready(fd_.get(), POLLIN, until)) return Error{Status::deadline, "no answer came in time", {}};
    }
  }

  Result<void> write(std::string_view bytes, milliseconds timeout) override {
    const auto until = Clock::now() + timeout;
    while (!bytes.empty()) {
      const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
        continue;
      }
      if (errno != EAGAIN && errno != EINTR) return broken("the connection broke", errno);
      if (!wait_ready(fd_.get(), POLLOUT, until)) return Error{Status::deadline, "the other side takes nothing", {}};
    }
    return {};
  }

  Result<void> close_write() override {
    if (::shutdown(fd_.get(), SHUT_WR) != 0) return broken("the connection broke", errno);
    return {};
  }

 private:
  Fd fd_;
};

/// Connects a new non-blocking socket; `where` is for messages.
Result<std::unique_ptr<Stream>> connect_to(const sockaddr* address, socklen_t size, const std::string& where,
                                           milliseconds timeout) {
  const auto until = Clock::now() + timeout;
  const std::string doing = "cannot connect to " + where;
  Fd fd(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.open()) return broken(doing, errno);
  const Error late{Status::unavailable, doing + ": no answer in time", {}};
  while (::connect(fd.get(), address, size) != 0) {
    if (errno == EISCONN) break;
    if (errno == EINPROGRESS || errno == EALREADY || errno == EINTR) {
      if (!wait_ready(fd.get(), POLLOUT, until)) return late;
      int number = 0;
      socklen_t length = sizeof number;
      ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &number, &length);
      if (number != 0) return broken(doing, number);
      continue;
    }
    // A unix socket with a full backlog says so at once instead of letting us wait.
    if (errno != EAGAIN) return broken(doing, errno);
    if (Clock::now() >= until) return late;
    std::this_thread::sleep_for(backlog_retry);
  }
  return std::unique_ptr<Stream>(std::make_unique<SocketStream>(std::move(fd)));
}

Error not_an_address(const std::string& address) {
  return {Status::invalid_argument, "'" + address + "' is not an IPv4 or IPv6 address", {}};
}

}  // namespace

std::unique_ptr<Stream> stream_over(Fd fd) { return std::make_unique<SocketStream>(std::move(fd)); }

Result<void> check_unix_path(const std::string& path) {
  K4T_TRY(check_path(path));
  if (path.size() < sizeof(sockaddr_un::sun_path)) return {};
  return Error{Status::invalid_argument, "cannot connect to " + path + ": a socket's path has at most 107 bytes", {}};
}

Result<void> check_tcp_address(const std::string& address, std::uint16_t port) {
  in6_addr ignored{};
  const bool known =
      ::inet_pton(AF_INET, address.c_str(), &ignored) == 1 || ::inet_pton(AF_INET6, address.c_str(), &ignored) == 1;
  if (!known) return not_an_address(address);
  if (port == 0) return Error{Status::invalid_argument, "cannot connect to " + address + ": 0 is no port", {}};
  return {};
}

Result<std::unique_ptr<Stream>> connect_to_unix(const std::string& path, milliseconds timeout) {
  K4T_TRY(check_unix_path(path));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address, path, timeout);
}

Result<std::unique_ptr<Stream>> connect_to_tcp(const std::string& address, std::uint16_t port, milliseconds timeout) {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  if (::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
    return connect_to(reinterpret_cast<const sockaddr*>(&v4), sizeof v4, address + ":" + std::to_string(port), timeout);
  }
  if (::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
    return connect_to(reinterpret_cast<const sockaddr*>(&v6), sizeof v6, "[" + address + "]:" + std::to_string(port),
                      timeout);
  }
  return not_an_address(address);
}

}  // namespace k4t::transport
