#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace k4t::nginx::testing {

/// A TCP connection of a test's client, byte by byte, so that a test decides when it begins and ends.
class Connection {
 public:
  /// To 127.0.0.1; `is_open()` tells whether it worked. `from`: the client's own address, of 127.0.0.0/8.
  explicit Connection(std::uint16_t port, const std::string& from = "127.0.0.1");
  ~Connection();
  Connection(Connection&& other) noexcept;
  Connection(const Connection&) = delete;

  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  void send(const std::string& bytes) const;
  /// What comes until `end` has come, the other side closes, or the time is over.
  std::string read_until(const std::string& end, std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;
  /// What comes until the other side closes.
  std::string read_all() const { return read_until(std::string()); }

 private:
  int fd_ = -1;
};

struct Answer {
  int status = 0;  ///< 0: no answer
  std::string body;
};

/// One HTTP request on a connection of its own. `headers`: complete lines.
Answer request(std::uint16_t port, const std::string& host, const std::string& path, const std::string& headers = {},
               const std::string& method = "GET", const std::string& from = "127.0.0.1");

}  // namespace k4t::nginx::testing
