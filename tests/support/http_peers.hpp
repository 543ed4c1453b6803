#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>

/// Both ends of a gateway under test: endpoints behind it and clients in front of it, in this process, so that a test
/// decides when a connection begins, waits and ends.

namespace k4t::testing {

/// A small HTTP server. It answers every request with its name, but
///   /hold    waits for release() first;
///   /health  200 or 503, as set_healthy() says;
///   /echo    the request's own head;
/// and a request with "Upgrade: websocket" gets 101 and then every byte back. Thread-safe.
class Endpoint {
 public:
  /// Listens from now on; throws std::runtime_error where it cannot. Port 0: a free one.
  explicit Endpoint(std::string name, const std::string& address = "127.0.0.1", std::uint16_t port = 0);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  void set_healthy(bool healthy) { healthy_ = healthy; }
  /// Requests to /hold that wait now.
  [[nodiscard]] int holding() const { return holding_; }
  /// Lets all waiting and all later requests to /hold go on.
  void release();
  /// Ends all connections that are open now; what waits in /hold ends with them.
  void disconnect();

 private:
  void accept_all();
  void serve(int fd);
  bool answer(int fd, const std::string& head);

  std::string name_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::atomic<bool> healthy_ = true;
  std::atomic<int> holding_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  int generation_ = 0;  ///< grows with every disconnect()
  bool released_ = false;
  bool ending_ = false;
  std::list<int> open_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

/// A client's TCP connection, byte by byte.
class Connection {
 public:
  /// `from`: the client's own address, of 127.0.0.0/8 for IPv4.
  Connection(const std::string& address, std::uint16_t port, const std::string& from = {});
  ~Connection();
  Connection(Connection&& other) noexcept;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  void send(const std::string& bytes) const;
  /// What comes until `end` has come (empty: never), the other side closes, or the time is over.
  [[nodiscard]] std::string read_until(const std::string& end,
                                       std::chrono::milliseconds timeout = std::chrono::seconds(20)) const;

 private:
  int fd_ = -1;
};

struct Answer {
  int status = 0;  ///< 0: no answer
  std::string body;
};

struct Ask {
  std::string host = "www.example.net";
  std::string path = "/";
  std::string headers = {};  ///< complete lines
  std::string from = {};     ///< the client's own address
};

/// One GET on a connection of its own to 127.0.0.1, or to ::1 for `address` "::1".
Answer ask(std::uint16_t port, const Ask& what = {}, const std::string& address = "127.0.0.1");

}  // namespace k4t::testing
