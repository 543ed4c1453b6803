#include "support/haproxy_server.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace k4t::testing {
namespace {

constexpr const char* plain_config =
    "global\n"
    "  maxconn 4000\n"
    "defaults\n"
    "  mode http\n"
    "  timeout connect 1s\n"
    "  timeout client 3s\n"
    "  timeout server 3s\n";

int connect_to(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof address.sun_path) return -1;
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

}  // namespace

bool HaproxyServer::available() { return !binary().empty() && !find_program("perl").empty(); }

HaproxyServer::HaproxyServer(const Scratch& scratch, const std::string& name) : root_(scratch.path() / name) {
  std::filesystem::create_directories(root_);
  set_config(plain_config);
  std::ofstream(file(), std::ios::app).flush();  // HAProxy does not start without the file
}

void HaproxyServer::set_config(const std::string& text) const { std::ofstream(config()) << text; }

void HaproxyServer::start() {
  server_ = std::make_unique<Server>(std::vector<std::string>{binary(), "-W", "-S", master_socket().string(), "-f",
                                                              config().string(), "-f", file().string()},
                                     log());
  if (!eventually([this] { return worker() != 0; })) {
    throw std::runtime_error("HAProxy did not start:\n" + Scratch::read(log()));
  }
}

void HaproxyServer::stop() {
  server_.reset();
  std::filesystem::remove(master_socket());
}

void HaproxyServer::kill_master() {
  server_->signal(SIGKILL);
  eventually([this] { return tell("show proc").empty(); });
}

void HaproxyServer::signal_all(int number) const {
  std::ifstream list("/proc/" + std::to_string(server_->pid()) + "/task/" + std::to_string(server_->pid()) +
                     "/children");
  for (pid_t child = 0; list >> child;) ::kill(child, number);
  server_->signal(number);
}

std::string HaproxyServer::tell(const std::string& line) const {
  const int fd = connect_to(master_socket());
  if (fd < 0) return {};
  const std::string request = line + "; quit\n";
  std::string got;
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    for (char buffer[65536];;) {
      pollfd ready{fd, POLLIN, 0};
      constexpr int patience_ms = 2000;
      if (::poll(&ready, 1, patience_ms) <= 0) break;
      const auto count = ::recv(fd, buffer, sizeof buffer, 0);
      if (count <= 0) break;
      got.append(buffer, static_cast<std::size_t>(count));
    }
  }
  ::close(fd);
  return got;
}

pid_t HaproxyServer::worker() const {
  std::istringstream lines(tell("show proc"));
  bool here = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# ")) here = line == "# workers";
    if (here && line.find(" worker ") != std::string::npos) return std::stoi(line);
  }
  return 0;
}

bool HaproxyServer::reload() const {
  const pid_t before = worker();
  tell("reload");
  return eventually([&] {
    const pid_t now = worker();
    return now != 0 && now != before;
  });
}

}  // namespace k4t::testing
