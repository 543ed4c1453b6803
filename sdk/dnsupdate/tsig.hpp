#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "k4t/dnsupdate.hpp"

/// The TSIG record (RFC 8945), apart from how its message authentication code is made: shared secrets and GSS-API
/// (RFC 3645) sign the same bytes.

namespace k4t::dnsupdate {

/// Makes and checks message authentication codes under one key.
class MacScheme {
 public:
  virtual ~MacScheme() = default;
  virtual Result<std::string> make(std::string_view bytes) = 0;
  /// In constant time where the MAC is a secret's.
  virtual bool fits(std::string_view bytes, std::string_view mac) = 0;
};

/// Seconds that the clocks of both sides may differ.
inline constexpr std::uint16_t fudge_s = 300;

/// What differs between a shared secret and a key that both sides have just negotiated (RFC 3645).
struct TsigRules {
  /// The key is a security context: a server that does not know it has forgotten it, and another can be negotiated.
  /// Answers may also be signed as Samba does, which puts the request's MAC into the signed bytes without its length.
  bool negotiated = false;
  std::string how_to_grant;  ///< for a refusal that the server did not sign; may be empty
};

/// `key_name` and `algorithm` are names as in zone files. INVALID_ARGUMENT: they are none.
Result<std::unique_ptr<Authenticator>> make_tsig_authenticator(std::string_view key_name, std::string_view algorithm,
                                                               std::shared_ptr<MacScheme> scheme, TsigRules rules = {});

}  // namespace k4t::dnsupdate
