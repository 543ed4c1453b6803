#include "connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "wire.hpp"

namespace k4t::dnsupdate {
namespace {

using Clock = std::chrono::steady_clock;

/// How often a waiting call looks whether its caller gave up.
constexpr auto cancel_poll = std::chrono::milliseconds(50);

Error no_answer(const std::string& what) { return Error{Status::unavailable, "the server does not answer", what}; }

Error failed(const std::string& what) { return no_answer(what + ": " + std::generic_category().message(errno)); }

/// Waits until the socket is ready. `until` bounds this wait, limits the whole call.
Result<void> wait_for(int socket, short events, Clock::time_point until, const Limits& limits) {
  for (;;) {
    K4T_TRY(check(limits));
    const auto now = Clock::now();
    if (now >= until) return no_answer("timed out");
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::min(until, limits.until) - now);
    pollfd waiting{socket, events, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::min(left, cancel_poll).count()));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return failed("poll");
  }
}

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

std::optional<Address> address_of(const Endpoint& endpoint) {
  Address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET, endpoint.address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    address.size = sizeof *v4;
    return address;
  }
  if (::inet_pton(AF_INET6, endpoint.address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(endpoint.port);
    address.size = sizeof *v6;
    return address;
  }
  return std::nullopt;
}

}  // namespace

Result<void> check(const Limits& limits) {
  if (limits.cancelled && limits.cancelled()) return Error{Status::deadline, "the caller gave up", {}};
  if (Clock::now() >= limits.until) return Error{Status::deadline, "the time for this call is over", {}};
  return {};
}

Result<std::unique_ptr<Connection>> Connection::open(const Endpoint& endpoint, const Limits& limits, Framing framing) {
  const auto address = address_of(endpoint);
  if (!address) return Error{Status::invalid_argument, "'" + endpoint.address + "' is not an IP address", {}};
  const int socket = ::socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return failed("socket");
  std::unique_ptr<Connection> connection(new Connection(socket, endpoint.timeout, framing));
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address->storage), address->size) == 0) return connection;
  if (errno != EINPROGRESS) return failed("connect");
  K4T_TRY(wait_for(socket, POLLOUT, Clock::now() + endpoint.timeout, limits));
  socklen_t size = sizeof errno;
  int outcome = 0;
  ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &outcome, &size);
  if (outcome == 0) return connection;
  return no_answer(std::string("connect: ") + std::generic_category().message(outcome));
}

Connection::~Connection() { ::close(socket_); }

bool Connection::idle() const {
  char byte = 0;
  return ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

Result<void> Connection::send(std::string_view message, const Limits& limits) {
  std::string bytes;
  if (framing_ == Framing::kerberos) put_u16(bytes, static_cast<std::uint16_t>(message.size() >> 16));
  put_u16(bytes, static_cast<std::uint16_t>(message.size() & 0xffff));
  bytes += message;
  const auto until = Clock::now() + timeout_;
  for (std::string_view rest = bytes; !rest.empty();) {
    const auto sent = ::send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      rest.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      K4T_TRY(wait_for(socket_, POLLOUT, until, limits));
    } else if (errno != EINTR) {
      return failed("send");
    }
  }
  return {};
}

Result<void> Connection::read_exactly(char* to, std::size_t count_bytes, Clock::time_point until,
                                      const Limits& limits) const {
  for (std::size_t at = 0; at < count_bytes;) {
    const auto got = ::recv(socket_, to + at, count_bytes - at, 0);
    if (got > 0) {
      at += static_cast<std::size_t>(got);
    } else if (got == 0) {
      return no_answer("it closed the connection");
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      // A server that joins small segments holds the next answer back until what we have is acknowledged (RFC 896),
      // which systems like to put off by some 40 ms. Lasts until the next segments only.
      const int on = 1;
      ::setsockopt(socket_, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
      K4T_TRY(wait_for(socket_, POLLIN, until, limits));
    } else if (errno != EINTR) {
      return failed("receive");
    }
  }
  return {};
}

Result<std::string> Connection::receive(const Limits& limits) {
  const auto until = Clock::now() + timeout_;
  std::string length(static_cast<std::size_t>(framing_), '\0');
  K4T_TRY(read_exactly(length.data(), length.size(), until, limits));
  // No answer of either protocol that we ask for has more than 65,535 bytes.
  if (framing_ == Framing::kerberos && get_u16(length, 0) != 0) return no_answer("its message is too long");
  std::string message(get_u16(length, length.size() - 2), '\0');
  K4T_TRY(read_exactly(message.data(), message.size(), until, limits));
  if (message.size() < header_bytes) return no_answer("its message is too short");
  return message;
}

}  // namespace k4t::dnsupdate
