#include "options.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>

namespace k4t::docker {
namespace {

constexpr std::string_view default_host = "unix:///var/run/docker.sock";
constexpr std::string_view unix_scheme = "unix://";
constexpr std::string_view tcp_scheme = "tcp://";

bool is_address(const std::string& text) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET, text.c_str(), &parsed) == 1 || ::inet_pton(AF_INET6, text.c_str(), &parsed) == 1;
}

Error unusable(const std::string& host, const std::string& why) {
  return Error{Status::invalid_argument, "options.host \"" + host + "\": " + why, {}};
}

/// "192.0.2.1:2375" or "[2001:db8::1]:2375".
Result<http::Endpoint> parse_tcp(const std::string& host) {
  const std::string rest = host.substr(tcp_scheme.size());
  const auto colon = rest.rfind(':');
  std::string address = rest.substr(0, colon);
  if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
    address = address.substr(1, address.size() - 2);
  }
  std::uint16_t port = 0;
  const char* end = rest.data() + rest.size();
  const auto read = std::from_chars(colon == std::string::npos ? end : rest.data() + colon + 1, end, port);
  if (read.ec != std::errc() || read.ptr != end || port == 0 || !is_address(address)) {
    return unusable(host, "expected tcp://ADDRESS:PORT with an IP address, e.g. \"tcp://192.0.2.1:2375\"");
  }
  http::Endpoint endpoint;
  endpoint.address = address;
  endpoint.port = port;
  return endpoint;
}

Result<http::Endpoint> parse_host(const std::string& host) {
  if (host.starts_with(tcp_scheme)) return parse_tcp(host);
  if (!host.starts_with(unix_scheme)) {
    return unusable(host,
                    "this version of the docker driver speaks to unix:// and tcp:// sockets only; bring a remote "
                    "engine's socket here, e.g. with \"ssh -L /run/node1.sock:/var/run/docker.sock node1\"");
  }
  http::Endpoint endpoint;
  endpoint.unix_path = host.substr(unix_scheme.size());
  if (!endpoint.unix_path.starts_with('/')) {
    return unusable(host, "expected an absolute path, e.g. \"" + std::string(default_host) + "\"");
  }
  return endpoint;
}

}  // namespace

Json options_schema() {
  return {{"type", "object"},
          {"additionalProperties", false},
          {"properties",
           {{"host",
             {{"type", "string"},
              {"default", default_host},
              {"description",
               "The Docker Engine's socket: unix:///PATH or tcp://ADDRESS:PORT. TCP is neither encrypted nor "
               "authenticated: "
               "only for networks where everybody may be root on the node."}}}}}};
}

Result<Options> parse_options(const OpenRequest& request) {
  Options options;
  const auto host = request.options.find("host");
  options.where = host == request.options.end() ? std::string(default_host) : host->get<std::string>();
  K4T_ASSIGN(options.engine, parse_host(options.where));
  if (!is_address(request.address)) {
    return Error{
        Status::invalid_argument, "the node's address \"" + request.address + "\" is not an IPv4 or IPv6 address", {}};
  }
  options.cluster = request.cluster;
  options.address = request.address;
  return options;
}

}  // namespace k4t::docker
