#include "program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <optional>

#include "spawn.hpp"
#include "stream.hpp"

namespace k4t::transport {
namespace {

using std::chrono::milliseconds;

/// How long a program whose channels are closed is waited for before somebody else has to reap it.
constexpr milliseconds end_patience{100};
/// More than this on standard error: what came first is dropped.
constexpr off_t largest_noise_bytes = 1 << 20;

/// Programs that had not ended when their streams were closed. They are reaped when another one starts or ends.
class Unreaped {
 public:
  void add(pid_t pid) {
    const std::lock_guard lock(mutex_);
    pids_.push_back(pid);
  }
  void reap() {
    const std::lock_guard lock(mutex_);
    std::erase_if(pids_, [](pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) != 0; });
  }

 private:
  std::mutex mutex_;
  std::vector<pid_t> pids_;
};

Unreaped& unreaped() {
  static Unreaped all;
  return all;
}

/// A program, one socket for its standard input and output, and an anonymous file for its standard error: so that
/// nobody has to read along lest it block.
class LocalProgram final : public Stream {
 public:
  LocalProgram(std::string name, pid_t pid, Fd socket, Fd noise)
      : name_(std::move(name)), pid_(pid), stream_(stream_over(std::move(socket))), noise_(std::move(noise)) {}
  ~LocalProgram() override {
    stream_.reset();
    if (!reap(end_patience)) unreaped().add(pid_);
    unreaped().reap();
  }
  LocalProgram(const LocalProgram&) = delete;
  LocalProgram& operator=(const LocalProgram&) = delete;

  Result<std::string> read(std::size_t limit_bytes, milliseconds timeout) override {
    limit_noise();
    auto bytes = stream_->read(limit_bytes, timeout);
    // One that ends without having read all its input resets the connection.
    if (bytes ? !bytes->empty() : bytes.status() == Status::deadline) return bytes;
    K4T_TRY(end());
    return std::string();
  }

  Result<void> write(std::string_view bytes, milliseconds timeout) override {
    limit_noise();
    auto written = stream_->write(bytes, timeout);
    if (written || written.status() == Status::deadline) return written;
    K4T_TRY(end());
    return Error{Status::unavailable, name_ + " has ended", {}};
  }

  Result<void> close_write() override { return stream_->close_write(); }

 private:
  void limit_noise() const {
    struct stat about {};
    if (::fstat(noise_.get(), &about) != 0 || about.st_size <= largest_noise_bytes) return;
    if (::ftruncate(noise_.get(), 0) != 0) return;
  }

  Result<void> end() {
    if (!reap(end_patience)) return {};
    return judge_end(name_, *code_, last_words());
  }

  [[nodiscard]] std::string last_words() const {
    struct stat about {};
    if (::fstat(noise_.get(), &about) != 0) return {};
    std::string words(last_words_bytes, '\0');
    const auto got = ::pread(noise_.get(), words.data(), words.size(),
                             std::max<off_t>(0, about.st_size - static_cast<off_t>(last_words_bytes)));
    words.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return words;
  }

  /// False: it has not ended.
  bool reap(milliseconds patience) {
    if (code_) return true;
    const Fd watch(open_pidfd(pid_));
    pollfd ended{watch.get(), POLLIN, 0};
    if (watch.open()) ::poll(&ended, 1, static_cast<int>(patience.count()));
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
    code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
  }

  const std::string name_;
  const pid_t pid_;
  std::unique_ptr<Stream> stream_;
  Fd noise_;
  std::optional<int> code_;
};

Result<Fd> noise_file() {
  Fd fd(::memfd_create("stderr", MFD_CLOEXEC));
  if (!fd.open() || ::fcntl(fd.get(), F_SETFL, O_APPEND) != 0) return system_error("cannot start a program", errno);
  return above_channels(std::move(fd));
}

}  // namespace

Result<void> judge_end(const std::string& program, int code, std::string last_words) {
  if (code == 0) return {};
  const std::string how = code < 0     ? " broke off"
                          : code > 128 ? " was ended by signal " + std::to_string(code - 128)
                                       : " ended with exit code " + std::to_string(code);
  return Error{Status::unavailable, program + how, std::move(last_words)};
}

Result<void> check_start(const Command& command) {
  K4T_TRY(check_command(command));
  if (!command.input.empty()) {
    return Error{Status::invalid_argument, command.argv.front() + " is to stay: its input is what is written", {}};
  }
  if (command.timeout.count() > 0 && !(command.cancelled && command.cancelled())) return {};
  return Error{Status::deadline, "no time was left to start " + command.argv.front(), {}};
}

Result<std::unique_ptr<Stream>> start_program(const Command& command) {
  K4T_TRY(check_start(command));
  unreaped().reap();
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return system_error("cannot start " + command.argv.front(), errno);
  }
  Fd near(ends[0]);
  K4T_ASSIGN(const Fd far, above_channels(Fd(ends[1])));
  ::fcntl(near.get(), F_SETFL, O_NONBLOCK);
  K4T_ASSIGN(Fd noise, noise_file());
  K4T_ASSIGN(const pid_t pid, spawn(command, far.get(), far.get(), noise.get()));
  return std::unique_ptr<Stream>(
      std::make_unique<LocalProgram>(command.argv.front(), pid, std::move(near), std::move(noise)));
}

}  // namespace k4t::transport
