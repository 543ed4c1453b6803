#include "spawn.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace k4t::transport {
namespace {

/// NUL-terminated pointers into strings that outlive it.
std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> raw;
  raw.reserve(strings.size() + 1);
  for (const auto& text : strings) raw.push_back(const_cast<char*>(text.c_str()));
  raw.push_back(nullptr);
  return raw;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!added.contains(std::string(text.substr(0, text.find('='))))) all.emplace_back(text);
  }
  for (const auto& [name, value] : added) all.push_back(name + "=" + value);
  return all;
}

/// posix_spawn's two argument objects, always destroyed.
class SpawnPlan {
 public:
  SpawnPlan() {
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawn_file_actions_init(&actions_);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  /// The given descriptors become 0, 1 and 2, and no other one is inherited, close-on-exec or not.
  void set_descriptors(int in, int out, int err) {
    ::posix_spawn_file_actions_adddup2(&actions_, in, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, out, 1);
    ::posix_spawn_file_actions_adddup2(&actions_, err, 2);
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
  }

  /// A process group of its own, and none of our signal settings.
  void set_fresh() {
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
  }

  /// 0 or the system's error number.
  int spawn(pid_t& pid, const std::vector<std::string>& argv, const std::vector<std::string>& env) {
    return ::posix_spawnp(&pid, argv.front().c_str(), &actions_, &attributes_, pointers_to(argv).data(),
                          pointers_to(env).data());
  }

 private:
  posix_spawnattr_t attributes_{};
  posix_spawn_file_actions_t actions_{};
};

Error cannot_start(const std::string& program, int number) {
  if (number == ENOENT || number == ENOTDIR) return Error{Status::not_found, "there is no program " + program, {}};
  return system_error("cannot start " + program, number);
}

}  // namespace

Result<void> check_command(const Command& command) {
  const auto has_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  if (command.argv.empty() || command.argv.front().empty()) {
    return Error{Status::invalid_argument, "a command without a program", {}};
  }
  if (std::any_of(command.argv.begin(), command.argv.end(), has_nul)) {
    return Error{Status::invalid_argument, "an argument of " + command.argv.front() + " contains a NUL byte", {}};
  }
  for (const auto& [name, value] : command.env) {
    if (name.empty() || name.find('=') != std::string::npos || has_nul(name) || has_nul(value)) {
      return Error{Status::invalid_argument,
                   "'" + name + "' is not an environment variable's name, or its value contains a NUL byte",
                   {}};
    }
  }
  return {};
}

Result<Fd> above_channels(Fd fd) {
  if (fd.get() > 2) return fd;
  Fd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!moved.open()) return system_error("cannot start a command", errno);
  return moved;
}

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_error("cannot make a pipe", errno);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  Fd read_end(ends[0]);
  K4T_ASSIGN(Fd write_end, above_channels(Fd(ends[1])));
  return Pipe{std::move(read_end), std::move(write_end)};
}

Result<pid_t> spawn(const Command& command, int in, int out, int err) {
  SpawnPlan plan;
  plan.set_descriptors(in, out, err);
  plan.set_fresh();
  pid_t pid = -1;
  const int number = plan.spawn(pid, command.argv, environment_with(command.env));
  if (number != 0) return cannot_start(command.argv.front(), number);
  return pid;
}

int open_pidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

}  // namespace k4t::transport
