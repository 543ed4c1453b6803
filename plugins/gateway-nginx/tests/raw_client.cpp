#include "raw_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace k4t::nginx::testing {
namespace {

sockaddr_in address_of(const std::string& address, std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &result.sin_addr);
  return result;
}

}  // namespace

Connection::Connection(std::uint16_t port, const std::string& from) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in own = address_of(from, 0);
  const sockaddr_in to = address_of("127.0.0.1", port);
  if (::bind(fd_, reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0 &&
      ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
    return;
  }
  ::close(fd_);
  fd_ = -1;
}

Connection::~Connection() {
  if (fd_ >= 0) ::close(fd_);
}

Connection::Connection(Connection&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

void Connection::send(const std::string& bytes) const {
  if (fd_ >= 0) [[maybe_unused]]
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

std::string Connection::read_until(const std::string& end, std::chrono::milliseconds timeout) const {
  std::string got;
  const auto until = std::chrono::steady_clock::now() + timeout;
  for (char buffer[65536]; fd_ >= 0 && (end.empty() || got.find(end) == std::string::npos);) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    pollfd ready{fd_, POLLIN, 0};
    if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) <= 0) break;
    const auto count = ::recv(fd_, buffer, sizeof buffer, 0);
    if (count <= 0) break;
    got.append(buffer, static_cast<std::size_t>(count));
  }
  return got;
}

Answer request(std::uint16_t port, const std::string& host, const std::string& path, const std::string& headers,
               const std::string& method, const std::string& from) {
  Connection connection(port, from);
  connection.send(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n" + headers + "\r\n");
  const std::string text = connection.read_all();
  Answer answer;
  if (text.starts_with("HTTP/1.1 ")) answer.status = std::stoi(text.substr(9, 3));
  const auto body = text.find("\r\n\r\n");
  if (body != std::string::npos) answer.body = text.substr(body + 4);
  return answer;
}

}  // namespace k4t::nginx::testing
