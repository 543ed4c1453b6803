#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/dnsupdate.hpp"

/// Messages between our types and their bytes.

namespace k4t::dnsupdate {

inline constexpr std::uint16_t opcode_query = 0;
inline constexpr std::uint16_t opcode_update = 5;
inline constexpr std::uint16_t type_axfr = 252;

/// RFC 1035 §4.1.1, RFC 2136 §2.2.
enum class Rcode : std::uint8_t {
  no_error = 0,
  format_error = 1,
  server_failure = 2,
  name_error = 3,
  not_implemented = 4,
  refused = 5,
  name_exists = 6,
  rrset_exists = 7,
  rrset_missing = 8,
  not_auth = 9,
  not_zone = 10,
};

/// INVALID_ARGUMENT: a name or a number of bytes that no message can carry.
Result<std::string> encode_update(const Update& update, std::uint16_t id);
Result<std::string> encode_query(std::string_view name, std::uint16_t type, std::uint16_t id);

struct Header {
  std::uint16_t id = 0;
  std::uint16_t opcode = 0;
  bool answer = false;
  bool authoritative = false;
  bool truncated = false;
  std::uint8_t rcode = 0;
};

/// REQUIRES: message.size() >= header_bytes
Header header_of(std::string_view message);

struct Sections {
  std::vector<Record> answer;
  std::vector<Record> authority;
};

/// UNAVAILABLE: malformed, or the question is another one. AXFR's later messages may have no question. What follows the
/// authority section is the signature's business.
Result<Sections> decode_answer(std::string_view message, std::string_view name, std::uint16_t type);

/// The code's name, e.g. "SERVFAIL".
std::string rcode_text(Rcode rcode);
/// Why an update was not done; `authenticator` (or nullptr) knows how to be granted it. REQUIRES: rcode !=
/// Rcode::no_error
Error update_error(Rcode rcode, const std::string& where, std::string_view zone,
                   const Authenticator* authenticator = nullptr);
/// Why a query was not answered. REQUIRES: rcode is neither no_error nor name_error
Error query_error(Rcode rcode, const std::string& where, std::string_view name);

}  // namespace k4t::dnsupdate
