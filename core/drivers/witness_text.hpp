#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "model/state.hpp"

/// A witness's register as the one TXT string of at most 255 bytes that a DNS server holds. Pure.
///
///     1 CLUSTER PROMISED VOTE STATE HOLDER
///
/// PROMISED is an epoch, COUNTER.RUN, RUN of 32 hex digits. VOTE is EPOCH/VERSION/TXN, or "-" where it never voted.
/// STATE is "open" or "closed", and says whether PROMISED's claim is. HOLDER is that claimant's text, up to the end.
/// The id is not in it: it is in the record's name.

namespace k4t::drivers {

/// What is left of a holder's text: the longest of the rest leaves so many bytes.
inline constexpr std::size_t holder_limit_bytes = 64;

/// A holder as it fits: printable ASCII, blanks at its end left out. The host's name, which comes first and which the
/// courtesy rule compares, is cut only beyond 64 bytes.
std::string brief_holder(std::string_view holder);

/// The text; the holder is made brief. INVALID_ARGUMENT: the cluster's name, a run or a txn has no such form.
Result<std::string> text_of(const model::WitnessRegister& value);

/// FATAL: not the text of a register, so no witness wrote it. The id is `id`.
Result<model::WitnessRegister> parse_witness_text(std::string_view text, const std::string& id);

}  // namespace k4t::drivers
