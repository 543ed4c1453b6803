#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/result.hpp"

/// How single values are written: text in, canonical value out. Pure. Every refusal is INVALID_ARGUMENT with a clause
/// that follows the quoted text ("'x' is …: CLAUSE"), or CONFLICT where the text is well formed but belongs to k4t.

namespace k4t::config {

inline constexpr std::size_t cluster_name_limit = 20;  ///< with the next one: an instance's name stays a DNS label
inline constexpr std::size_t service_name_limit = 30;
inline constexpr std::size_t machine_name_limit = 40;  ///< nodes, gateways, dns servers, witnesses
inline constexpr std::size_t port_name_limit = 15;     ///< RFC 6335 §5.1
inline constexpr std::size_t host_limit = 253;         ///< RFC 1035 §2.3.4, without the final dot
inline constexpr std::size_t domain_limit = 190;       ///< leaves room for "_<port>._tcp.<service>."
inline constexpr std::size_t path_limit = 255;
inline constexpr std::size_t txt_limit_bytes = 255;     ///< RFC 1035 §3.3
inline constexpr std::size_t text_limit_bytes = 16384;  ///< of any text

/// [a-z0-9-], beginning and ending with a letter or digit.
Result<std::string> parse_name(std::string_view text, std::size_t limit);

/// A name of at most 15 characters with a letter and without "--" (RFC 6335 §5.1).
Result<std::string> parse_port_name(std::string_view text);

/// A host or domain name by RFC 1035 and 1123, in lower case and without the final dot.
Result<std::string> parse_domain(std::string_view text, std::size_t limit = host_limit);

/// An IPv4 or IPv6 address of one machine in canonical text (RFC 5952).
Result<std::string> parse_address(std::string_view text);

/// A block of addresses in canonical text, see model::Subnet.
Result<std::string> parse_subnet(std::string_view text);

/// A path of "/"-separated segments of RFC 3986's pchar, without what vendors or shells read differently: no
/// percent-encoding, none of ; ' $, no empty, "." or ".." segment. A final "/" stays.
Result<std::string> parse_request_path(std::string_view text);

/// The same without the final "/": the prefix that a route takes.
Result<std::string> parse_route_path(std::string_view text);

/// "64MiB", "1.5GiB", "500MB": a number with at most 3 decimals and a binary or decimal unit.
Result<std::uint64_t> parse_memory_bytes(std::string_view text);
std::string show_memory(std::uint64_t bytes);

/// "500m", or cores: "0.5", "2".
Result<std::uint32_t> parse_cpu_millis(std::string_view text);
std::string show_cpu(std::uint32_t millis);

/// "250ms", "10s", "1m", "2h".
Result<std::uint64_t> parse_duration_ms(std::string_view text);
std::string show_duration_ms(std::uint64_t duration_ms);

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
};
/// "20000-29999", both included.
Result<PortRange> parse_port_range(std::string_view text);

/// "50%"
Result<std::uint32_t> parse_percent(std::string_view text);

/// A name of an environment variable (POSIX); "K4T_…" is k4t's own.
Result<std::string> parse_env_name(std::string_view text);

/// A label's key: [A-Za-z0-9] and inside also . _ - /, at most 63; "k4t.…" is k4t's own.
Result<std::string> parse_label_key(std::string_view text);

/// An image reference: [registry[:port]/]path[:tag][@digest].
Result<std::string> parse_image(std::string_view text);

/// USER or USER:GROUP, by name or number.
Result<std::string> parse_user(std::string_view text);

/// "local" or "ssh://[user@]host[:port]".
Result<std::string> parse_machine(std::string_view text);

/// The candidate that `text` is probably a misspelling of, by edit distance.
std::optional<std::string> nearest(std::string_view text, const std::vector<std::string>& candidates);

}  // namespace k4t::config
