#include "support/http_peers.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace k4t::testing {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Address resolve(const std::string& text, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(text.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    throw std::runtime_error("no address: " + text);
  }
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  ::freeaddrinfo(found);
  return address;
}

const sockaddr* raw(const Address& address) { return reinterpret_cast<const sockaddr*>(&address.storage); }

std::uint16_t port_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  char service[16] = {};
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  ::getnameinfo(reinterpret_cast<sockaddr*>(&storage), size, nullptr, 0, service, sizeof service, NI_NUMERICSERV);
  return static_cast<std::uint16_t>(std::stoi(service));
}

bool send_all(int fd, const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const auto count = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

std::string reply(int status, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " Answer\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

void give_back(int fd, std::string bytes) {
  for (char buffer[4096]; send_all(fd, bytes);) {
    const auto count = ::recv(fd, buffer, sizeof buffer, 0);
    if (count <= 0) return;
    bytes.assign(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace

Endpoint::Endpoint(std::string name, const std::string& address, std::uint16_t port) : name_(std::move(name)) {
  const auto at = resolve(address, port);
  listener_ = ::socket(at.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener_, raw(at), at.size) != 0 || ::listen(listener_, 256) != 0) {
    ::close(listener_);
    throw std::runtime_error("cannot listen on " + address);
  }
  port_ = port_of(listener_);
  acceptor_ = std::thread([this] { accept_all(); });
}

Endpoint::~Endpoint() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  changed_.notify_all();
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (auto& thread : threads_) thread.join();
  ::close(listener_);
}

void Endpoint::release() {
  {
    const std::lock_guard lock(mutex_);
    released_ = true;
  }
  changed_.notify_all();
}

void Endpoint::disconnect() {
  {
    const std::lock_guard lock(mutex_);
    ++generation_;
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  changed_.notify_all();
}

void Endpoint::accept_all() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const std::lock_guard lock(mutex_);
    if (ending_) {
      ::close(fd);
      return;
    }
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { serve(fd); });
  }
}

void Endpoint::serve(int fd) {
  std::string got;
  for (char buffer[4096];;) {
    const auto end = got.find("\r\n\r\n");
    if (end != std::string::npos) {
      const std::string head = got.substr(0, end + 4);
      got.erase(0, end + 4);
      if (lower(head).find("upgrade: websocket") != std::string::npos) {
        if (send_all(fd,
                     "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")) {
          give_back(fd, std::exchange(got, {}));
        }
        break;
      }
      if (!answer(fd, head) || lower(head).find("connection: close") != std::string::npos) break;
      continue;
    }
    const auto count = ::recv(fd, buffer, sizeof buffer, 0);
    if (count <= 0) break;
    got.append(buffer, static_cast<std::size_t>(count));
  }
  const std::lock_guard lock(mutex_);
  open_.remove(fd);
  ::close(fd);
}

bool Endpoint::answer(int fd, const std::string& head) {
  const auto begin = head.find(' ') + 1;
  const std::string target = head.substr(begin, head.find(' ', begin) - begin);
  if (target == "/health") return send_all(fd, reply(healthy_ ? 200 : 503, name_));
  if (target == "/echo") return send_all(fd, reply(200, head));
  if (target == "/hold") {
    std::unique_lock lock(mutex_);
    ++holding_;
    changed_.wait(lock, [this, begun = generation_] { return released_ || ending_ || generation_ != begun; });
    --holding_;
  }
  return send_all(fd, reply(200, name_));
}

Connection::Connection(const std::string& address, std::uint16_t port, const std::string& from) {
  const auto to = resolve(address, port);
  fd_ = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool good = true;
  if (!from.empty()) {
    const auto own = resolve(from, 0);
    good = ::bind(fd_, raw(own), own.size) == 0;
  }
  if (good && ::connect(fd_, raw(to), to.size) == 0) return;
  ::close(fd_);
  fd_ = -1;
}

Connection::~Connection() {
  if (fd_ >= 0) ::close(fd_);
}

Connection::Connection(Connection&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

void Connection::send(const std::string& bytes) const {
  if (fd_ >= 0) send_all(fd_, bytes);
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

Answer ask(std::uint16_t port, const Ask& what, const std::string& address) {
  const Connection connection(address, port, what.from);
  connection.send("GET " + what.path + " HTTP/1.1\r\nHost: " + what.host + "\r\nConnection: close\r\n" + what.headers +
                  "\r\n");
  const std::string text = connection.read_until({});
  Answer answer;
  if (text.starts_with("HTTP/1.") && text.size() > 12) answer.status = std::atoi(text.substr(9, 3).c_str());
  const auto body = text.find("\r\n\r\n");
  if (body != std::string::npos) answer.body = text.substr(body + 4);
  return answer;
}

}  // namespace k4t::testing
