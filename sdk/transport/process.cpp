#include "process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "errors.hpp"
#include "spawn.hpp"

namespace k4t::transport {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds cancel_poll{20};
constexpr milliseconds kill_patience{5000};  ///< a process in an uninterruptible system call does not die at once
constexpr std::size_t largest_pipe_bytes = 1u << 20;

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

}  // namespace

Result<Output> run_process(const Command& command) {
  const auto until = Clock::now() + command.timeout;
  K4T_TRY(check_command(command));
  if (command.timeout.count() <= 0 || (command.cancelled && command.cancelled())) {
    return Error{Status::deadline, "no time was left to start " + command.argv.front(), {}};
  }
  K4T_ASSIGN(const Fd in, input_file(command.input));
  K4T_ASSIGN(Pipe out, make_pipe());
  K4T_ASSIGN(Pipe err, make_pipe());
  K4T_ASSIGN(const pid_t pid, spawn(command, in.get(), out.write_end.get(), err.write_end.get()));
  out.write_end.reset();
  err.write_end.reset();
  return Child(pid, std::move(out), std::move(err), command).attend(until);
}

}  // namespace k4t::transport
