#include <unistd.h>

#include <map>

#include "k4t/ssh.hpp"
#include "program.hpp"
#include "spawn.hpp"
#include "ssh_connection.hpp"
#include "ssh_files.hpp"
#include "ssh_program.hpp"
#include "ssh_socket.hpp"
#include "stream.hpp"

namespace k4t::transport {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// The caller's end of a forwarded stream. A cut connection looks like an orderly end on a socket pair, so the end is
/// believed only if the connection did not break.
class SshStream final : public Stream {
 public:
  SshStream(std::shared_ptr<SshConnection> connection, std::shared_ptr<StreamJob> job, std::unique_ptr<Stream> stream)
      : connection_(std::move(connection)), job_(std::move(job)), stream_(std::move(stream)) {}

  Result<std::string> read(std::size_t limit_bytes, milliseconds timeout) override {
    auto bytes = stream_->read(limit_bytes, timeout);
    if (bytes && bytes->empty() && job_->broken()) {
      return Error{Status::unavailable, connection_->name() + ": the connection was lost", {}};
    }
    return bytes;
  }
  Result<void> write(std::string_view bytes, milliseconds timeout) override { return stream_->write(bytes, timeout); }
  Result<void> close_write() override { return stream_->close_write(); }

 private:
  std::shared_ptr<SshConnection> connection_;
  std::shared_ptr<StreamJob> job_;
  std::unique_ptr<Stream> stream_;
};

/// A program's standard input and output, over a connection of its own.
class SshProgram final : public Stream {
 public:
  SshProgram(std::shared_ptr<SshConnection> connection, std::shared_ptr<ProgramJob> job, std::unique_ptr<Stream> stream)
      : connection_(std::move(connection)), job_(std::move(job)), stream_(std::move(stream)) {}

  Result<std::string> read(std::size_t limit_bytes, milliseconds timeout) override {
    auto bytes = stream_->read(limit_bytes, timeout);
    if (bytes ? !bytes->empty() : bytes.status() == Status::deadline) return bytes;
    K4T_TRY(end());
    return std::string();
  }
  Result<void> write(std::string_view bytes, milliseconds timeout) override {
    auto written = stream_->write(bytes, timeout);
    if (written || written.status() == Status::deadline) return written;
    K4T_TRY(end());
    return Error{Status::unavailable, "the program on " + connection_->name() + " has ended", {}};
  }
  Result<void> close_write() override { return stream_->close_write(); }

 private:
  Result<void> end() {
    if (job_->broken()) return Error{Status::unavailable, connection_->name() + ": the connection was lost", {}};
    return job_->end();
  }

  std::shared_ptr<SshConnection> connection_;
  std::shared_ptr<ProgramJob> job_;
  std::unique_ptr<Stream> stream_;
};

class SshHost final : public Host {
 public:
  explicit SshHost(std::shared_ptr<SshConnection> connection) : connection_(std::move(connection)) {}

  [[nodiscard]] std::string name() const override { return connection_->name(); }

  Result<Output> run(const Command& command) override {
    const auto until = Clock::now() + command.timeout;
    K4T_TRY(check_command(command));
    if (command.timeout.count() <= 0 || (command.cancelled && command.cancelled())) {
      return Error{Status::deadline, "no time was left to start " + command.argv.front() + " on " + name(), {}};
    }
    const std::string token = new_token();
    K4T_ASSIGN(std::string line, command_line(command, token));
    const auto job = std::make_shared<CommandJob>(command, std::move(line), token);
    connection_->submit(job);
    if (job->wait(until, command.cancelled)) return job->outcome();
    connection_->notice();
    return Error{Status::deadline,
                 command.argv.front() + " on " + name() + " did not end in time or was cancelled, and was given up",
                 {}};
  }

  Result<std::unique_ptr<Stream>> start(const Command& command) override {
    const auto until = Clock::now() + command.timeout;
    K4T_TRY(check_start(command));
    const std::string token = new_token();
    K4T_ASSIGN(std::string line, program_line(command, token));
    const auto connection = connection_->another();
    const auto job = std::make_shared<ProgramJob>(command.argv.front(), std::move(line), token);
    connection->submit(job);
    if (!job->wait(until, command.cancelled)) {
      return Error{Status::deadline, command.argv.front() + " did not start in time on " + name(), {}};
    }
    K4T_ASSIGN(Fd fd, job->outcome());
    return std::unique_ptr<Stream>(std::make_unique<SshProgram>(connection, job, stream_over(std::move(fd))));
  }

