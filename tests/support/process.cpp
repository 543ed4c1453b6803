#include "support/process.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace k4t::testing {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

void close_all_but(int kept) {
  for (int fd = 3; fd < 1024; ++fd) {
    if (fd != kept) ::close(fd);
  }
}

/// Kills every descendant of this process, which is their subreaper: those whose parent dies become its children, so
/// repeating until there are none reaches all.
void kill_descendants() {
  for (;;) {
    const auto children = children_of(::getpid());
    for (const pid_t child : children) ::kill(child, SIGKILL);
    if (::waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) return;
  }
}

void exec_now(const std::vector<std::string>& argv, const std::map<std::string, std::string>& env) {
  for (const auto& [name, value] : env) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> raw;
  for (const auto& arg : argv) raw.push_back(const_cast<char*>(arg.c_str()));
  raw.push_back(nullptr);
  ::execvp(raw[0], raw.data());
}

void run_cleanup(const std::vector<std::string>& argv) {
  if (argv.empty()) return;
  const pid_t child = ::fork();
  if (child == 0) {
    exec_now(argv, {});
    ::_exit(127);
  }
  ::waitpid(child, nullptr, 0);
}

/// The guardian's life: commands come over `guard` ('T' ask politely, 'K' kill all); its end of file is the test's
/// death.
[[noreturn]] void guard_children(int guard, pid_t child, const std::vector<std::string>& cleanup) {
  for (;;) {
    char command = 'K';
    const auto got = ::read(guard, &command, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got == 1 && command == 'T') {
      ::kill(child, SIGTERM);
      continue;
    }
    kill_descendants();
    run_cleanup(cleanup);
    ::_exit(0);
  }
}

}  // namespace

std::vector<pid_t> children_of(pid_t parent) {
  const std::string base = "/proc/" + std::to_string(parent);
  std::ifstream list(base + "/task/" + std::to_string(parent) + "/children");
  std::vector<pid_t> found;
  for (pid_t child = 0; list >> child;) found.push_back(child);
  return found;
}

bool require_real() {
  const char* value = std::getenv("K4T_REQUIRE_REAL");
  return value != nullptr && std::string_view(value) == "1";
}

std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(std::string(path != nullptr ? path : "") + ":/usr/local/sbin:/usr/sbin:/sbin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = folder + "/" + name;
    if (!folder.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

std::uint16_t free_port() {
  static std::set<std::uint16_t> given;
  for (int attempt = 0; attempt < 200; ++attempt) {
    const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) fail("socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    socklen_t size = sizeof address;
    const bool bound = ::bind(probe, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                       ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    ::close(probe);
    const std::uint16_t port = ntohs(address.sin_port);
    if (bound && given.insert(port).second) return port;
  }
  throw std::runtime_error("no free TCP port");
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds timeout) {
  const auto until = Clock::now() + timeout;
  for (;;) {
    if (condition()) return true;
    if (Clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

Scratch::Scratch() {
  std::string name = (fs::temp_directory_path() / "k4t-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) fail("mkdtemp");
  path_ = name;
  ::chmod(name.c_str(), 0755);
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0) fail("pipe");
  guardian_ = ::fork();
  if (guardian_ < 0) fail("fork");
  if (guardian_ == 0) {
    ::setsid();
    close_all_but(pipe_ends[0]);
    char byte = 0;
    while (::read(pipe_ends[0], &byte, 1) < 0 && errno == EINTR) {
    }
    // Servers below the folder are dying at the same moment; what they still write goes with a later attempt.
    for (int attempt = 0; attempt < 100 && fs::exists(path_); ++attempt) {
      std::error_code ignored;
      fs::remove_all(path_, ignored);
      if (ignored) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ::_exit(0);
  }
  ::close(pipe_ends[0]);
  guard_ = pipe_ends[1];
}

Scratch::~Scratch() {
  ::close(guard_);
  ::waitpid(guardian_, nullptr, 0);
}

fs::path Scratch::write(const std::string& name, const std::string& text, unsigned mode) const {
  const fs::path file = path_ / name;
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
  fs::permissions(file, static_cast<fs::perms>(mode));
  return file;
}

std::string Scratch::read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Server::Server(const std::vector<std::string>& argv, const fs::path& log, const std::map<std::string, std::string>& env,
               const std::vector<std::string>& cleanup) {
  if (argv.empty() || find_program(argv[0]).empty()) {
    if (argv.empty() || ::access(argv[0].c_str(), X_OK) != 0)
      throw std::runtime_error("no such program: " + argv.at(0));
  }
  int guard[2];
  int born[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, guard) != 0 || ::pipe2(born, O_CLOEXEC) != 0) fail("pipe");
  guardian_ = ::fork();
  if (guardian_ < 0) fail("fork");
  if (guardian_ == 0) {
    ::setsid();
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const pid_t child = ::fork();
    if (child == 0) {
      ::setpgid(0, 0);
      ::dup2(in, 0);
      ::dup2(out, 1);
      ::dup2(out, 2);
      exec_now(argv, env);
      ::_exit(127);
    }
    [[maybe_unused]] const auto written = ::write(born[1], &child, sizeof child);
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(out, 2);
    close_all_but(guard[1]);
    guard_children(guard[1], child, cleanup);
  }
  ::close(guard[1]);
  ::close(born[1]);
  guard_ = guard[0];
  const auto got = ::read(born[0], &pid_, sizeof pid_);
  ::close(born[0]);
  if (got != static_cast<ssize_t>(sizeof pid_) || pid_ < 0) {
    finish();
    throw std::runtime_error("cannot start " + argv[0]);
  }
}

Server::~Server() { finish(); }

bool has_ended(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(stat, text);
  const auto state = text.rfind(')');
  return state == std::string::npos || state + 2 >= text.size() || text[state + 2] == 'Z';
}

void Server::signal(int number) const { ::kill(pid_, number); }

void Server::finish() {
  if (guardian_ < 0) return;
  ::close(guard_);
  ::waitpid(guardian_, nullptr, 0);
  guardian_ = -1;
}

void Server::kill_all() { finish(); }

void Server::stop(std::chrono::milliseconds grace) {
  if (guardian_ < 0) return;
  if (::send(guard_, "T", 1, MSG_NOSIGNAL) != 1) return finish();
  eventually(
      [this] {
        const auto children = children_of(guardian_);
        return std::all_of(children.begin(), children.end(), has_ended);
      },
      grace);
  finish();
}

Ran run(const std::vector<std::string>& argv, const std::string& input, std::chrono::milliseconds timeout) {
  int in[2];
  int out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) fail("pipe");
  const pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(in[0], 0);
    ::dup2(out[1], 1);
    ::dup2(out[1], 2);
    exec_now(argv, {});
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  std::thread feeder([fd = in[1], &input] {
    std::signal(SIGPIPE, SIG_IGN);
    std::size_t sent = 0;
    while (sent < input.size()) {
      const auto n = ::write(fd, input.data() + sent, input.size() - sent);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
    ::close(fd);
  });
  Ran ran;
  const auto until = Clock::now() + timeout;
  for (char buffer[65536];;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd ready{out[0], POLLIN, 0};
    if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) <= 0) {
      ::kill(child, SIGKILL);
      break;
    }
    const auto n = ::read(out[0], buffer, sizeof buffer);
    if (n <= 0) break;
    ran.out.append(buffer, static_cast<std::size_t>(n));
  }
  feeder.join();
  ::close(out[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

void check(const Ran& ran, const std::string& what) {
  if (ran.exit_code != 0) throw std::runtime_error(what + ": " + ran.out);
}

}  // namespace k4t::testing
