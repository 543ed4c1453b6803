#include "support/byte_relay.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <stdexcept>

namespace k4t::testing {
namespace {

sockaddr_un unix_address(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

bool send_whole(int to, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(to, data, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace

ByteRelay::ByteRelay(std::filesystem::path to) : to_(std::move(to)) {
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto address = unix_address(socket());
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 16) != 0) {
    throw std::runtime_error("a relay cannot listen at " + socket().string());
  }
  acceptor_ = std::thread([this] { accept_all(); });
}

ByteRelay::~ByteRelay() {
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int one : open_) ::shutdown(one, SHUT_RDWR);
  }
  for (auto& thread : threads_) thread.join();
  for (const int one : open_) ::close(one);
  ::close(listener_);
}

void ByteRelay::accept_all() {
  for (;;) {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto address = unix_address(to_);
    const bool connected = ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    {
      const std::lock_guard lock(mutex_);
      open_.insert(open_.end(), {client, server});
    }
    if (!connected) {
      ::shutdown(client, SHUT_RDWR);
      continue;
    }
    threads_.emplace_back([this, client, server] { pass(client, server, true); });
    threads_.emplace_back([this, client, server] { pass(server, client, false); });
  }
}

void ByteRelay::pass(int from, int to, bool count) {
  std::array<char, 65536> bytes{};
  for (;;) {
    const ssize_t got = ::recv(from, bytes.data(), bytes.size(), 0);
    if (got <= 0) break;
    if (count) sent_ += static_cast<std::uint64_t>(got);
    if (!send_whole(to, bytes.data(), static_cast<std::size_t>(got))) break;
  }
  ::shutdown(to, SHUT_WR);
}

}  // namespace k4t::testing
