#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Just enough of HTTP/1.1 (RFC 9112) for the demo application. Pure.

namespace demo {

struct Request {
  std::string method;
  std::string path;                                          ///< decoded, without the query
  std::map<std::string, std::string> query;                  ///< decoded
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  bool keep_alive = true;

  /// A header's value, empty where absent.
  [[nodiscard]] std::string header(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// The request's head, from its first line through the empty line; absent where it is not HTTP/1.x.
std::optional<Request> parse_head(std::string_view head);

/// "%41+b" → "A b"; absent where an escape is malformed.
std::optional<std::string> decode_percent(std::string_view text, bool plus_is_space);

/// A header's value without what would end it (control characters).
std::string header_safe(std::string_view text);

/// `http://host[:port][/path]`, the only form that /call takes.
struct Url {
  std::string host;
  std::string port = "80";
  std::string target = "/";
};
std::optional<Url> parse_url(std::string_view text);

/// Status and body of a response that ended with its connection; absent where it is not one.
std::optional<Response> parse_response(std::string_view text);

/// The answer to a WebSocket's key (RFC 6455 §4.2.2).
std::string websocket_accept(std::string_view key);

}  // namespace demo
