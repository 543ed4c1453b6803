#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// The sockets of the demo application: blocking, one thread per connection, every wait bounded.

namespace demo {

using Clock = std::chrono::steady_clock;

/// Whether the program was asked to end. `fd` becomes readable for every waiter at once and stays so.
class Ending {
 public:
  Ending();
  /// Async-signal-safe.
  void begin() noexcept;
  [[nodiscard]] bool begun() const { return begun_; }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_ = -1;
  std::atomic<bool> begun_ = false;
};

/// The one Ending of this process.
Ending& ending();

/// One accepted or connected socket with a read buffer. Owns and closes it. Used by one thread.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  enum class Wait { data, closed, timeout, ending };

  /// Waits until there is something to read, in the buffer or on the wire. `ending` only if `until_ending`.
  Wait wait(std::chrono::milliseconds timeout, bool until_ending);

  /// Everything up to and with `mark`, which must come before `until` and within `limit_bytes`; absent otherwise.
  std::optional<std::string> read_through(std::string_view mark, std::size_t limit_bytes, Clock::time_point until);

  /// Exactly so many bytes; absent when they do not come in time.
  std::optional<std::string> read_exactly(std::size_t bytes, Clock::time_point until);

  /// Everything until the end of the stream, at most `limit_bytes`.
  std::optional<std::string> read_all(std::size_t limit_bytes, Clock::time_point until);

  /// False: the other side is gone, or took nothing for kSendTimeout.
  bool write(std::string_view bytes);

 private:
  /// Adds what has arrived to the buffer; false at the end of the stream or of the time.
  bool fill(Clock::time_point until);

  int fd_;
  std::string buffer_;
  bool at_end_ = false;
};

inline constexpr std::chrono::seconds kSendTimeout{10};

/// An environment variable, or `fallback` where it is absent or empty.
std::string environment(const char* name, std::string fallback = {});

}  // namespace demo
