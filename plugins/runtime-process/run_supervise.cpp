#include "run_supervise.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>

#include "files.hpp"

namespace k4t::process {
namespace {

constexpr int kOutputStep_ms = 50;
constexpr int kEndTimeout_ms = 3000;

/// posix_spawn, because the host may have threads. The program starts with default signals in a session of its own.
int spawn(pid_t& pid, const std::string& program, const std::vector<std::string>& args, int out_fd, int err_fd) {
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const auto& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  char* env[] = {path, nullptr};
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, out_fd, 1);
  ::posix_spawn_file_actions_adddup2(&files, err_fd, 2);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  const int error = ::posix_spawn(&pid, program.c_str(), &files, &attributes, argv.data(), env);
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  return error;
}

/// Politely at first, so that the program can end what it has started.
int end_child(pid_t pid) {
  int status = 0;
  ::kill(pid, SIGTERM);
  for (int waited_ms = 0; waited_ms < kEndTimeout_ms; waited_ms += 10) {
    if (::waitpid(pid, &status, WNOHANG) == pid) return status;
    ::poll(nullptr, 0, 10);
  }
  ::kill(pid, SIGKILL);
  ::waitpid(pid, &status, 0);
  return status;
}

enum class Flow { goes_on, over, unwanted };

Flow pass_on(Descriptor& from, Channel channel, const OutputSink& sink) {
  char bytes[16384];
  const auto got = ::read(from.get(), bytes, sizeof bytes);
  if (got < 0 && errno == EINTR) return Flow::goes_on;
  if (got <= 0) {
    from.reset();
    return Flow::over;
  }
  return sink(channel, {bytes, static_cast<std::size_t>(got)}) ? Flow::goes_on : Flow::unwanted;
}

}  // namespace

Result<int> run_supervise(const std::string& program, const std::vector<std::string>& args, const OutputSink& sink,
                          const Call& call) {
  K4T_ASSIGN(auto out, make_pipe());
  K4T_ASSIGN(auto err, make_pipe());
  pid_t pid = -1;
  if (const int error = spawn(pid, program, args, out.write.get(), err.write.get()); error != 0) {
    return Error{Status::unavailable, "cannot run " + program + ": " + std::generic_category().message(error), {}};
  }
  out.write.reset();
  err.write.reset();
  while (out.read.valid() || err.read.valid()) {
    if (call.cancelled()) {
      end_child(pid);
      return Error{Status::deadline, "given up before its end", {}};
    }
    pollfd ready[2] = {{out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}};
    if (::poll(ready, 2, kOutputStep_ms) <= 0) continue;
    Flow flow = Flow::goes_on;
    if (ready[0].revents != 0) flow = pass_on(out.read, Channel::out, sink);
    if (ready[1].revents != 0 && flow != Flow::unwanted) flow = pass_on(err.read, Channel::err, sink);
    if (flow == Flow::unwanted) {
      end_child(pid);
      return 0;
    }
  }
  // A program may close its output and go on.
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (call.cancelled()) {
      end_child(pid);
      return Error{Status::deadline, "given up before its end", {}};
    }
    ::poll(nullptr, 0, 2);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace k4t::process
