#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "k4t/result.hpp"

/// A block of addresses that a node gives to its instances. Pure.

namespace k4t::model {

/// Whether the text is one IPv4 or IPv6 address in its canonical form.
bool is_address(const std::string& text);

/// RFC 4632 §3.1 and RFC 4291 §2.3: "192.0.2.64/27", "2001:db8:1::/64".
class Subnet {
 public:
  /// INVALID_ARGUMENT: a clause that follows the quoted text. Blocks that no node can use whole are refused: IPv4 from
  /// /8 to /29, IPv6 from /32 to /124.
  static Result<Subnet> parse(std::string_view text);

  /// Canonical (RFC 5952).
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool contains(const std::string& address) const;
  [[nodiscard]] bool overlaps(const Subnet& other) const;
  [[nodiscard]] bool is_within(const Subnet& block) const { return prefix_ >= block.prefix_ && overlaps(block); }

  /// How many instances can have an address: all but the first two, which are the block's own (RFC 4291 §2.6.1) and by
  /// custom its router's, and with IPv4 the last one. At most 2^62.
  [[nodiscard]] std::uint64_t size() const;
  /// The canonical text of one of them. REQUIRES: number < size().
  [[nodiscard]] std::string address(std::uint64_t number) const;

 private:
  using Bytes = std::array<std::uint8_t, 16>;  ///< of IPv4 the first four

  Bytes first_{};
  unsigned length_ = 0;  ///< bytes of an address: 4 or 16
  unsigned prefix_ = 0;  ///< bits that all addresses share
};

}  // namespace k4t::model
