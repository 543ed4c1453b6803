/// The program that the demo's and the tests' instances run: a small web or line server in one static binary, so that
/// it also works in an image that holds nothing else. README.md tells what it answers.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services.hpp"

namespace {

using demo::Connection;

constexpr int kBacklog = 1024;
constexpr int kConnectionsLimit = 4096;
constexpr std::size_t kStackBytes = 512 * 1024;
constexpr int kUsageError = 2;

struct Settings {
  bool http = true;
  std::uint16_t port = 0;
  std::string listen = "0.0.0.0";
  unsigned start_delay_ms = 0;
  unsigned drain_ms = 8000;
};

std::atomic<int> open_connections = 0;
demo::HealthState health;

int usage() {
  std::fputs(
      "usage: k4t-demo-app http|tcp [PORT] [--listen ADDRESS] [--start-delay-ms N] [--drain-ms N]\n"
      "PORT in the environment, where set, takes the place of the argument.\n",
      stderr);
  return kUsageError;
}

template <class Number>
bool read_number(const std::string& text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

std::optional<Settings> read_settings(const std::vector<std::string>& args) {
  Settings settings;
  if (args.empty() || (args[0] != "http" && args[0] != "tcp")) return std::nullopt;
  settings.http = args[0] == "http";
  std::string port;
  for (std::size_t i = 1; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (!arg.starts_with("--")) {
      port = arg;
      continue;
    }
    if (++i == args.size()) return std::nullopt;
    if (arg == "--listen") {
      settings.listen = args[i];
    } else if (arg == "--start-delay-ms") {
      if (!read_number(args[i], settings.start_delay_ms)) return std::nullopt;
    } else if (arg == "--drain-ms") {
      if (!read_number(args[i], settings.drain_ms)) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  if (!read_number(demo::environment("PORT", port), settings.port) || settings.port == 0) return std::nullopt;
  return settings;
}

int listen_on(const Settings& settings) {
  sockaddr_storage address{};
  socklen_t size = 0;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  if (::inet_pton(AF_INET, settings.listen.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(settings.port);
    size = sizeof v4;
  } else if (::inet_pton(AF_INET6, settings.listen.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(settings.port);
    size = sizeof v6;
  } else {
    errno = EINVAL;
    return -1;
  }
  const int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int one = 1;
  if (fd < 0) return -1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, kBacklog) != 0) return -1;
  return fd;
}

struct Job {
  int fd;
  bool http;
};

void* serve(void* raw) {
  const std::unique_ptr<Job> job(static_cast<Job*>(raw));
  {
    Connection connection(job->fd);
    job->http ? demo::serve_http(connection, health) : demo::serve_lines(connection);
  }
  --open_connections;
  return nullptr;
}

/// A thread with a small stack for each connection: thousands of them fit.
void hand_over(int fd, bool http, const pthread_attr_t& attributes) {
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  auto job = std::make_unique<Job>(Job{fd, http});
  pthread_t thread;
  ++open_connections;
  if (::pthread_create(&thread, &attributes, serve, job.get()) != 0) {
    ::close(fd);
    --open_connections;
    return;
  }
  static_cast<void>(job.release());
}

/// Serves the next client, if there is one. False: there is none.
bool accept_one(int listener, bool http, const pthread_attr_t& attributes) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd >= 0) hand_over(fd, http, attributes);
  return fd >= 0;
}

/// Accepts until the program is asked to end. At the limit, new clients wait in the backlog.
void accept_all(int listener, const Settings& settings) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  ::pthread_attr_setstacksize(&attributes, kStackBytes);
  while (!demo::ending().begun()) {
    const bool full = open_connections >= kConnectionsLimit;
    pollfd ready[2] = {{demo::ending().fd(), POLLIN, 0}, {listener, POLLIN, 0}};
    ::poll(ready, full ? 1 : 2, full ? 10 : -1);
    if (full || (ready[1].revents & POLLIN) == 0) continue;
    const bool scarce = !accept_one(listener, settings.http, attributes) && errno != EAGAIN && errno != ECONNABORTED;
    if (scarce) ::poll(nullptr, 0, 10);
  }
  // Clients whose connection the kernel has already accepted would be reset by closing the listener.
  while (open_connections < kConnectionsLimit && accept_one(listener, settings.http, attributes)) {
  }
}

void end_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { demo::ending().begin(); };
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

int main(int argc, char** argv) {
  const auto settings = read_settings({argv + 1, argv + argc});
  if (!settings) return usage();
  demo::ending();
  end_on_signals();
  health.healthy_from = demo::Clock::now() + std::chrono::milliseconds(settings->start_delay_ms);
  const int listener = listen_on(*settings);
  if (listener < 0) {
    std::fprintf(stderr, "cannot listen on %s port %u: %s\n", settings->listen.c_str(), settings->port,
                 std::strerror(errno));
    return 1;
  }
  std::fprintf(stderr, "listening on %s port %u\n", settings->listen.c_str(), settings->port);
  accept_all(listener, *settings);
  ::close(listener);
  std::fputs("ending: finishing what is in progress\n", stderr);
  const auto until = demo::Clock::now() + std::chrono::milliseconds(settings->drain_ms);
  while (open_connections > 0 && demo::Clock::now() < until) ::poll(nullptr, 0, 5);
  // Threads that are still at work must not see statics being destroyed.
  ::_exit(0);
}
