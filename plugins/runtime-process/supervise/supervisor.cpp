#include "supervise/supervisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <ctime>
#include <vector>

namespace k4t::process {
namespace {

/// How often the folder is looked at although nothing calls for it: a missed call, or a folder that was deleted.
constexpr std::chrono::milliseconds kLook{1000};
constexpr int kLeftoverTimeout_ms = 5000;
constexpr int kKilled = 128 + SIGKILL;

std::chrono::milliseconds until(std::chrono::steady_clock::time_point time) {
  return std::chrono::ceil<std::chrono::milliseconds>(time - std::chrono::steady_clock::now());
}

Limits limits_of(const runtime::InstanceSpec& spec) { return {spec.cpu_millis, spec.memory_bytes, spec.pids}; }

int exit_code_of(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

sigset_t handled_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, kAskPolitely}) ::sigaddset(&set, number);
  return set;
}

/// The keeper's side of the report: lines of "WORD VALUE".
KeeperReport reporting_to(int fd) {
  const auto tell = [fd](const std::string& line) {
    [[maybe_unused]] const auto written = ::write(fd, line.data(), line.size());
  };
  return {[tell](pid_t pid) { tell("started " + std::to_string(pid) + "\n"); },
          [tell](const std::string& why) { tell("failed " + why + "\n"); },
          [tell](int status) { tell("ended " + std::to_string(status) + "\n"); }};
}

