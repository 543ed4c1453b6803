#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "k4t/participant.hpp"

/// The register as its TXT record says it; pure.

namespace k4t::dnsparticipant {

/// "1 CLUSTER VERSION TXN WRITER", while a commit in several chunks is open
/// with " from=VERSION chunk=K" behind it. `from` is the version that was replaced, 0 for none; K counts the chunks
/// written since, so that every write changes the text.
struct RegisterText {
  Register at;
  std::optional<std::uint64_t> from;
  std::uint32_t chunk = 0;

  [[nodiscard]] bool open() const { return from.has_value(); }
  friend bool operator==(const RegisterText&, const RegisterText&) = default;
};
std::string format(const RegisterText& value);
/// INVALID_ARGUMENT: not the text of a register, so nobody of ours wrote it.
Result<RegisterText> parse_register(std::string_view text);
/// INVALID_ARGUMENT: a register that has no text of this form or of at most 255 bytes.
Result<void> check_register(const Register& value);

}  // namespace k4t::dnsparticipant
