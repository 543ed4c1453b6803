#include "support/dns_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

namespace k4t::testing {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool write_message(int socket, const std::string& message) {
  std::string bytes{static_cast<char>(message.size() >> 8), static_cast<char>(message.size() & 0xff)};
  bytes += message;
  return ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

}  // namespace

DnsProxy::DnsProxy(std::uint16_t server_port, Tamper tamper) : server_port_(server_port), tamper_(std::move(tamper)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto address = loopback(0);
  socklen_t size = sizeof address;
  const bool listening = ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                         ::listen(listener_, 8) == 0 &&
                         ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (!listening) throw std::runtime_error("the proxy cannot listen");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

DnsProxy::~DnsProxy() {
  ending_ = true;
  thread_.join();
  ::close(listener_);
}

bool DnsProxy::wait_readable(int socket) const {
  while (!ending_) {
    pollfd waiting{socket, POLLIN, 0};
    if (::poll(&waiting, 1, 20) > 0) return true;
  }
  return false;
}

bool DnsProxy::read_exactly(int socket, std::string& to) const {
  for (std::size_t at = 0; at < to.size();) {
    if (!wait_readable(socket)) return false;
    const auto got = ::recv(socket, to.data() + at, to.size() - at, 0);
    if (got <= 0) return false;
    at += static_cast<std::size_t>(got);
  }
  return true;
}

bool DnsProxy::read_message(int socket, std::string& message) const {
  std::string length(2, '\0');
  if (!read_exactly(socket, length)) return false;
  message.assign(
      static_cast<std::size_t>(static_cast<unsigned char>(length[0])) << 8 | static_cast<unsigned char>(length[1]),
      '\0');
  return read_exactly(socket, message);
}

void DnsProxy::serve() {
  while (wait_readable(listener_)) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    relay(client);
    ::close(client);
  }
}

void DnsProxy::relay(int client) {
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto address = loopback(server_port_);
  bool open = ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  bool update = false;
  while (open && !ending_) {
    std::array<pollfd, 2> waiting{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), 20) <= 0) continue;
    std::string message;
    if (waiting[0].revents != 0) {
      open = read_message(client, message) && write_message(server, message);
      update = open && (static_cast<unsigned char>(message[2]) >> 3 & 0xf) == 5;
    } else {
      open = read_message(server, message) && tamper_(update, message) && write_message(client, message);
    }
  }
  ::close(server);
}

}  // namespace k4t::testing
