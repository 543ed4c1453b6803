#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "k4t/result.hpp"
#include "k4t/transport.hpp"

/// An HTTP/1.1 client (RFC 9110, RFC 9112) for servers' control sockets and for health probes, over unix and TCP
/// sockets, on this machine or another, with or without TLS. Every answer is treated as hostile: sizes are bounded, and
/// what is not HTTP is an error.

namespace k4t::http {

/// How to speak TLS (1.2 or later) with a server. The server's certificate is always verified: against the authorities
/// given, no others, and against the name. Files are PEM, and read when the first connection is made.
struct Tls {
  std::string ca_file{};      ///< the authorities' certificates
  std::string cert_file{};    ///< what this side shows, with intermediates; empty: nothing
  std::string key_file{};     ///< its private key, not encrypted, closed to group and others; given with `cert_file`
  std::string server_name{};  ///< a name or address that the certificate must be for; empty: the endpoint's address
};

/// INVALID_ARGUMENT: a file cannot be used, and what to do. Reads the files and connects to nothing.
Result<void> check_tls(const Tls& tls);

/// Where a server listens, seen from `host`: a unix socket if `unix_path` is given, else address and port.
struct Endpoint {
  std::shared_ptr<transport::Host> host = transport::local_host();
  std::string unix_path{};
  std::string address{};  ///< IPv4 or IPv6, never a name
  std::uint16_t port = 0;
  std::optional<Tls> tls{};  ///< absent: plain HTTP
};

/// A body that is too large for memory.
struct BodySource {
  std::uint64_t bytes = 0;  ///< its length, which the server is told first
  /// The next piece, not empty and at most so long. An error ends the request with it.
  std::function<Result<std::string>(std::size_t limit_bytes)> next;
};

struct Request {
  std::string method = "GET";
  std::string target = "/";  ///< path and query, already percent-encoded
  std::map<std::string, std::string> headers{};
  std::string body{};
  std::optional<BodySource> body_source{};  ///< instead of `body`; such a request is not sent on a kept connection
  std::chrono::milliseconds timeout = std::chrono::seconds(30);  ///< for everything, streaming included
  std::function<bool()> cancelled{};         ///< polled about every 50 ms; true: DEADLINE is returned
  std::size_t body_limit_bytes = 16u << 20;  ///< of a body that is gathered; a longer one is UNAVAILABLE
  bool skip_body = false;                    ///< the status is enough: the body is not read
  /// Takes the body of a 2xx answer piece by piece, unlimited, instead of gathering it. False: no more is wanted, and
  /// the request ends well with Response::complete false.
  std::function<bool(std::string_view)> on_body{};
};

struct Response {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case; of repeated ones the last
  std::string body;                            ///< what on_body did not take
  bool complete = true;                        ///< the body was read to its end
};

/// Talks to one server and keeps up to 8 idle connections to it. Thread-safe: requests of several threads run side by
/// side. A redirection is an answer like any other, never followed.
class Client {
 public:
  explicit Client(Endpoint endpoint);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  /// Any HTTP answer is a success, whatever its status. UNAVAILABLE: no connection, no TLS with the expected server, it
  /// broke, or the answer is not HTTP or too long; whether the request took effect is then unknown. DEADLINE: time ran
  /// out, or cancelled; unknown too. INVALID_ARGUMENT: the request is not representable (a line break in a header), or
  /// see check_tls. A GET or HEAD whose kept connection turns out dead before the first byte of the answer is sent once
  /// more; nothing else is ever repeated.
  Result<Response> send(const Request& request);

  /// For messages: "unix:///run/x.sock", "http://192.0.2.1:80" or "https://192.0.2.1:443".
  [[nodiscard]] const std::string& where() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Percent-encodes everything but RFC 3986's unreserved characters: for one path segment or one query value.
std::string percent_encode(std::string_view text);

/// A health probe from this machine: the status that GET `path` answers with. Errors as for Client::send.
Result<int> probe(const std::string& address, std::uint16_t port, const std::string& path,
                  std::chrono::milliseconds timeout);

/// A health probe from this machine: does a TCP connection open?
Result<void> probe_tcp(const std::string& address, std::uint16_t port, std::chrono::milliseconds timeout);

}  // namespace k4t::http
