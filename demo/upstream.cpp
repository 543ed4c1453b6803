#include "upstream.hpp"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <resolv.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "connection.hpp"

namespace demo {
namespace {

constexpr std::chrono::milliseconds kConnectTimeout{2000};
constexpr std::chrono::seconds kAnswerTimeout{8};
constexpr std::size_t kAnswerBytes = 1 << 20;

struct Address {
  sockaddr_storage socket{};
  socklen_t size = 0;
};

Address address_of(int family, const void* bytes, std::uint16_t port) {
  Address address;
  if (family == AF_INET) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(address.socket);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, bytes, sizeof v4.sin_addr);
    address.size = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address.socket);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, bytes, sizeof v6.sin6_addr);
    address.size = sizeof v6;
  }
  return address;
}

/// The resolver routines below getaddrinfo: a static program's getaddrinfo would load shared libraries, of which an
/// empty image has none.
void query(res_state resolver, const std::string& host, int type, std::uint16_t port, std::vector<Address>& found) {
  std::array<unsigned char, 65536> answer{};
  const int size = res_nsearch(resolver, host.c_str(), ns_c_in, type, answer.data(), static_cast<int>(answer.size()));
  ns_msg message;
  if (size <= 0 || ns_initparse(answer.data(), size, &message) != 0) return;
  const std::size_t wanted = type == ns_t_a ? sizeof(in_addr) : sizeof(in6_addr);
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    ns_rr record;
    if (ns_parserr(&message, ns_s_an, i, &record) != 0) return;
    if (ns_rr_type(record) != type || ns_rr_rdlen(record) != wanted) continue;
    found.push_back(address_of(type == ns_t_a ? AF_INET : AF_INET6, ns_rr_rdata(record), port));
  }
}

std::vector<Address> resolve(const std::string& host, std::uint16_t port) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  for (const int family : {AF_INET, AF_INET6}) {
    if (::inet_pton(family, host.c_str(), bytes.data()) == 1) return {address_of(family, bytes.data(), port)};
  }
  std::vector<Address> found;
  auto resolver = std::make_unique<struct __res_state>();
  if (res_ninit(resolver.get()) != 0) return found;
  query(resolver.get(), host, ns_t_a, port, found);
  query(resolver.get(), host, ns_t_aaaa, port, found);
  res_nclose(resolver.get());
  return found;
}

/// A connected socket, or -1 with errno set.
int connect_to(const Address& address) {
  const int fd = ::socket(address.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  int error = 0;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address.socket), address.size) != 0) error = errno;
  if (error == EINPROGRESS) {
    pollfd ready{fd, POLLOUT, 0};
    socklen_t size = sizeof error;
    if (::poll(&ready, 1, static_cast<int>(kConnectTimeout.count())) <= 0) {
      error = ETIMEDOUT;
    } else if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
      error = errno;
    }
  }
  if (error == 0) return fd;
  ::close(fd);
  errno = error;
  return -1;
}

Called exchange(int fd, const Url& url) {
  Connection connection(fd);
  const bool literal_v6 = url.host.find(':') != std::string::npos;
  const std::string host = (literal_v6 ? "[" + url.host + "]" : url.host) + (url.port == "80" ? "" : ":" + url.port);
  // HTTP/1.0: the answer ends with the connection and comes without chunks.
  if (!connection.write("GET " + url.target + " HTTP/1.0\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")) {
    return "cannot send to " + host;
  }
  const auto answer = connection.read_all(kAnswerBytes, Clock::now() + kAnswerTimeout);
  if (!answer) return "no complete answer from " + host;
  auto response = parse_response(*answer);
  if (!response) return "the answer of " + host + " is not HTTP";
  return *std::move(response);
}

}  // namespace

Called call_upstream(const Url& url) {
  const auto addresses = resolve(url.host, static_cast<std::uint16_t>(std::stoi(url.port)));
  if (addresses.empty()) return "cannot resolve " + url.host;
  std::string reason;
  for (const auto& address : addresses) {
    const int fd = connect_to(address);
    if (fd >= 0) return exchange(fd, url);
    reason = std::strerror(errno);
  }
  return "cannot connect to " + url.host + ":" + url.port + ": " + reason;
}

}  // namespace demo
