#pragma once

#include <string>
#include <string_view>

#include "k4t/dnsupdate.hpp"

namespace k4t::dnsupdate {

/// DEADLINE when the caller gave up or its time is over.
Result<void> check(const Limits& limits);

/// How many bytes tell a message's length.
enum class Framing : std::size_t {
  dns = 2,       ///< RFC 1035 §4.2.2
  kerberos = 4,  ///< RFC 4120 §7.2.2
};

/// One TCP connection that carries messages, each after its length. After any error it is of no more use. Not
/// thread-safe.
class Connection {
 public:
  static Result<std::unique_ptr<Connection>> open(const Endpoint& endpoint, const Limits& limits,
                                                  Framing framing = Framing::dns);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// False: the other side has closed it, or sent what nobody asked for.
  [[nodiscard]] bool idle() const;

  Result<void> send(std::string_view message, const Limits& limits);
  Result<std::string> receive(const Limits& limits);

 private:
  Connection(int socket, std::chrono::milliseconds timeout, Framing framing)
      : socket_(socket), timeout_(timeout), framing_(framing) {}
  Result<void> read_exactly(char* to, std::size_t count_bytes, std::chrono::steady_clock::time_point until,
                            const Limits& limits) const;

  int socket_;
  std::chrono::milliseconds timeout_;
  Framing framing_;
};

}  // namespace k4t::dnsupdate
