#include "peer.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

namespace k4t::nginx::testing {

Peer::Peer(std::function<void(int connection)> serve) : serve_(std::move(serve)) {
  listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listening_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listening_, 64) != 0 ||
      ::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("cannot listen");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

void Peer::accept_all() {
  for (;;) {
    const int connection = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    ++accepted_;
    const std::lock_guard lock(mutex_);
    connections_.push_back(connection);
    threads_.emplace_back([this, connection] {
      serve_(connection);
      ::shutdown(connection, SHUT_RDWR);
    });
  }
}

Peer::~Peer() {
  ::shutdown(listening_, SHUT_RDWR);
  acceptor_.join();
  ::close(listening_);
  for (const int connection : connections_) ::shutdown(connection, SHUT_RDWR);
  for (auto& thread : threads_) thread.join();
  for (const int connection : connections_) ::close(connection);
}

std::string read_head(int connection) {
  std::string head;
  for (char byte = 0; !head.ends_with("\r\n\r\n") && ::recv(connection, &byte, 1, 0) == 1;) head += byte;
  return head;
}

void echo(int connection) {
  char buffer[4096];
  for (ssize_t count = 0; (count = ::recv(connection, buffer, sizeof buffer, 0)) > 0;) {
    write_text(connection, {buffer, static_cast<std::size_t>(count)});
  }
}

void write_text(int connection, const std::string& text) {
  [[maybe_unused]] const auto sent = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
}

}  // namespace k4t::nginx::testing
