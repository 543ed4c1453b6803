#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <poll.h>

#include "errors.hpp"
#include "k4t/transport.hpp"
#include "ssh_command.hpp"

namespace k4t::transport {

/// One channel of a connection, from its request to the moment when the server has closed it. The connection's thread
/// does the work; the thread that asked waits for the outcome and may give up at any time.
class Job {
 public:
  using Clock = std::chrono::steady_clock;

  Job();
  virtual ~Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // Called by the thread that asked.

  /// False: the time is over or the caller gave up; the job is then abandoned.
  bool wait(Clock::time_point until, const std::function<bool()>& cancelled);

  // Called by the connection's thread.

  /// Does what can be done now without waiting. `where` is the host's name for messages.
  void advance(ssh_session session, const std::string& where);
  /// The connection is gone. True: nothing was asked of the server yet, so that the job can begin anew on another one.
  bool connection_lost(const Error& why);
  /// The job cannot begin.
  void refuse(const Error& why) { finish(why); }
  /// Needs no more attention.
  [[nodiscard]] bool over() const { return phase_ == Phase::over; }
  /// Occupies one of the server's sessions.
  [[nodiscard]] virtual bool is_session() const = 0;
  [[nodiscard]] bool occupies() const;
  [[nodiscard]] bool abandoned() const { return abandoned_; }
  /// The server did not open a session for it, maybe because it has enough of them on this connection. Then either of:
  [[nodiscard]] bool crowded_out() const { return crowded_out_.has_value(); }
  void try_again();
  void give_up();
  /// There may be bytes that libssh holds already, for which no descriptor becomes ready.
  [[nodiscard]] bool has_more() const { return more_; }
  /// What cleans up after an abandoned job, once; nullptr: nothing is to be done.
  virtual std::shared_ptr<Job> take_clean_up() { return nullptr; }
  /// What to poll for on the job's own descriptor; fd -1: it has none.
  [[nodiscard]] virtual pollfd interest() const { return {-1, 0, 0}; }

 protected:
  virtual int open(ssh_channel channel) = 0;
  /// After the channel is open; SSH_AGAIN: call again.
  virtual int begin(ssh_channel channel) = 0;
  /// Moves bytes; false: the channel is to be closed.
  virtual bool move(ssh_channel channel) = 0;
  virtual void on_lost() {}
  virtual void on_close() {}
  /// What a channel that cannot be opened means.
  [[nodiscard]] virtual Error cannot_open(const std::string& why) = 0;

  /// Hands the outcome over, once; later ones are ignored.
  void finish(std::optional<Error> error);
  [[nodiscard]] bool closed_by_server() const { return closed_by_server_; }
  std::string where_;
  bool more_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool finished_ = false;
  std::optional<Error> error_;

 private:
  enum class Phase { waiting, opening, beginning, moving, closing, over };
  struct ChannelDeleter {
    void operator()(ssh_channel channel) const { ssh_channel_free(channel); }
  };
  void advance_opening(ssh_session session);
  void advance_beginning(ssh_session session);
  void close();

  Phase phase_ = Phase::waiting;
  std::unique_ptr<ssh_channel_struct, ChannelDeleter> channel_;
  ssh_channel_callbacks_struct callbacks_{};
  bool closed_by_server_ = false;
  std::optional<std::string> crowded_out_;
  Clock::time_point closing_since_;
  int lost_ = 0;
  std::atomic<bool> abandoned_ = false;
};

/// A command, its input and its output.
class CommandJob final : public Job {
 public:
  /// `line` is what command_line made with `token`.
  CommandJob(const Command& command, std::string line, const std::string& token);

  [[nodiscard]] bool is_session() const override { return true; }
  std::shared_ptr<Job> take_clean_up() override;
  /// REQUIRES: wait() returned true.
  Result<Output> outcome();

 private:
  int open(ssh_channel channel) override;
  int begin(ssh_channel channel) override;
  bool move(ssh_channel channel) override;
  [[nodiscard]] Error cannot_open(const std::string& why) override;
  bool send_input(ssh_channel channel);
  void receive(ssh_channel channel, MarkedChannel& into, int is_stderr);
  void conclude();
  [[nodiscard]] Error broken_off();

  const std::string program_;
  const std::string input_;
  const std::string line_;
  const std::string token_;
  bool cleaned_up_ = false;
  std::size_t sent_bytes_ = 0;
  bool sent_all_ = false;
  MarkedChannel out_;
  MarkedChannel err_;
  Output output_;
};

/// Joins a channel with a local socket pair, whose other end is the caller's.
class BridgeJob : public Job {
 public:
  [[nodiscard]] pollfd interest() const override;
  /// REQUIRES: wait() returned true. The caller's end, non-blocking.
  Result<Fd> outcome();
  /// The stream did not end but break: what was read may not be all.
  [[nodiscard]] bool broken() const { return broken_; }

 protected:
  /// Makes the socket pair; false: it cannot be made.
  bool make_ends();
  bool move(ssh_channel channel) override { return to_local(channel) && to_remote(channel); }
  /// No more will come from the channel than is there to be read.
  virtual bool at_end(ssh_channel channel);
  void on_lost() override;
  void on_close() override { near_.reset(); }

  std::string for_local_;

 private:
  bool to_local(ssh_channel channel);
  bool to_remote(ssh_channel channel);

  Fd near_;
  Fd far_;
  std::string for_remote_;
  bool local_ended_ = false;
  bool remote_ended_ = false;
  bool window_full_ = false;
  std::atomic<bool> broken_ = false;
};

/// A connection that the server makes to a socket of its machine.
class StreamJob final : public BridgeJob {
 public:
  /// A unix socket where `port` is 0.
  StreamJob(std::string address, std::uint16_t port);

  [[nodiscard]] bool is_session() const override { return false; }
  /// The server would not open it. REQUIRES: wait() returned true.
  [[nodiscard]] bool refused() const { return refused_; }

 private:
  int open(ssh_channel channel) override;
  int begin(ssh_channel channel) override;
  [[nodiscard]] Error cannot_open(const std::string& why) override;

  const std::string address_;
  const std::uint16_t port_;
  std::atomic<bool> refused_ = false;
};

}  // namespace k4t::transport
