#include "process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "errors.hpp"

namespace k4t::transport {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds cancel_poll{20};
constexpr milliseconds kill_patience{5000};  ///< a process in an uninterruptible system call does not die at once
constexpr std::size_t largest_pipe_bytes = 1u << 20;

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

/// The same file under a number above the three channels', which a program that was started without them hands out
/// first, and which would be overwritten while they are set up.
Result<Fd> above_channels(Fd fd) {
  if (fd.get() > 2) return fd;
  Fd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!moved.open()) return system_error("cannot start a command", errno);
  return moved;
}

/// The whole input as an anonymous file: the command can read at its leisure, and neither a full pipe nor one that it
/// closes early concerns us.
Result<Fd> input_file(std::string_view input) {
  Fd fd(input.empty() ? ::open("/dev/null", O_RDONLY | O_CLOEXEC) : ::memfd_create("input", MFD_CLOEXEC));
  if (!fd.open()) return system_error("cannot pass input to a command", errno);
  while (!input.empty()) {
    const auto written = ::write(fd.get(), input.data(), input.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error("cannot pass input to a command", errno);
    input.remove_prefix(static_cast<std::size_t>(written));
  }
  ::lseek(fd.get(), 0, SEEK_SET);
  return above_channels(std::move(fd));
}

struct Pipe {
  Fd read_end;
  Fd write_end;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_error("cannot make a pipe", errno);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  Fd read_end(ends[0]);
  K4T_ASSIGN(Fd write_end, above_channels(Fd(ends[1])));
  return Pipe{std::move(read_end), std::move(write_end)};
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

/// By its number: the C++ linkage that glibc 2.36 gives its own declaration cannot be linked.
int open_pidfd(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

/// What one output channel has brought so far.
class Capture {
 public:
  Capture(Fd fd, std::size_t limit_bytes, std::string& text)
      : fd_(std::move(fd)), limit_bytes_(limit_bytes), text_(text) {}

  [[nodiscard]] int fd() const { return fd_.get(); }

  /// Takes what is there now, up to `most_bytes`; closes at the end of the stream.
  void take(std::size_t most_bytes) {
    for (char buffer[16384]; fd_.open() && most_bytes > 0;) {
      const auto got = ::read(fd_.get(), buffer, std::min(sizeof buffer, most_bytes));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) return fd_.reset();
      const auto bytes = static_cast<std::size_t>(got);
      text_.append(buffer, std::min(bytes, limit_bytes_ - text_.size()));
      most_bytes -= bytes;
    }
  }

 private:
  Fd fd_;
  std::size_t limit_bytes_;
  std::string& text_;
};

/// A started command until it is reaped.
class Child {
 public:
  Child(pid_t pid, Pipe out, Pipe err, const Command& command)
      : command_(command),
        pid_(pid),
        pidfd_(open_pidfd(pid)),
        out_(std::move(out.read_end), command.output_limit_bytes, output_.out),
        err_(std::move(err.read_end), command.output_limit_bytes, output_.err) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  Result<Output> attend(Clock::time_point until) {
    if (!pidfd_.open()) {
      const Error error = system_error("cannot watch " + command_.argv.front(), errno);
      end_group();
      return error;
    }
    for (;;) {
      const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
      if (left.count() <= 0) return give_up("did not end in time");
      if (command_.cancelled && command_.cancelled()) return give_up("was cancelled");
      if (wait_for_news(command_.cancelled ? std::min(left, cancel_poll) : left)) break;
    }
    // A daemon that it left behind may hold the pipes open: take what was written until now, not until their end.
    out_.take(largest_pipe_bytes);
    err_.take(largest_pipe_bytes);
    reap();
    return std::move(output_);
  }

 private:
  /// True: the command has ended.
  bool wait_for_news(milliseconds timeout) {
    std::array<pollfd, 3> ready{{{pidfd_.get(), POLLIN, 0}, {out_.fd(), POLLIN, 0}, {err_.fd(), POLLIN, 0}}};
    if (::poll(ready.data(), ready.size(), static_cast<int>(std::min<std::int64_t>(timeout.count(), 60'000))) <= 0) {
      return false;
    }
    if (ready[1].revents != 0) out_.take(largest_pipe_bytes);
    if (ready[2].revents != 0) err_.take(largest_pipe_bytes);
    return ready[0].revents != 0;
  }

  void end_group() {
    ::kill(-pid_, SIGKILL);
    pollfd ended{pidfd_.get(), POLLIN, 0};
    if (pidfd_.open()) ::poll(&ended, 1, static_cast<int>(kill_patience.count()));
    ::waitpid(pid_, nullptr, pidfd_.open() ? WNOHANG : 0);
  }

  Error give_up(const char* why) {
    end_group();
    return Error{Status::deadline, command_.argv.front() + " " + why + " and was killed", output_.err};
  }

  void reap() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    output_.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

  const Command& command_;
  pid_t pid_;
  Fd pidfd_;
  Output output_;
  Capture out_;
  Capture err_;
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

Result<Output> run_process(const Command& command) {
  const auto until = Clock::now() + command.timeout;
  K4T_TRY(check_command(command));
  if (command.timeout.count() <= 0 || (command.cancelled && command.cancelled())) {
    return Error{Status::deadline, "no time was left to start " + command.argv.front(), {}};
  }
  K4T_ASSIGN(const Fd in, input_file(command.input));
  K4T_ASSIGN(Pipe out, make_pipe());
  K4T_ASSIGN(Pipe err, make_pipe());
  SpawnPlan plan;
  plan.set_descriptors(in.get(), out.write_end.get(), err.write_end.get());
  plan.set_fresh();
  pid_t pid = -1;
  if (const int number = plan.spawn(pid, command.argv, environment_with(command.env)); number != 0) {
    return cannot_start(command.argv.front(), number);
  }
  out.write_end.reset();
  err.write_end.reset();
  return Child(pid, std::move(out), std::move(err), command).attend(until);
}

}  // namespace k4t::transport
