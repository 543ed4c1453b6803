#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "k4t/http.hpp"

typedef struct ssl_ctx_st SSL_CTX;

namespace k4t::http {

/// What of TLS is the same for all connections to a server: the authorities, the certificate and its key. Thread-safe.
class TlsContext {
 public:
  /// Reads the files. INVALID_ARGUMENT names the one that cannot be used, and the remedy.
  static Result<std::shared_ptr<const TlsContext>> load(const Tls& tls);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// Shakes hands over a new connection to `address` and verifies the server's certificate; what is written to and read
  /// from the stream that it returns is encrypted. UNAVAILABLE: not TLS, not the expected server, or refused by it.
  [[nodiscard]] Result<std::unique_ptr<transport::Stream>> secure(std::unique_ptr<transport::Stream> stream,
                                                                  const std::string& address,
                                                                  std::chrono::milliseconds timeout) const;

 private:
  explicit TlsContext(Tls tls);
  Result<void> use_authorities() const;
  Result<void> use_certificate() const;

  const Tls tls_;
  SSL_CTX* const context_;
};

}  // namespace k4t::http
