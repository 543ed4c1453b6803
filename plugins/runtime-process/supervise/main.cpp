/// k4t-supervise run FOLDER: becomes, in the background, the supervisor of the instance in FOLDER.
/// k4t-supervise exec FOLDER PROGRAM [ARGUMENT …]: runs a command as the instance runs, with its environment.

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "supervise/exit_codes.hpp"
#include "supervise/keeper.hpp"
#include "supervise/supervisor.hpp"

namespace {

using namespace k4t::process;

int complain(const std::string& text, int exit_code) {
  std::fprintf(stderr, "%s\n", text.c_str());
  return exit_code;
}

/// Gives up what ties this process to its caller.
void detach() {
  ::setsid();
  const Descriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = 0; fd < 3; ++fd) ::dup2(null.get(), fd);
}

/// Waits for the supervisor's first news: an exit code as one character, the reason where it is a failure, and a zero
/// byte. The end of the pipe tells nothing, for the first life's keeper has a copy of it.
int pass_first_news_on(int fd) {
  std::string news;
  for (char byte = 0; ::read(fd, &byte, 1) == 1;) {
    if (byte != '\0') {
      news += byte;
      continue;
    }
    const int exit_code = news.at(0) - '0';
    return exit_code == kRuns ? kRuns : complain(news.substr(1), exit_code);
  }
  return complain("the supervisor was killed", kBroken);
}

int run(const InstanceFolder& folder) {
  auto launch = folder.launch();
  if (!launch) return complain(launch.error().message, kBroken);
  auto lock = folder.lock();
  if (!lock) return complain(lock.error().message, lock.status() == k4t::Status::conflict ? kSupervised : kBroken);
  auto news = make_pipe();
  if (!news) return complain(news.error().message, kBroken);
  const pid_t supervisor = ::fork();
  if (supervisor < 0) return complain(system_error("cannot start a process").message, kBroken);
  if (supervisor > 0) {
    news->write.reset();
    return pass_first_news_on(news->read.get());
  }
  detach();
  Supervisor(folder, *std::move(launch), *std::move(lock)).run([&](SuperviseExit outcome, const std::string& failure) {
    const std::string text = static_cast<char>('0' + outcome) + failure;
    [[maybe_unused]] const auto written = ::write(news->write.get(), text.c_str(), text.size() + 1);
    news->write.reset();
  });
  return 0;
}

int exec(const InstanceFolder& folder, std::vector<std::string> argv) {
  const pid_t caller = ::getppid();
  const auto launch = folder.launch();
  if (!launch) return complain(launch.error().message, kBroken);
  const auto& spec = launch->spec;
  const Cgroups cgroups(find_hierarchies(), launch->cgroup, {spec.cpu_millis, spec.memory_bytes, spec.pids});
  auto birth = prepare_birth(folder, *launch, std::move(argv), cgroups);
  if (!birth) return complain(birth.error().message, kNoSuchCommand);
  birth->is_instance = false;
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGCHLD, kAskPolitely, kKillAll}) ::sigaddset(&signals, number);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);  // NOLINT(concurrency-mt-unsafe): there is one thread
  int exit_code = 128 + SIGKILL;
  keep(*birth, 1, 2, caller,
       {[](pid_t) {}, [&](const std::string& why) { exit_code = complain(why, kNoSuchCommand); },
        [&](int status) { exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }});
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  ::close_range(3, ~0U, 0);
  ::umask(022);
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() == 2 && args[0] == "run") return run(InstanceFolder(args[1]));
  if (args.size() >= 3 && args[0] == "exec") return exec(InstanceFolder(args[1]), {args.begin() + 2, args.end()});
  return complain("usage: k4t-supervise run FOLDER | exec FOLDER PROGRAM [ARGUMENT …]", kUsage);
}
