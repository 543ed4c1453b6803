#include "engine_stand_in.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

namespace k4t::bench {
namespace {

std::string body_for(const std::string& head) {
  const auto asks = [&head](const char* path) { return head.find(path) < head.find('\n'); };
  if (asks("/containers/json")) return "[]";
  if (asks("/info")) {
    return R"({"NCPU":2,"MemTotal":4294967296,"Architecture":"x86_64","OperatingSystem":"none","ServerVersion":"0"})";
  }
  return R"({"ApiVersion":"1.41","MinAPIVersion":"1.12","Version":"0"})";
}

}  // namespace

EngineStandIn::~EngineStandIn() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  // Nobody accepts any more, so that no thread is added.
  for (std::size_t i = 0; i < threads_.size(); ++i) threads_[i].join();
  for (const int fd : open_) ::close(fd);
}

void EngineStandIn::listen(const std::filesystem::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& path = socket.native();
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error(path + " is too long for a socket");
  path.copy(address.sun_path, path.size());
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 16) != 0) {
    throw std::runtime_error("cannot listen on " + path);
  }
  const std::scoped_lock lock(mutex_);
  open_.push_back(listener);
  threads_.emplace_back([this, listener] { accept_all(listener); });
}

void EngineStandIn::accept_all(int listener) {
  for (;;) {
    const int connection = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    const std::scoped_lock lock(mutex_);
    if (ending_) return static_cast<void>(::close(connection));
    open_.push_back(connection);
    threads_.emplace_back([this, connection] { serve(connection); });
  }
}

void EngineStandIn::serve(int connection) const {
  std::string received;
  char bytes[4096];
  for (ssize_t count = 0; (count = ::read(connection, bytes, sizeof bytes)) > 0;) {
    received.append(bytes, static_cast<std::size_t>(count));
    const auto end = received.find("\r\n\r\n");
    if (end == std::string::npos) continue;
    const std::string body = body_for(received.substr(0, end));
    received.erase(0, end + 4);
    const std::string answer =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
        "\r\n\r\n" + body;
    if (::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
  }
}

}  // namespace k4t::bench
