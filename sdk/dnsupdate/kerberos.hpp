#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "k4t/gsstsig.hpp"

namespace k4t::dnsupdate {

/// The ticket of one account for one DNS server, in a cache in memory. Talks to the Kerberos server itself, within the
/// caller's limits, because the library's own way would look it up elsewhere and could not be cancelled. Not
/// thread-safe.
class Tickets {
 public:
  /// As make_gss_tsig().
  static Result<std::unique_ptr<Tickets>> open(GssIdentity identity);
  ~Tickets();
  Tickets(const Tickets&) = delete;
  Tickets& operator=(const Tickets&) = delete;

  /// Gets new tickets unless the present ones are fresh.
  Result<void> refresh(std::uint64_t now_s, const Limits& limits);
  /// Makes the next refresh() ask anew: the server does not accept the present ticket.
  void discard();
  /// True: what the last refresh() brought has ended, or does within a minute.
  [[nodiscard]] bool expired(std::uint64_t now_s) const;

  [[nodiscard]] const GssIdentity& identity() const { return identity_; }
  /// The name by which GSS-API finds the cache.
  [[nodiscard]] const std::string& cache_name() const { return cache_name_; }
  /// "DNS/host@REALM".
  [[nodiscard]] std::string service() const { return "DNS/" + identity_.host + "@" + identity_.realm; }

 private:
  struct Library;
  explicit Tickets(GssIdentity identity);
  Result<void> check_keytab();
  Result<void> log_in();
  Result<void> get_service_ticket();
  Result<void> check_clock() const;
  Error failure(std::int32_t code, const std::string& doing) const;

  GssIdentity identity_;
  std::unique_ptr<Library> library_;
  std::string cache_name_;
  std::uint64_t ends_s_ = 0;
};

}  // namespace k4t::dnsupdate
