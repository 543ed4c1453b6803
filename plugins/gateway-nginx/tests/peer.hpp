#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace k4t::nginx::testing {

/// An endpoint whose behaviour byte by byte is the test's: every connection gets a thread that runs `serve` and is then
/// closed. Listens at 127.0.0.1.
class Peer {
 public:
  explicit Peer(std::function<void(int connection)> serve);
  /// Shuts all connections down and joins their threads.
  ~Peer();
  Peer(const Peer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int accepted() const { return accepted_; }

 private:
  void accept_all();
  std::function<void(int)> serve_;
  int listening_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> accepted_{0};
  std::mutex mutex_;
  std::vector<int> connections_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

/// Reads the head of a request, up to its empty line.
std::string read_head(int connection);
/// Sends back whatever comes, until the end.
void echo(int connection);
void write_text(int connection, const std::string& text);

}  // namespace k4t::nginx::testing