int to_number(const std::string& text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Supervisor::Supervisor(InstanceFolder folder, Launch launch, Descriptor lock)
    : folder_(std::move(folder)),
      launch_(std::move(launch)),
      lock_(std::move(lock)),
      cgroups_(find_hierarchies(), launch_.cgroup, limits_of(launch_.spec)),
      log_(folder_.log_file(), folder_.older_log_file(), launch_.log_file_bytes) {
  status_.boot = boot_id();
  status_.supervisor = ::getpid();
  status_.supervisor_start_ticks = process_start_ticks(::getpid());
}

Result<void> Supervisor::prepare() {
  leave_callers_group(find_hierarchies());
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  std::signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = handled_signals();
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);  // NOLINT(concurrency-mt-unsafe): there is one thread
  signals_ = Descriptor(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (::mkfifo(folder_.control_file().c_str(), 0600) != 0 && errno != EEXIST) return system_error("cannot make a pipe");
  control_ = Descriptor(::open(folder_.control_file().c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!control_.valid() || !signals_.valid()) return system_error("cannot open " + folder_.control_file());
  // Where an earlier supervisor and its keeper were killed in one stroke, something of theirs may still be running.
  if (!cgroups_.kill_all(kLeftoverTimeout_ms)) {
    return Error{Status::unavailable, "processes of its last life cannot be killed", {}};
  }
  enforced_ = cgroups_.create();
  status_.cpu_millis = enforced_.cpu_millis;
  status_.memory_bytes = enforced_.memory_bytes;
  write_status();
  return {};
}

void Supervisor::run(const OnFirst& on_first) {
  if (const auto prepared = prepare(); !prepared) return on_first(kBroken, prepared.error().message);
  Backoff backoff;
  for (bool first = true;; first = false) {
    const Life life = live_once([&] {
      if (first) on_first(kRuns, {});
    });
    const bool never_ran = first && life.pid == 0;
    const bool again = !must_stop() && lives_again() && !never_ran;
    set_phase(again ? runtime::Phase::restarting : runtime::Phase::exited);
    if (never_ran) on_first(kCannotRun, status_.detail);
    if (!again) break;
    wait_between(backoff.next(std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - life.begun)));
    if (must_stop()) {
      set_phase(runtime::Phase::exited);
      break;
    }
    ++status_.restarts;
  }
  cgroups_.kill_all(kLeftoverTimeout_ms);
  cgroups_.remove();
}

Supervisor::Life Supervisor::live_once(const std::function<void()>& on_start) {
  const std::uint64_t oom_kills = cgroups_.oom_kills();
  Life life;
  const auto birth = prepare_birth(folder_, launch_, launch_.argv, cgroups_);
  auto born = birth ? bear(*birth) : Result<Life>(birth.error());
  if (born) {
    life = *std::move(born);
    live(life, on_start);
  } else {
    life.failure = born.error().message;
  }
  note_end(life, oom_kills);
  return life;
}

Result<Supervisor::Life> Supervisor::bear(const Birth& birth) {
  K4T_ASSIGN(auto out, make_pipe());
  K4T_ASSIGN(auto err, make_pipe());
  K4T_ASSIGN(auto report, make_pipe());
  for (const int fd : {out.read.get(), err.read.get(), report.read.get()}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  const pid_t supervisor = ::getpid();
  const pid_t keeper = ::fork();
  if (keeper < 0) return system_error("cannot start a process");
  if (keeper == 0) {
    keep(birth, out.write.get(), err.write.get(), supervisor, reporting_to(report.write.get()));
    ::_exit(0);
  }
  Life life;
  life.keeper = keeper;
  life.out = std::move(out.read);
  life.err = std::move(err.read);
  life.report = std::move(report.read);
  return life;
}

/// Follows a life until its keeper is gone and all that it printed is in the log.
void Supervisor::live(Life& life, const std::function<void()>& on_start) {
  while (life.report.valid()) {
    wait_for_event(&life, life.kill_at ? std::clamp(until(*life.kill_at), std::chrono::milliseconds(0), kLook) : kLook);
    if (!read_report(life)) life.report.reset();
    if (life.pid != 0 && status_.pid == 0) {
      note_start(life);
      on_start();
    }
    push_on(life);
  }
  finish(life);
}

void Supervisor::note_start(const Life& life) {
  status_.phase = runtime::Phase::running;
  status_.pid = life.pid;
  status_.started_at_s = std::time(nullptr);
  status_.detail.clear();
  write_status();
}

void Supervisor::wait_for_event(Life* life, std::chrono::milliseconds timeout) {
  std::vector<pollfd> ready = {{control_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
  if (life != nullptr) {
    for (const Descriptor* fd : {&life->report, &life->out, &life->err}) ready.push_back({fd->get(), POLLIN, 0});
  }
  ::poll(ready.data(), ready.size(), static_cast<int>(timeout.count()));
  char bytes[512];
  while (::read(control_.get(), bytes, sizeof bytes) > 0) {
  }
  for (signalfd_siginfo info{}; ::read(signals_.get(), &info, sizeof info) == sizeof info;) {
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) asked_to_end_ = true;
  }
  if (life == nullptr) return;
  if (life->out.valid() && !pass_on(life->out, Channel::out)) life->out.reset();
  if (life->err.valid() && !pass_on(life->err, Channel::err)) life->err.reset();
}

/// False: the keeper has closed its end, so it is gone.
bool Supervisor::read_report(Life& life) {
  char bytes[4096];
  const auto got = ::read(life.report.get(), bytes, sizeof bytes);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  life.report_text.append(bytes, static_cast<std::size_t>(got));
  for (auto end = life.report_text.find('\n'); end != std::string::npos; end = life.report_text.find('\n')) {
    const std::string line = life.report_text.substr(0, end);
    life.report_text.erase(0, end + 1);
    const std::string value = line.substr(line.find(' ') + 1);
    if (line.starts_with("started ")) life.pid = to_number(value);
    if (line.starts_with("failed ")) life.failure = value;
    if (line.starts_with("ended ")) life.wait_status = to_number(value);
  }
  return got > 0;
}

/// Moves what has come into the log, a bounded piece at a time. False: nobody can write any more.
bool Supervisor::pass_on(Descriptor& from, Channel channel) {
  constexpr int kPieces = 16;
  for (int piece = 0; piece < kPieces; ++piece) {
    char bytes[16384];
    const auto got = ::read(from.get(), bytes, sizeof bytes);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    log_.append(channel, {bytes, static_cast<std::size_t>(got)});
  }
  return true;
}

/// The keeper is this process's child and not reaped yet, so a signal cannot reach anybody else.
void Supervisor::push_on(Life& life) {
  if (!life.report.valid() || life.pid == 0) return;
  if (!life.kill_at && must_stop()) {
    ::kill(life.keeper, kAskPolitely);
    life.kill_at = Clock::now() + std::chrono::seconds(launch_.spec.stop_timeout_s);
  }
  if (life.kill_at && Clock::now() >= *life.kill_at) ::kill(life.keeper, kKillAll);
}

void Supervisor::finish(Life& life) {
  ::waitpid(life.keeper, nullptr, 0);
  // Where the keeper itself was killed, what it kept is now this process's to end.
  kill_descendants();
  for (auto [from, channel] : {std::pair{&life.out, Channel::out}, std::pair{&life.err, Channel::err}}) {
    // Everybody who could write is gone, so what is in the pipe is all there will be.
    for (int piece = 0; piece < 64 && from->valid() && pass_on(*from, channel); ++piece) {
      pollfd ready{from->get(), POLLIN, 0};
      if (::poll(&ready, 1, 0) <= 0) break;
    }
  }
  log_.flush();
}

void Supervisor::note_end(const Life& life, std::uint64_t oom_kills_before) {
  status_.pid = 0;
  if (life.pid == 0) {
    status_.exit_code = 127;
    status_.detail = life.failure.value_or("its keeper was killed");
    return;
  }
  status_.exit_code = life.wait_status ? exit_code_of(*life.wait_status) : kKilled;
  status_.detail = life.wait_status ? "" : "its keeper was killed, and it with it";
  if (status_.exit_code == kKilled && cgroups_.oom_kills() > oom_kills_before) {
    status_.detail = "out of memory (limit " + std::to_string(launch_.spec.memory_bytes) + " bytes)";
  }
}

bool Supervisor::lives_again() const {
  switch (launch_.spec.restart) {
    case runtime::Restart::always: return true;
    case runtime::Restart::on_failure: return status_.exit_code != 0;
    case runtime::Restart::never: return false;
  }
  return false;
}

void Supervisor::wait_between(std::chrono::milliseconds wait) {
  const auto end = Clock::now() + wait;
  while (!must_stop() && until(end).count() > 0) wait_for_event(nullptr, std::min(until(end), kLook));
}

bool Supervisor::must_stop() {
  struct stat lock {};
  const bool orphaned = ::fstat(lock_.get(), &lock) == 0 && lock.st_nlink == 0;
  return asked_to_end_ || orphaned || folder_.stop_wanted();
}

void Supervisor::set_phase(runtime::Phase phase) {
  status_.phase = phase;
  write_status();
}

void Supervisor::write_status() {
  const std::string text = Json(status_).dump(-1, ' ', false, Json::error_handler_t::replace);
  // A full disk must not end an instance that runs; the next change is written again.
  static_cast<void>(replace_file(folder_.status_file(), text, Durability::process));
}

}  // namespace k4t::process
