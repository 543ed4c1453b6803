#include "register_text.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "k4t/digest.hpp"

namespace k4t::nginx {
namespace {

constexpr std::string_view line_begin = "# k4t 1 ";
constexpr std::string_view line_digest = " sha256=";
constexpr std::size_t part_limit_bytes = 96;

bool is_part(std::string_view text) {
  return !text.empty() && text.size() <= part_limit_bytes && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                  c == '-';
         });
}

bool is_digest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto blank = text.find(' ');
    parts.push_back(text.substr(0, blank));
    if (blank == std::string_view::npos) return parts;
    text.remove_prefix(blank + 1);
  }
}

Error bad_part(std::string_view what) {
  return {Status::invalid_argument,
          "the register's " + std::string(what) + " must be letters, digits, '.', '_' and '-', not beginning with '.'",
          {}};
}

}  // namespace

std::string to_text(const Register& value) {
  return value.cluster + " " + std::to_string(value.version) + " " + value.txn + " " + value.writer;
}

std::optional<Register> register_from_text(std::string_view text) {
  const auto parts = split(text);
  if (parts.size() != 4) return {};
  Register value{std::string(parts[0]), 0, std::string(parts[2]), std::string(parts[3])};
  const auto* end = parts[1].data() + parts[1].size();
  const auto [stop, error] = std::from_chars(parts[1].data(), end, value.version);
  if (error != std::errc{} || stop != end || !check_register(value)) return {};
  return value;
}

Result<void> check_register(const Register& value) {
  if (!is_part(value.cluster)) return bad_part("cluster");
  if (!is_part(value.writer)) return bad_part("writer");
  return check_txn(value.txn);
}

Result<void> check_txn(std::string_view txn) {
  if (!is_txn(txn)) return Error{Status::invalid_argument, "a txn is 32 lower-case hex digits", {}};
  return {};
}

std::string first_line(const Register& value, std::string_view rest) {
  return std::string(line_begin) + to_text(value) + std::string(line_digest) + sha256_hex(rest) + "\n";
}

std::optional<FirstLine> parse_first_line(std::string_view line) {
  if (!line.starts_with(line_begin)) return {};
  line.remove_prefix(line_begin.size());
  const auto digest = line.rfind(line_digest);
  if (digest == std::string_view::npos) return {};
  const auto at = register_from_text(line.substr(0, digest));
  const auto hex = line.substr(digest + line_digest.size());
  if (!at || !is_digest(hex)) return {};
  return FirstLine{*at, std::string(hex)};
}

}  // namespace k4t::nginx
