#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/process.hpp"

namespace k4t::testing {

/// Where a certificate and its private key are, in PEM format.
struct Certified {
  std::string certificate;
  std::string key;  ///< mode 0600
};

/// What a certificate says.
struct CertificateWish {
  std::string name = "test";       ///< its file's name here, and its subject
  std::vector<std::string> alt{};  ///< as OpenSSL writes them: "IP:127.0.0.1", "DNS:node1.example.net"
  std::string purpose = "serverAuth";
  std::int64_t from_s = -3600;  ///< valid from and until, from now
  std::int64_t until_s = 24 * 3600;
};

/// A certificate authority with files of its own. Throws std::runtime_error where OpenSSL fails.
class Authority {
 public:
  explicit Authority(const std::string& name = "test authority");
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  [[nodiscard]] std::string certificate() const { return (scratch_.path() / "ca.pem").string(); }
  [[nodiscard]] Certified issue(const CertificateWish& wish) const;
  [[nodiscard]] const Scratch& scratch() const { return scratch_; }

 private:
  struct Keys;
  Scratch scratch_;
  std::unique_ptr<Keys> keys_;
};

}  // namespace k4t::testing
