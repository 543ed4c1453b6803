#include "supervise/keeper.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>
#include <sstream>

namespace k4t::process {
namespace {

static_assert(kAskPolitely == SIGUSR1 && kKillAll == SIGTERM);

struct Born {
  pid_t pid = -1;
  std::string failure;  ///< empty: it runs
};

Born bear(const Birth& birth, int out_fd, int err_fd) {
  auto errors = make_pipe();
  if (!errors) return {-1, errors.error().message};
  const pid_t keeper = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return {-1, system_error("cannot start a process").message};
  if (pid == 0) be_born(birth, out_fd, err_fd, errors->write.get(), keeper);
  errors->write.reset();
  Born born{pid, {}};
  for (char bytes[512];;) {
    const auto got = ::read(errors->read.get(), bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return born;
    born.failure.append(bytes, static_cast<std::size_t>(got));
  }
}

/// Reaps what has ended; the status of `first` once that has.
std::optional<int> reap(pid_t first) {
  std::optional<int> ended;
  for (int status = 0;;) {
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return ended;
    if (pid == first) ended = status;
  }
}

int wait_for_end(pid_t first) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGCHLD, kAskPolitely, kKillAll}) ::sigaddset(&signals, number);
  for (;;) {
    const int number = ::sigwaitinfo(&signals, nullptr);
    if (number == kKillAll) ::kill(first, SIGKILL);
    if (number == kAskPolitely) ::kill(-first, SIGTERM);
    // `first` is signalled only while it is not reaped, so its number cannot be another's.
    if (const auto ended = reap(first)) return *ended;
  }
}

}  // namespace

void kill_descendants() {
  constexpr int kStep_ms = 5;
  const std::string list = "/proc/self/task/" + std::to_string(::getpid()) + "/children";
  for (;;) {
    if (const auto text = read_file(list)) {
      std::istringstream pids(*text);
      for (pid_t pid = 0; pids >> pid;) ::kill(pid, SIGKILL);
    }
    reap(-1);
    if (::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD) return;
    // The kernel's list may miss one while others come and go.
    ::poll(nullptr, 0, kStep_ms);
  }
}

void keep(const Birth& birth, int out_fd, int err_fd, pid_t parent, const KeeperReport& report) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::prctl(PR_SET_PDEATHSIG, kKillAll);
  if (::getppid() != parent) return;
  const Born born = bear(birth, out_fd, err_fd);
  if (!born.failure.empty()) {
    kill_descendants();
    return report.failed(born.failure);
  }
  report.started(born.pid);
  const int status = wait_for_end(born.pid);
  if (birth.is_instance) birth.cgroups->kill_all(0);
  kill_descendants();
  report.ended(status);
}

}  // namespace k4t::process
