#include "http_message.hpp"

#include <algorithm>
#include <array>
#include <boost/uuid/detail/sha1.hpp>
#include <cctype>
#include <charconv>
#include <cstdint>

namespace demo {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  const auto from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

/// Cuts `text` at the first `mark` and returns what is before it.
std::string_view take_until(std::string_view& text, std::string_view mark) {
  const auto at = text.find(mark);
  const auto taken = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + mark.size());
  return taken;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string::npos;
  });
}

bool parse_target(std::string_view target, Request& request) {
  if (!target.starts_with('/')) return false;
  std::string_view rest = target;
  const auto path = decode_percent(take_until(rest, "?"), /*plus_is_space=*/false);
  if (!path) return false;
  request.path = *path;
  while (!rest.empty()) {
    std::string_view pair = take_until(rest, "&");
    const auto name = decode_percent(take_until(pair, "="), /*plus_is_space=*/true);
    const auto value = decode_percent(pair, /*plus_is_space=*/true);
    if (!name || !value) return false;
    request.query[*name] = *value;
  }
  return true;
}

std::string base64(const std::string& bytes) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8 | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0u);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      text += at + i <= bytes.size() ? kDigits[group >> (18 - 6 * i) & 63] : '=';
    }
  }
  return text;
}

}  // namespace

std::string Request::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

std::optional<std::string> decode_percent(std::string_view text, bool plus_is_space) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += plus_is_space && text[at] == '+' ? ' ' : text[at];
      continue;
    }
    unsigned value = 0;
    if (at + 2 >= text.size()) return std::nullopt;
    const auto [end, error] = std::from_chars(&text[at + 1], &text[at + 1] + 2, value, 16);
    if (error != std::errc{} || end != &text[at + 1] + 2) return std::nullopt;
    out += static_cast<char>(value);
    at += 2;
  }
  return out;
}

std::string header_safe(std::string_view text) {
  std::string out;
  std::copy_if(text.begin(), text.end(), std::back_inserter(out),
               [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
  return out;
}

std::optional<Request> parse_head(std::string_view head) {
  Request request;
  std::string_view line = trimmed(take_until(head, "\n"));
  request.method = std::string(take_until(line, " "));
  const std::string_view target = take_until(line, " ");
  if (!is_token(request.method) || !(line == "HTTP/1.1" || line == "HTTP/1.0")) return std::nullopt;
  if (!parse_target(target, request)) return std::nullopt;
  while (!head.empty()) {
    std::string_view field = take_until(head, "\n");
    if (trimmed(field).empty()) break;
    const std::string_view name = take_until(field, ":");
    if (!is_token(name)) return std::nullopt;
    request.headers.emplace_back(lower(name), std::string(trimmed(field)));
  }
  const std::string wish = lower(request.header("connection"));
  request.keep_alive = line == "HTTP/1.1" ? wish.find("close") == std::string::npos : wish == "keep-alive";
  return request;
}

std::optional<Url> parse_url(std::string_view text) {
  if (!text.starts_with("http://")) return std::nullopt;
  text.remove_prefix(7);
  Url url;
  const auto slash = std::min(text.find('/'), text.size());
  std::string_view authority = text.substr(0, slash);
  if (slash < text.size()) url.target = std::string(text.substr(slash));
  if (authority.starts_with('[')) {
    authority.remove_prefix(1);
    url.host = std::string(take_until(authority, "]"));
    if (!authority.empty() && !authority.starts_with(':')) return std::nullopt;
    if (!authority.empty()) authority.remove_prefix(1);
  } else {
    url.host = std::string(take_until(authority, ":"));
  }
  if (!authority.empty()) url.port = std::string(authority);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(url.port.data(), url.port.data() + url.port.size(), port);
  const bool clean = std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c != 0x7f; });
  if (error != std::errc{} || *end != '\0' || port == 0 || url.host.empty() || !clean) return std::nullopt;
  return url;
}

std::optional<Response> parse_response(std::string_view text) {
  Response response;
  std::string_view line = take_until(text, "\n");
  if (!line.starts_with("HTTP/1.")) return std::nullopt;
  take_until(line, " ");
  if (line.size() < 3) return std::nullopt;
  const auto [end, error] = std::from_chars(line.data(), line.data() + 3, response.status);
  if (error != std::errc{} || end != line.data() + 3) return std::nullopt;
  while (!text.empty()) {
    const std::string_view field = trimmed(take_until(text, "\n"));
    if (field.empty()) {
      response.body = std::string(text);
      return response;
    }
  }
  return std::nullopt;
}

std::string websocket_accept(std::string_view key) {
  boost::uuids::detail::sha1 hash;
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  hash.process_bytes(text.data(), text.size());
  boost::uuids::detail::sha1::digest_type words;
  hash.get_digest(words);
  std::string bytes;
  for (const std::uint32_t word : words) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(word >> shift & 0xff);
  }
  return base64(bytes);
}

}  // namespace demo
