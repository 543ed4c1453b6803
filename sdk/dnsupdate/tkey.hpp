#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "k4t/result.hpp"

/// TKEY messages (RFC 2930) of mode 3, GSS-API negotiation (RFC 3645); pure.

namespace k4t::dnsupdate {

struct TkeyQuery {
  std::uint16_t id = 0;
  std::string key_name;     ///< text; names the context from then on
  std::string token;        ///< what GSS-API wants the server to have
  std::uint64_t now_s = 0;  ///< seconds since 1970
};
/// INVALID_ARGUMENT: a name that is none, or a token that no message can carry.
Result<std::string> encode_tkey(const TkeyQuery& query);

/// The server's token out of its answer to `query`; may be empty. INVALID_ARGUMENT: the server takes no such
/// negotiation. UNAVAILABLE: it refuses this one, or the answer is malformed or for somebody else.
Result<std::string> decode_tkey(std::string_view answer, const TkeyQuery& query);

}  // namespace k4t::dnsupdate
