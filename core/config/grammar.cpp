#include "config/grammar.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "model/subnet.hpp"

namespace k4t::config {
namespace {

Error bad(std::string cause) { return Error{Status::invalid_argument, std::move(cause), {}}; }
Error reserved(std::string cause) { return Error{Status::conflict, std::move(cause), {}}; }

// Not <cctype>: what a configuration means must not depend on the locale.
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_alnum(char c) { return is_digit(c) || is_lower(c) || is_upper(c); }
constexpr char to_lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

template <class Predicate>
bool all_of(std::string_view text, Predicate predicate) {
  return std::all_of(text.begin(), text.end(), predicate);
}

bool in_set(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

std::string longer_than(std::size_t limit) { return "longer than " + std::to_string(limit) + " characters"; }

/// The whole text as a decimal number of at most 12 digits without sign.
template <class Number>
std::optional<Number> digits(std::string_view text) {
  Number number = 0;
  const char* end = text.data() + text.size();
  if (text.empty() || text.size() > 12 || !all_of(text, is_digit)) return std::nullopt;
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

/// A decimal with at most three decimals, in thousandths; below 10^12, so that a unit's factor cannot overflow unseen.
std::optional<std::uint64_t> thousandths(std::string_view text) {
  const auto dot = text.find('.');
  const auto whole = digits<std::uint64_t>(text.substr(0, dot));
  if (!whole || *whole >= 1'000'000'000'000) return std::nullopt;
  if (dot == std::string_view::npos) return *whole * 1000;
  std::string decimals(text.substr(dot + 1));
  if (decimals.empty() || decimals.size() > 3) return std::nullopt;
  decimals.resize(3, '0');
  const auto fraction = digits<std::uint64_t>(decimals);
  if (!fraction) return std::nullopt;
  return *whole * 1000 + *fraction;
}

/// Splits "1.5GiB" into "1.5" and "GiB".
std::pair<std::string_view, std::string_view> split_unit(std::string_view text) {
  const auto unit = std::find_if_not(text.begin(), text.end(), [](char c) { return is_digit(c) || c == '.'; });
  const auto at = static_cast<std::size_t>(unit - text.begin());
  return {text.substr(0, at), text.substr(at)};
}

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

template <std::size_t N>
std::optional<std::uint64_t> factor_of(const std::array<Unit, N>& units, std::string_view name) {
  const auto found = std::find_if(units.begin(), units.end(), [name](const Unit& unit) { return unit.name == name; });
  if (found == units.end()) return std::nullopt;
  return found->factor;
}

/// The number with the largest unit that divides it; `units` from the largest down to a factor of 1.
template <std::size_t N>
std::string show_with(const std::array<Unit, N>& units, std::uint64_t number) {
  for (const auto& unit : units) {
    if (number % unit.factor == 0 && (number != 0 || unit.name == "s")) {
      return std::to_string(number / unit.factor) + std::string(unit.name);
    }
  }
  return std::to_string(number) + std::string(units.back().name);
}

constexpr std::uint64_t kibi = 1024;
constexpr std::array binary_units = {Unit{"TiB", kibi* kibi* kibi* kibi}, Unit{"GiB", kibi* kibi* kibi},
                                     Unit{"MiB", kibi* kibi}, Unit{"KiB", kibi}, Unit{"B", 1}};
constexpr std::array decimal_units = {Unit{"TB", 1'000'000'000'000}, Unit{"GB", 1'000'000'000}, Unit{"MB", 1'000'000},
                                      Unit{"kB", 1'000}};
constexpr std::array duration_units = {Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1'000}, Unit{"ms", 1}};

std::optional<Error> label_fault(std::string_view label) {
  if (label.empty()) return bad("it has an empty label");
  if (label.size() > 63) return bad("a label is " + longer_than(63));
  if (label.starts_with("_k4t")) return reserved("names that begin with '_k4t' are k4t's own");
  if (!all_of(label, [](char c) { return is_alnum(c) || c == '-'; })) {
    return bad("only letters, digits, '-' and '.' are allowed");
  }
  if (label.starts_with('-') || label.ends_with('-')) return bad("a label begins or ends with '-'");
  return std::nullopt;
}

bool is_unspecified(std::string_view canonical) { return canonical == "0.0.0.0" || canonical == "::"; }

Result<std::string> parse_ipv6(const std::string& text) {
  in6_addr address{};
  if (::inet_pton(AF_INET6, text.c_str(), &address) != 1) return bad("not an IPv4 or IPv6 address");
  if (IN6_IS_ADDR_MULTICAST(&address)) return bad("a multicast address belongs to no single machine");
  if (IN6_IS_ADDR_V4MAPPED(&address)) return bad("an IPv4 address in IPv6 clothing");
  if (IN6_IS_ADDR_LINKLOCAL(&address)) return bad("a link-local address means something else on every link");
  std::array<char, INET6_ADDRSTRLEN> canonical{};
  ::inet_ntop(AF_INET6, &address, canonical.data(), canonical.size());
  return std::string(canonical.data());
}

std::optional<Error> segment_fault(std::string_view segment) {
  if (segment == "." || segment == "..") return bad("'.' and '..' segments never match");
  for (const char c : segment) {
    if (c == '%') return bad("percent-encoding is not allowed, because gateways compare it in different ways");
    if (!is_alnum(c) && !in_set(c, "-._~!&()*+,=:@")) {
      return bad("only letters, digits and - . _ ~ ! & ( ) * + , = : @ are allowed between slashes");
    }
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> parse_name(std::string_view text, std::size_t limit) {
  if (text.empty()) return bad("it is empty");
  if (text.starts_with("_k4t")) return reserved("names that begin with '_k4t' are k4t's own");
  if (text.size() > limit) return bad(longer_than(limit));
  if (!all_of(text, [](char c) { return is_lower(c) || is_digit(c) || c == '-'; })) {
    return bad("only lower-case letters, digits and '-' are allowed");
  }
  if (text.starts_with('-') || text.ends_with('-')) return bad("it begins or ends with '-'");
  return std::string(text);
}

Result<std::string> parse_port_name(std::string_view text) {
  K4T_ASSIGN(const std::string name, parse_name(text, port_name_limit));
  if (std::none_of(name.begin(), name.end(), is_lower)) return bad("it has no letter");
  if (name.find("--") != std::string::npos) return bad("it has '--'");
  return name;
}

Result<std::string> parse_domain(std::string_view text, std::size_t limit) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty()) return bad("it is empty");
  if (text.size() > limit) return bad(longer_than(limit));
  for (std::size_t from = 0; from <= text.size();) {
    const auto dot = std::min(text.find('.', from), text.size());
    if (const auto fault = label_fault(text.substr(from, dot - from))) return *fault;
    from = dot + 1;
  }
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(), to_lower);
  return name;
}

Result<std::string> parse_address(std::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return bad("not an IPv4 or IPv6 address");
  in_addr address{};
  std::string canonical = terminated;
  if (::inet_pton(AF_INET, terminated.c_str(), &address) == 1) {
    const std::uint32_t number = ntohl(address.s_addr);
    if ((number >> 28U) == 0xeU) return bad("a multicast address belongs to no single machine");
    if (number == 0xffffffffU) return bad("the broadcast address belongs to no single machine");
  } else {
    K4T_ASSIGN(canonical, parse_ipv6(terminated));
  }
  if (is_unspecified(canonical)) return bad("the unspecified address belongs to no single machine");
  return canonical;
}

Result<std::string> parse_subnet(std::string_view text) {
  K4T_ASSIGN(const auto subnet, model::Subnet::parse(text));
  return subnet.text();
}

Result<std::string> parse_request_path(std::string_view text) {
  if (!text.starts_with('/')) return bad("it does not begin with '/'");
  if (text.size() > path_limit) return bad(longer_than(path_limit));
  if (text.find("//") != std::string_view::npos) return bad("it has an empty segment");
  for (std::size_t from = 1; from < text.size();) {
    const auto slash = std::min(text.find('/', from), text.size());
    if (const auto fault = segment_fault(text.substr(from, slash - from))) return *fault;
    from = slash + 1;
  }
  return std::string(text);
}

Result<std::string> parse_route_path(std::string_view text) {
  K4T_ASSIGN(std::string path, parse_request_path(text));
  if (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

Result<std::uint64_t> parse_memory_bytes(std::string_view text) {
  const auto [number, unit] = split_unit(text);
  const auto amount = thousandths(number);
  if (!amount) return bad("it is not a number, with at most 3 decimals, and a unit");
  if (unit.empty()) return bad("it has no unit");
  auto factor = factor_of(binary_units, unit);
  if (!factor) factor = factor_of(decimal_units, unit);
  if (!factor) return bad("its unit is not one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB");
  constexpr std::uint64_t limit_bytes = std::uint64_t{1} << 50U;
  // Divided before it is multiplied: the comparison itself must not overflow.
  if (*amount / 1000 > limit_bytes / *factor) return bad("more than 1024 TiB");
  return *amount / 1000 * *factor + *amount % 1000 * *factor / 1000;
}

std::string show_memory(std::uint64_t bytes) { return show_with(binary_units, bytes); }

Result<std::uint32_t> parse_cpu_millis(std::string_view text) {
  const bool millis = text.ends_with('m');
  const auto number = millis ? digits<std::uint64_t>(text.substr(0, text.size() - 1)) : thousandths(text);
  if (!number) return bad("it is neither cores with at most 3 decimals nor thousandths such as 500m");
  if (*number == 0) return bad("it is zero");
  if (*number > 1'024'000) return bad("more than 1024 cores");
  return static_cast<std::uint32_t>(*number);
}

std::string show_cpu(std::uint32_t millis) { return std::to_string(millis) + "m"; }

Result<std::uint64_t> parse_duration_ms(std::string_view text) {
  const auto [number, unit] = split_unit(text);
  const auto amount = digits<std::uint32_t>(number);
  if (!amount) return bad("it is not a whole number with a unit");
  if (unit.empty()) return bad("it has no unit");
  const auto factor = factor_of(duration_units, unit);
  if (!factor) return bad("its unit is not one of ms, s, m, h");
  return *amount * *factor;
}

std::string show_duration_ms(std::uint64_t duration_ms) { return show_with(duration_units, duration_ms); }

Result<PortRange> parse_port_range(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return bad("it is not FIRST-LAST");
  const auto first = digits<std::uint16_t>(text.substr(0, dash));
  const auto last = digits<std::uint16_t>(text.substr(dash + 1));
  if (!first || !last || *first == 0 || *last == 0) return bad("ports are whole numbers from 1 to 65535");
  if (*first > *last) return bad("the first port is greater than the last");
  return PortRange{*first, *last};
}

Result<std::uint32_t> parse_percent(std::string_view text) {
  if (!text.ends_with('%')) return bad("it does not end with '%'");
  const auto number = digits<std::uint32_t>(text.substr(0, text.size() - 1));
  if (!number || *number > 100) return bad("percentages are whole numbers from 0 to 100");
  return *number;
}

Result<std::string> parse_env_name(std::string_view text) {
  if (text.empty()) return bad("it is empty");
  if (text.size() > 255) return bad(longer_than(255));
  if (is_digit(text.front())) return bad("it begins with a digit");
  if (!all_of(text, [](char c) { return is_alnum(c) || c == '_'; })) {
    return bad("only letters, digits and '_' are allowed");
  }
  if (text.starts_with("K4T_")) return reserved("variables that begin with 'K4T_' are k4t's own");
  return std::string(text);
}

Result<std::string> parse_label_key(std::string_view text) {
  if (text.empty()) return bad("it is empty");
  if (text.size() > 63) return bad(longer_than(63));
  if (text.starts_with("k4t.") || text.starts_with("_k4t"))
    return reserved("labels that begin with 'k4t.' are k4t's own");
  if (!all_of(text, [](char c) { return is_alnum(c) || in_set(c, "._-/"); })) {
    return bad("only letters, digits and . _ - / are allowed");
  }
  if (!is_alnum(text.front()) || !is_alnum(text.back())) return bad("it does not begin and end with a letter or digit");
  return std::string(text);
}

Result<std::string> parse_image(std::string_view text) {
  if (text.empty()) return bad("it is empty");
  if (text.size() > 255) return bad(longer_than(255));
  if (!all_of(text, [](char c) { return is_alnum(c) || in_set(c, "._-/:@+"); })) {
    return bad("only letters, digits and . _ - / : @ + are allowed");
  }
  if (!is_alnum(text.front()) || !is_alnum(text.back())) return bad("it does not begin and end with a letter or digit");
  if (text.find("//") != std::string_view::npos || text.find("::") != std::string_view::npos) {
    return bad("it has an empty part");
  }
  return std::string(text);
}

Result<std::string> parse_user(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view user = text.substr(0, colon);
  const std::string_view group = colon == std::string_view::npos ? "0" : text.substr(colon + 1);
  const auto fits = [](std::string_view part) {
    return !part.empty() && part.size() <= 32 && part.front() != '-' &&
           all_of(part, [](char c) { return is_alnum(c) || in_set(c, "._-"); });
  };
  if (!fits(user) || !fits(group)) return bad("it is not USER or USER:GROUP, each a name or a number");
  return std::string(text);
}

Result<std::string> parse_machine(std::string_view text) {
  if (text == "local") return std::string(text);
  constexpr std::string_view scheme = "ssh://";
  if (!text.starts_with(scheme)) return bad("it is neither local nor ssh://[user@]host[:port]");
  std::string_view rest = text.substr(scheme.size());
  if (const auto at = rest.find('@'); at != std::string_view::npos) {
    const std::string_view user = rest.substr(0, at);
    if (user.find(':') != std::string_view::npos) return bad("a password or group has no place in it");
    K4T_TRY(parse_user(user));
    rest = rest.substr(at + 1);
  }
  const bool bracketed = rest.starts_with('[');
  const auto host_end = bracketed ? rest.find(']') : rest.find(':');
  if (bracketed && host_end == std::string_view::npos) return bad("a ']' is missing");
  const std::string_view host = rest.substr(bracketed ? 1 : 0, bracketed ? host_end - 1 : host_end);
  if (!parse_address(host).ok()) K4T_TRY(parse_domain(host));
  std::string_view tail = host_end == std::string_view::npos ? "" : rest.substr(host_end + (bracketed ? 1 : 0));
  if (tail.empty()) return std::string(text);
  const auto port = digits<std::uint16_t>(tail.substr(1));
  if (tail.front() != ':' || !port || *port == 0) return bad("its port is not a whole number from 1 to 65535");
  return std::string(text);
}

namespace {

/// Edits of one character, and swaps of two neighbours, that make `b` of `a` (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, substituted});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::optional<std::string> nearest(std::string_view text, const std::vector<std::string>& candidates) {
  std::optional<std::string> best;
  // A third of the characters may differ: "replica" is "replicas", "foo" is nothing.
  std::size_t best_distance = std::max<std::size_t>(1, text.size() / 3) + 1;
  if (text.size() > 64) return best;
  for (const auto& candidate : candidates) {
    const std::size_t distance = edit_distance(text, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace k4t::config
