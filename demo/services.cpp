#include "services.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <thread>

#include "http_message.hpp"
#include "upstream.hpp"
#include "websocket.hpp"

namespace demo {
namespace {

constexpr std::chrono::seconds kIdleTimeout{75};
constexpr std::chrono::seconds kHeadTimeout{10};
constexpr std::chrono::milliseconds kLastRequestTimeout{300};
constexpr std::size_t kHeadBytes = 16384;
constexpr std::size_t kBodyBytes = 1 << 20;
constexpr std::size_t kLineBytes = 65536;
constexpr unsigned kSlowLimit_ms = 60000;

std::string_view reason_of(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    default: return "Unknown";
  }
}

template <class Number>
std::optional<Number> to_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string parameter(const Request& request, const std::string& name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

Response hello() {
  const Identity me = identity();
  return {200, me.greeting + " from " + me.service + " " + me.instance + "\n", {}};
}

Response health_answer(const Request& request, HealthState& health) {
  if (request.method == "POST") {
    const std::string wish = parameter(request, "healthy");
    if (wish != "0" && wish != "1") return {400, "say ?healthy=0 or ?healthy=1\n", {}};
    health.declared_healthy = wish == "1";
    return {200, "noted\n", {}};
  }
  if (ending().begun()) return {503, "ending\n", {}};
  if (Clock::now() < health.healthy_from) return {503, "starting\n", {}};
  if (!health.declared_healthy) return {503, "unhealthy\n", {}};
  return {200, "healthy\n", {}};
}

Response env_answer(const std::string& name) {
  const char* value = name.empty() ? nullptr : ::getenv(name.c_str());
  if (value == nullptr) return {404, "not set\n", {}};
  return {200, value, {}};
}

Response slow_answer(const Request& request) {
  const auto wait_ms = to_number<unsigned>(parameter(request, "ms"));
  if (!wait_ms || *wait_ms > kSlowLimit_ms) return {400, "say ?ms=0 to ?ms=60000\n", {}};
  std::this_thread::sleep_for(std::chrono::milliseconds(*wait_ms));
  return hello();
}

Response call_answer(const Request& request) {
  const auto url = parse_url(parameter(request, "url"));
  if (!url) return {400, "say ?url=http://host:port/path\n", {}};
  const Called called = call_upstream(*url);
  if (const auto* reason = std::get_if<std::string>(&called)) return {502, *reason + "\n", {}};
  const auto& upstream = std::get<Response>(called);
  return {upstream.status == 200 ? 200 : 502, upstream.body, {{"X-Upstream-Status", std::to_string(upstream.status)}}};
}

Response headers_answer(const Request& request) {
  std::string text;
  for (const auto& [name, value] : request.headers) text.append(name).append(": ").append(value).append("\n");
  return {200, text, {}};
}

Response answer(const Request& request, HealthState& health) {
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (!reads && request.method != "POST") return {405, "GET, HEAD or POST\n", {}};
  if (request.path == "/") return hello();
  if (request.path == "/healthz") return health_answer(request, health);
  if (request.path == "/slow") return slow_answer(request);
  if (request.path == "/call") return call_answer(request);
  if (request.path == "/headers") return headers_answer(request);
  if (request.path.starts_with("/env/")) return env_answer(request.path.substr(5));
  return {404, "no such path\n", {}};
}

bool send(Connection& connection, const Response& response, bool keep_alive, bool with_body) {
  std::string text =
      "HTTP/1.1 " + std::to_string(response.status) + " " + std::string(reason_of(response.status)) +
      "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " + std::to_string(response.body.size()) +
      "\r\nX-Instance: " + header_safe(identity().instance) +
      "\r\nConnection: " + (keep_alive ? "keep-alive" : "close") + "\r\n";
  for (const auto& [name, value] : response.headers) text.append(name).append(": ").append(value).append("\r\n");
  text += "\r\n";
  if (with_body) text += response.body;
  return connection.write(text) && keep_alive;
}

/// Reads and drops the request's body. 0, or the status with which the connection has to end.
int skip_body(Connection& connection, const Request& request) {
  if (!request.header("transfer-encoding").empty()) return 411;
  const std::string length = request.header("content-length");
  if (length.empty()) return 0;
  const auto bytes = to_number<std::size_t>(length);
  if (!bytes) return 400;
  if (*bytes > kBodyBytes) return 413;
  return connection.read_exactly(*bytes, Clock::now() + kHeadTimeout) ? 0 : 400;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

void upgrade(Connection& connection, const Request& request) {
  const std::string key = request.header("sec-websocket-key");
  const bool asked = request.method == "GET" && lower(request.header("upgrade")) == "websocket" &&
                     lower(request.header("connection")).find("upgrade") != std::string::npos &&
                     request.header("sec-websocket-version") == "13" && key.size() == 24;
  if (!asked) return static_cast<void>(send(connection, {400, "a WebSocket (RFC 6455) lives here\n", {}}, false, true));
  const bool sent = connection.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Instance: " +
      header_safe(identity().instance) + "\r\nSec-WebSocket-Accept: " + websocket_accept(key) + "\r\n\r\n");
  if (sent) echo_websocket(connection);
}

/// Serves one request; false: the connection is over.
bool serve_request(Connection& connection, HealthState& health) {
  const auto head = connection.read_through("\r\n\r\n", kHeadBytes, Clock::now() + kHeadTimeout);
  if (!head) return send(connection, {400, "no complete request\n", {}}, false, true);
  const auto request = parse_head(*head);
  if (!request) return send(connection, {400, "not an HTTP/1.1 request\n", {}}, false, true);
  if (const int refused = skip_body(connection, *request); refused != 0) {
    return send(connection, {refused, "the body is not acceptable\n", {}}, false, true);
  }
  if (request->path == "/ws") return upgrade(connection, *request), false;
  const Response response = answer(*request, health);
  return send(connection, response, request->keep_alive && !ending().begun(), request->method != "HEAD");
}

}  // namespace

Identity identity() {
  char host[256] = "unknown";
  ::gethostname(host, sizeof host - 1);
  return {environment("GREETING", "hello"), environment("K4T_SERVICE", "demo"), environment("K4T_INSTANCE", host)};
}

void serve_http(Connection& connection, HealthState& health) {
  for (;;) {
    auto waited = connection.wait(kIdleTimeout, /*until_ending=*/true);
    // A client that kept its connection open may be sending a request at this moment.
    if (waited == Connection::Wait::ending) waited = connection.wait(kLastRequestTimeout, /*until_ending=*/false);
    if (waited != Connection::Wait::data || !serve_request(connection, health)) return;
  }
}

void serve_lines(Connection& connection) {
  if (!connection.write("hello from " + identity().instance + "\n")) return;
  for (;;) {
    if (connection.wait(std::chrono::hours(1), /*until_ending=*/true) != Connection::Wait::data) return;
    const auto line = connection.read_through("\n", kLineBytes, Clock::now() + kHeadTimeout);
    if (!line || !connection.write(*line)) return;
  }
}

}  // namespace demo
