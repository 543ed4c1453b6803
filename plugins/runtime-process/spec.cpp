#include "spec.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "account.hpp"
#include "files.hpp"

namespace k4t::process {
namespace {

constexpr std::size_t kNameLimit = 63;

bool has_zero(const std::string& text) { return text.find('\0') != std::string::npos; }

Error invalid(std::string message) { return Error{Status::invalid_argument, std::move(message), {}}; }

bool is_domain(const std::string& text) {
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
  });
}

bool is_address(const std::string& text) {
  unsigned char bytes[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, text.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

Result<void> check_network(const runtime::InstanceSpec& spec) {
  if (spec.network != runtime::Network::host) {
    return Error{Status::unsupported,
                 "processes share the node's network: set network = \"host\", or run this service on nodes with a "
                 "container runtime",
                 {}};
  }
  for (const auto& port : spec.ports) {
    if (port.host_port == 0 || port.host_port != port.container_port) {
      return invalid("with the node's network, container port " + std::to_string(port.container_port) +
                     " and host port " + std::to_string(port.host_port) + " must be the same");
    }
    if (port.protocol != "tcp" && port.protocol != "udp") return invalid("protocol is \"tcp\" or \"udp\"");
  }
  return {};
}

Result<void> check_texts(const runtime::InstanceSpec& spec) {
  for (const auto* words : {&spec.entrypoint, &spec.command}) {
    if (std::any_of(words->begin(), words->end(), has_zero)) return invalid("an argument contains a zero byte");
  }
  for (const auto& [name, value] : spec.env) {
    if (name.empty() || name.find('=') != std::string::npos || has_zero(name) || has_zero(value)) {
      return invalid("'" + name + "' cannot be an environment variable, or its value contains a zero byte");
    }
  }
  return {};
}

Result<void> check_view(const runtime::InstanceSpec& spec) {
  const bool own_view = spec.read_only || !spec.dns_servers.empty() || !spec.dns_search.empty();
  if (own_view && ::geteuid() != 0) {
    return Error{
        Status::unsupported,
        "read_only and name servers of its own need k4t to run as root on this node: leave them out, or run it so",
        {}};
  }
  return {};
}

struct Socket {
  sockaddr_storage address{};
  socklen_t size = 0;
};

Socket socket_address(const std::string& text, std::uint16_t port) {
  Socket socket;
  auto& v6 = reinterpret_cast<sockaddr_in6&>(socket.address);
  if (::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    socket.size = sizeof v6;
    return socket;
  }
  auto& v4 = reinterpret_cast<sockaddr_in&>(socket.address);
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) != 1) v4.sin_addr.s_addr = htonl(INADDR_ANY);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  socket.size = sizeof v4;
  return socket;
}

/// The reason why the address cannot be listened on, 0: it can.
int try_to_bind(const Socket& to, bool tcp) {
  const Descriptor probe(::socket(to.address.ss_family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return errno;
  const int one = 1;
  // As servers do; without it, connections that have just ended would count as somebody. For UDP it would hide others.
  if (tcp) ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  return ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&to.address), to.size) == 0 ? 0 : errno;
}

}  // namespace

bool is_instance_name(const std::string& name) {
  return !name.empty() && name.size() <= kNameLimit && name[0] != '-' &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

Result<void> check_spec(const runtime::InstanceSpec& spec) {
  if (!is_instance_name(spec.name)) {
    return invalid("'" + spec.name + "' is not an instance's name: [a-z0-9-], at most 63 characters");
  }
  K4T_TRY(check_network(spec));
  K4T_TRY(check_texts(spec));
  K4T_TRY(check_view(spec));
  K4T_TRY(render_resolver(spec.dns_servers, spec.dns_search));
  K4T_TRY(find_account(spec.user));
  return {};
}

Result<std::vector<std::string>> argv_of(const runtime::InstanceSpec& spec,
                                         const std::map<std::string, std::string>& images) {
  std::vector<std::string> argv = spec.entrypoint;
  if (!spec.image.empty()) {
    const auto program = images.find(spec.image);
    if (program == images.end()) {
      return Error{Status::not_found,
                   "no program stands for image '" + spec.image + "' on this node: name one in options.images",
                   {}};
    }
    if (argv.empty()) argv.emplace_back();
    argv[0] = program->second;
  }
  argv.insert(argv.end(), spec.command.begin(), spec.command.end());
  if (argv.empty() || argv[0].empty()) return invalid("without an image, `command` must name a program");
  return argv;
}

Result<std::string> render_resolver(const std::vector<std::string>& servers, const std::vector<std::string>& search) {
  std::string text;
  for (const auto& server : servers) {
    if (!is_address(server)) return invalid("name server '" + server + "' is not an IP address");
    text += "nameserver " + server + "\n";
  }
  if (!search.empty()) text += "search";
  for (const auto& domain : search) {
    if (!is_domain(domain)) return invalid("search domain '" + domain + "' is not a domain name");
    text += " " + domain;
  }
  if (!search.empty()) text += "\n";
  return text;
}

Result<void> check_ports_free(const std::string& address, const std::vector<runtime::PortMap>& ports) {
  for (const auto& port : ports) {
    const bool tcp = port.protocol == "tcp";
    int error = try_to_bind(socket_address(address, port.host_port), tcp);
    if (error == EADDRNOTAVAIL) error = try_to_bind(socket_address("", port.host_port), tcp);
    if (error == 0) continue;
    const std::string what = port.protocol + " port " + std::to_string(port.host_port);
    if (error == EADDRINUSE) return Error{Status::conflict, what + " is taken on this node", {}};
    return Error{
        Status::unavailable, "cannot look whether " + what + " is free: " + std::generic_category().message(error), {}};
  }
  return {};
}

}  // namespace k4t::process
