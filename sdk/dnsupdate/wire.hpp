#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "k4t/result.hpp"

/// Bytes of DNS messages (RFC 1035 §4), as far as signing needs them by hand: a signature covers the exact bytes that
/// travelled, which a parsed message no longer has.

namespace k4t::dnsupdate {

inline constexpr std::size_t header_bytes = 12;
inline constexpr std::size_t message_limit_bytes = 65535;
inline constexpr std::uint16_t type_tsig = 250;
inline constexpr std::uint16_t class_any = 255;

void put_u16(std::string& to, std::uint16_t value);
void put_u32(std::string& to, std::uint32_t value);
void put_u48(std::string& to, std::uint64_t value);
/// REQUIRES: at + 2 <= to.size()
void set_u16(std::string& to, std::size_t at, std::uint16_t value);
/// REQUIRES: at + 2 <= from.size()
std::uint16_t get_u16(std::string_view from, std::size_t at);

/// Reads untrusted bytes from the beginning; after the first read past the end everything yields zeros and ok() is
/// false.
class Reader {
 public:
  explicit Reader(std::string_view bytes, std::size_t at = 0) : bytes_(bytes), at_(at) {}
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t at() const { return at_; }
  std::uint16_t u16();
  std::uint32_t u32();
  std::uint64_t u48();
  std::string_view take(std::size_t count_bytes);
  /// A domain name, following compression pointers: its uncompressed wire form in lower case.
  std::string name();

 private:
  std::uint64_t number(std::size_t count_bytes);
  std::string_view bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

/// The TSIG record that ends a message (RFC 8945 §4.2).
struct TsigRecord {
  std::size_t begin = 0;  ///< where it starts in the message
  std::string key_name;   ///< wire form, lower case
  std::string algorithm;  ///< wire form, lower case
  std::uint64_t time_s = 0;
  std::uint16_t fudge_s = 0;
  std::string mac;
  std::uint16_t original_id = 0;
  std::uint16_t error = 0;
  std::string other;
};

/// Absent: the message does not end with one. UNAVAILABLE: malformed message.
Result<std::optional<TsigRecord>> find_tsig(std::string_view message);

/// The wire form of a name, in lower case; INVALID_ARGUMENT where check_name refuses it.
Result<std::string> name_to_wire(std::string_view name);

}  // namespace k4t::dnsupdate
