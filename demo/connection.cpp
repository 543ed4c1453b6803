#include "connection.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <utility>

namespace demo {
namespace {

int left_ms(Clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

}  // namespace

Ending::Ending() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Ending::begin() noexcept {
  begun_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

Ending& ending() {
  static Ending only;
  return only;
}

Connection::~Connection() { ::close(fd_); }

Connection::Wait Connection::wait(std::chrono::milliseconds timeout, bool until_ending) {
  if (!buffer_.empty()) return Wait::data;
  if (at_end_) return Wait::closed;
  pollfd ready[2] = {{fd_, POLLIN, 0}, {ending().fd(), POLLIN, 0}};
  const auto until = Clock::now() + timeout;
  for (;;) {
    const int count = ::poll(ready, until_ending ? 2 : 1, left_ms(until));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Wait::timeout;
    if (ready[0].revents == 0) return Wait::ending;
    return fill(until) ? Wait::data : Wait::closed;
  }
}

bool Connection::fill(Clock::time_point until) {
  while (!at_end_) {
    pollfd ready{fd_, POLLIN, 0};
    const int count = ::poll(&ready, 1, left_ms(until));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    char bytes[16384];
    const auto got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      at_end_ = true;
      return false;
    }
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }
  return false;
}

std::optional<std::string> Connection::read_through(std::string_view mark, std::size_t limit_bytes,
                                                    Clock::time_point until) {
  for (std::size_t searched = 0;;) {
    const auto found = buffer_.find(mark, searched);
    if (found != std::string::npos && found + mark.size() <= limit_bytes) {
      std::string text = buffer_.substr(0, found + mark.size());
      buffer_.erase(0, text.size());
      return text;
    }
    if (buffer_.size() >= limit_bytes) return std::nullopt;
    searched = buffer_.size() >= mark.size() ? buffer_.size() - mark.size() + 1 : 0;
    if (!fill(until)) return std::nullopt;
  }
}

std::optional<std::string> Connection::read_exactly(std::size_t bytes, Clock::time_point until) {
  while (buffer_.size() < bytes) {
    if (!fill(until)) return std::nullopt;
  }
  std::string text = buffer_.substr(0, bytes);
  buffer_.erase(0, bytes);
  return text;
}

std::optional<std::string> Connection::read_all(std::size_t limit_bytes, Clock::time_point until) {
  while (fill(until)) {
    if (buffer_.size() > limit_bytes) return std::nullopt;
  }
  if (!at_end_) return std::nullopt;
  return std::exchange(buffer_, {});
}

bool Connection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    pollfd ready{fd_, POLLOUT, 0};
    const int count = ::poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(kSendTimeout).count()));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string environment(const char* name, std::string fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? std::string(value) : std::move(fallback);
}

}  // namespace demo
