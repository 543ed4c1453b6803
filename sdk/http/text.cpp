#include <algorithm>

#include "connection.hpp"

namespace k4t::http {
namespace {

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// RFC 9110 §5.6.2
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alnum(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool is_visible(char c) { return c > ' ' && c < '\x7f'; }
bool breaks_header(char c) { return c == '\r' || c == '\n' || c == '\0'; }

}  // namespace

Result<void> check(const Request& request) {
  if (!is_token(request.method)) return Error{Status::invalid_argument, "not an HTTP method", {}};
  if (request.target.empty() || request.target.front() != '/' ||
      !std::all_of(request.target.begin(), request.target.end(), is_visible)) {
    return Error{Status::invalid_argument, "an HTTP path must begin with '/' and be percent-encoded", {}};
  }
  for (const auto& [name, value] : request.headers) {
    if (!is_token(name) || std::any_of(value.begin(), value.end(), breaks_header)) {
      return Error{Status::invalid_argument, "an HTTP header's name or value has characters that cannot be sent", {}};
    }
  }
  return {};
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (is_alnum(c) || std::string_view("-._~").find(c) != std::string_view::npos) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += digits[byte >> 4U];
    encoded += digits[byte & 15U];
  }
  return encoded;
}

}  // namespace k4t::http