  Result<std::string> read_file(const std::string& path, const Limits& limits) override {
    return remote::read(*this, path, limits);
  }
  Result<void> put_file(const std::string& path, std::string_view bytes, unsigned mode, const Limits& limits) override {
    return remote::put(*this, path, bytes, mode, limits);
  }
  Result<void> swap_file(const std::string& path, const std::optional<std::string>& expected, std::string_view bytes,
                         unsigned mode, const Limits& limits, const std::string& keep_as) override {
    return remote::swap(*this, path, expected, bytes, mode, limits, keep_as);
  }
  Result<void> make_folder(const std::string& path, unsigned mode, const Limits& limits) override {
    return remote::make_folder(*this, path, mode, limits);
  }
  Result<std::vector<std::string>> list_folder(const std::string& path, const Limits& limits) override {
    return remote::list(*this, path, limits);
  }
  Result<void> remove_file(const std::string& path, const Limits& limits) override {
    return remote::remove(*this, path, limits);
  }
  Result<void> sweep_folder(const std::string& path, const Limits& limits) override {
    return remote::sweep(*this, path, limits);
  }

  Result<std::unique_ptr<Stream>> connect_unix(const std::string& path, milliseconds timeout) override {
    K4T_TRY(check_unix_path(path));
    return connect(path, 0, timeout);
  }
  Result<std::unique_ptr<Stream>> connect_tcp(const std::string& address, std::uint16_t port,
                                              milliseconds timeout) override {
    K4T_TRY(check_tcp_address(address, port));
    return connect(address, port, timeout);
  }

 private:
  Result<std::unique_ptr<Stream>> connect(const std::string& address, std::uint16_t port, milliseconds timeout) {
    const auto until = Clock::now() + timeout;
    const auto job = std::make_shared<StreamJob>(address, port);
    connection_->submit(job);
    if (!job->wait(until, nullptr)) {
      connection_->notice();
      return Error{Status::unavailable, "cannot connect to " + address + " on " + name() + ": no answer in time", {}};
    }
    auto fd = job->outcome();
    if (!fd && port == 0 && job->refused()) {
      return remote::explain_refusal(*this, address, fd.error(), std::chrono::ceil<milliseconds>(until - Clock::now()));
    }
    if (!fd) return fd.error();
    return std::unique_ptr<Stream>(std::make_unique<SshStream>(connection_, job, stream_over(*std::move(fd))));
  }

  std::shared_ptr<SshConnection> connection_;
};

/// The connections of this process. Those of the process that forked it are another's.
std::shared_ptr<SshConnection> shared_connection(const SshTarget& target, const SshOptions& options) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<SshConnection>> known;
  std::shared_ptr<SshConnection> jump;
  if (!options.jump.empty()) {
    SshOptions direct = options;
    direct.jump.clear();
    jump = shared_connection(*parse_ssh_url(options.jump), direct);
  }
  const std::lock_guard lock(mutex);
  std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
  auto& slot = known[std::to_string(::getpid()) + " " + target.url() + " " + Json(options).dump()];
  auto connection = slot.lock();
  if (connection == nullptr) {
    connection = std::make_shared<SshConnection>(target, options, std::move(jump));
    slot = connection;
  }
  return connection;
}

}  // namespace

Result<std::shared_ptr<Host>> ssh_host(const std::string& url, const SshOptions& options) {
  K4T_ASSIGN(const SshTarget target, parse_ssh_url(url));
  K4T_TRY(check_ssh_options(options));
  return std::shared_ptr<Host>(std::make_shared<SshHost>(shared_connection(target, options)));
}

Result<std::shared_ptr<Host>> open_host(const std::string& where, const SshOptions& options) {
  if (where == "local") return local_host();
  if (where.starts_with("ssh://")) return ssh_host(where, options);
  return Error{Status::invalid_argument,
               "cannot reach the host '" + where + "': it is neither \"local\" nor ssh://[user@]host[:port]",
               {}};
}

Result<std::shared_ptr<Host>> open_host(const std::string& where) { return open_host(where, {}); }

}  // namespace k4t::transport
