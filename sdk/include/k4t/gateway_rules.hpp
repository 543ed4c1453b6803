#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "k4t/gateway.hpp"

/// What every gateway state obeys, whatever the vendor: so that no driver has to write these rules again, and all
/// refuse the same states with the same words. Pure. Links: k4t::gateway_rules.

namespace k4t::gateway {

/// INVALID_ARGUMENT with the listener or backend and the remedy where the state is not one that can have the meaning of
/// gateway.hpp on every vendor: names of other characters than their types allow, hosts and paths that cannot be
/// compared exactly, endpoints that are no addresses, a backend that is missing or named twice, limits and times out of
/// range. What comes through holds no quote, blank, control character or other letter with a meaning in a configuration
/// file, but for paths, which may hold the sub-delimiters of RFC 3986 §2.2. A driver adds what its vendor cannot do.
Result<void> check_rules(const State& state);

/// True for an IPv4 or IPv6 address in the text that the system itself would print.
bool is_canonical_address(std::string_view address);

/// "ADDRESS:PORT", IPv6 in brackets (RFC 3986 §3.2.2). REQUIRES: is_canonical_address(address).
std::string socket_text(std::string_view address, std::uint16_t port);

/// A route's path without the slashes at its end: a prefix of whole segments is the same with and without. The root,
/// which takes everything, becomes "".
std::string_view without_final_slash(std::string_view path);

}  // namespace k4t::gateway
