#include "syntax.hpp"

#include <algorithm>

namespace k4t::haproxy {

std::string quote(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    // A strong quote cannot hold itself: close, write it escaped, open again.
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

bool is_writable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool is_plain(std::string_view text) {
  constexpr std::size_t limit_bytes = 128;
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !text.empty() && text.size() <= limit_bytes && text.front() != '.' &&
         text.find_first_not_of(allowed) == std::string_view::npos;
}

}  // namespace k4t::haproxy
