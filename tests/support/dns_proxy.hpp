#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace k4t::testing {

/// A man in the middle for DNS over TCP on 127.0.0.1: one connection at a time, message by message. The server
/// gets every request; what comes back is up to `tamper`.
class DnsProxy {
 public:
  /// Called on the proxy's thread with each answer and whether it answers an UPDATE. May change the answer; false:
  /// close the connection instead of passing it on.
  using Tamper = std::function<bool(bool update, std::string& answer)>;

  DnsProxy(std::uint16_t server_port, Tamper tamper);
  ~DnsProxy();
  DnsProxy(const DnsProxy&) = delete;
  DnsProxy& operator=(const DnsProxy&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void serve();
  void relay(int client);
  bool wait_readable(int socket) const;
  bool read_exactly(int socket, std::string& to) const;
  bool read_message(int socket, std::string& message) const;

  std::uint16_t server_port_;
  Tamper tamper_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace k4t::testing
