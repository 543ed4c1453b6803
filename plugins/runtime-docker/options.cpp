#include "options.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>

#include "k4t/options.hpp"
#include "k4t/ssh.hpp"
#include "k4t/transport.hpp"

namespace k4t::docker {
namespace {

constexpr std::string_view default_socket = "/var/run/docker.sock";
constexpr std::string_view unix_scheme = "unix://";
constexpr std::string_view tcp_scheme = "tcp://";
constexpr std::string_view ssh_scheme = "ssh://";

/// `options.tls` as it is written.
struct TlsFiles {
  std::string ca;
  std::string cert;
  std::string key;
  std::string server_name;
};
K4T_JSON(TlsFiles, ca, cert, key, server_name)

/// `options` as they are written.
struct Written {
  std::string host = std::string(unix_scheme) + std::string(default_socket);
  std::string socket;
  transport::SshOptions ssh;
  TlsFiles tls;
  std::vector<Login> registries;
  std::string network;
  std::uint16_t share_port = 0;
};
K4T_JSON(Written, host, socket, ssh, tls, registries, network, share_port)

bool is_address(const std::string& text) {
  in6_addr parsed{};
  return ::inet_pton(AF_INET, text.c_str(), &parsed) == 1 || ::inet_pton(AF_INET6, text.c_str(), &parsed) == 1;
}

/// Whether what is sent to the address stays on this machine.
bool is_loopback(const std::string& address) {
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24U == 127;
  if (::inet_pton(AF_INET6, address.c_str(), &v6) != 1) return false;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

Error invalid(std::string message) { return Error{Status::invalid_argument, std::move(message), {}}; }

Error unusable(const std::string& host, const std::string& why) {
  return invalid("options.host \"" + host + "\": " + why);
}

/// "192.0.2.1:2376" or "[2001:db8::1]:2376".
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
    return unusable(host, "expected tcp://ADDRESS:PORT with an IP address, e.g. \"tcp://192.0.2.1:2376\"");
  }
  http::Endpoint endpoint;
  endpoint.address = address;
  endpoint.port = port;
  return endpoint;
}

Result<http::Endpoint> parse_unix(const std::string& host) {
  http::Endpoint endpoint;
  endpoint.unix_path = host.substr(unix_scheme.size());
  if (!endpoint.unix_path.starts_with('/')) {
    return unusable(host, "expected an absolute path, e.g. \"unix:///var/run/docker.sock\"");
  }
  return endpoint;
}

Result<http::Endpoint> parse_ssh(const Written& written) {
  auto host = transport::open_host(written.host, written.ssh);
  if (!host) return unusable(written.host, host.error().message);
  http::Endpoint endpoint;
  endpoint.host = *std::move(host);
  endpoint.unix_path = written.socket.empty() ? std::string(default_socket) : written.socket;
  if (!endpoint.unix_path.starts_with('/')) {
    return invalid("options.socket \"" + endpoint.unix_path + "\": expected an absolute path on the node");
  }
  return endpoint;
}

Result<http::Endpoint> parse_host(const Written& written) {
  if (written.host.starts_with(tcp_scheme)) return parse_tcp(written.host);
  if (written.host.starts_with(unix_scheme)) return parse_unix(written.host);
  if (written.host.starts_with(ssh_scheme)) return parse_ssh(written);
  return unusable(written.host, "expected unix:///PATH, ssh://[USER@]HOST[:PORT] or tcp://ADDRESS:PORT");
}

/// An option that nothing looks at is a misunderstanding, with `tls` a dangerous one.
Result<void> check_fit(const Written& written, const Json& options) {
  const auto misplaced = [&](const char* name, std::string_view scheme) {
    return options.contains(name) && !written.host.starts_with(scheme);
  };
  if (misplaced("tls", tcp_scheme)) return unusable(written.host, "options.tls is for tcp:// only");
  if (misplaced("share_port", ssh_scheme)) return unusable(written.host, "options.share_port is for ssh:// only");
  if (misplaced("ssh", ssh_scheme)) return unusable(written.host, "options.ssh is for ssh:// only");
  if (misplaced("socket", ssh_scheme)) {
    return unusable(written.host, "options.socket is for ssh:// only; write unix:///PATH for a socket of this machine");
  }
  return check_logins(written.registries);
}

Json tls_schema() {
  return option::table(
      "TLS for tcp://, as dockerd --tlsverify speaks it; the engine's certificate is always verified",
      {{"ca", option::file("The authority that made the engine's certificate (PEM)")},
       {"cert", option::file("What k4t shows the engine (PEM)")},
       {"key", option::file("Its private key (PEM, not encrypted), closed to group and others")},
       {"server_name", option::text("What the engine's certificate is for, if not the address in host")}},
      {"ca", "cert", "key"});
}

}  // namespace

Json options_schema() {
  const Written defaults;
  Json network = option::text(
      "With the node's 'subnet': the engine's network whose addresses these are (bridge, ipvlan or macvlan)");
  network["pattern"] = "^[a-zA-Z0-9][a-zA-Z0-9_.-]*$";
  return option::schema(
      {{"host",
        option::text("The Docker Engine: unix:///PATH, ssh://[USER@]HOST[:PORT] or tcp://ADDRESS:PORT. TCP without tls "
                     "is neither encrypted nor authenticated: only for networks where everybody may be root on the "
                     "node.",
                     defaults.host)},
       {"socket", option::path("Over ssh://, the engine's socket on the node", default_socket)},
       {"ssh", transport::ssh_options_schema()},
       {"tls", tls_schema()},
       {"registries", registries_schema()},
       {"share_port", option::port("Over ssh://, the TCP port at which other nodes get images from this one while k4t "
                                   "brings them; else any free one from 61000 up")},
       {"network", std::move(network)}});
}

Result<Options> parse_options(const OpenRequest& request) {
  K4T_ASSIGN(const auto written, decode<Written>(request.options));
  Options options;
  options.where = written.host;
  K4T_ASSIGN(options.engine, parse_host(written));
  K4T_TRY(check_fit(written, request.options));
  if (request.options.contains("tls")) {
    const TlsFiles& files = written.tls;
    options.engine.tls = http::Tls{files.ca, files.cert, files.key, files.server_name};
    const auto usable = http::check_tls(*options.engine.tls);
    if (!usable) return usable.error().within("options.tls");
  }
  if (!is_address(request.address)) {
    return invalid("the node's address \"" + request.address + "\" is not an IPv4 or IPv6 address");
  }
  options.exposed = written.host.starts_with(tcp_scheme) && !options.engine.tls && !is_loopback(options.engine.address);
  options.registries = written.registries;
  options.cluster = request.cluster;
  options.reached = {request.address, written.network};
  options.share_port = written.share_port;
  return options;
}

}  // namespace k4t::docker
