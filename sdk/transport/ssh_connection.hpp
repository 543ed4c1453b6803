#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "ssh_job.hpp"
#include "ssh_session.hpp"

namespace k4t::transport {

/// One machine's SSH connection and the thread that alone uses it. Commands and streams are its jobs. It connects when
/// there is a job and no connection; jobs that were waiting while that failed fail with the reason, and the next one
/// tries again. A job that was lost before anything was asked of the server is tried on one more connection.
/// Key exchange and authentication have their turn among those of other connections (handshake_turns), for which it
/// queues with no time-out as long as a job waits. A server that is silent meanwhile keeps the turn from others for
/// half a second at most. A TCP connection, also one through a jump host, is made without a turn, so that nobody who
/// has one waits for another's. Thread-safe.
class SshConnection {
 public:
  /// `jump`: the connection to go through, or nullptr.
  SshConnection(SshTarget target, SshOptions options, std::shared_ptr<SshConnection> jump);
  /// Cuts what still runs. Waits half a second at most, for abandoned commands to be killed.
  ~SshConnection();
  SshConnection(const SshConnection&) = delete;
  SshConnection& operator=(const SshConnection&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  /// Another connection to the same machine, in the same way.
  [[nodiscard]] std::shared_ptr<SshConnection> another() const {
    return std::make_shared<SshConnection>(target_, options_, jump_);
  }

  /// Takes the job up. Its wait() tells when it is done.
  void submit(std::shared_ptr<Job> job);
  /// The job was abandoned: ends it now instead of with the next event.
  void notice();

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  void linger();
  Result<void> connect();
  Result<Fd> connect_socket();
  Result<bool> await_turn(Turn& turn);
  Result<bool> wait_in_turn(Turn& turn, int fd, short events, std::chrono::milliseconds patience);
  Result<bool> wait_for(int fd, short events, std::chrono::milliseconds patience);
  Result<bool> poll_both(int fd, short events, std::chrono::milliseconds patience);
  [[nodiscard]] Clock::duration queued() const;
  [[nodiscard]] std::chrono::milliseconds time_left() const;
  void take_up();
  void work();
  bool advance_all();
  void settle_crowded();
  void lose(const std::string& why);
  void fail_waiting(const Error& why);
  bool keep_alive();
  void sleep();
  [[nodiscard]] std::size_t occupied() const;
  [[nodiscard]] bool has_waiting();

  const SshTarget target_;
  const SshOptions options_;
  const std::string name_;
  const std::shared_ptr<SshConnection> jump_;
  Fd wake_;
  std::atomic<bool> stopping_ = false;
  AgentInUse agent_;
  Stopwatch in_queue_;

  std::mutex mutex_;
  std::deque<std::shared_ptr<Job>> waiting_;  ///< guarded by mutex_
  std::thread thread_;                        ///< guarded by mutex_; started with the first job

  // The thread's own.
  std::unique_ptr<SshSession> session_;
  std::vector<std::shared_ptr<Job>> active_;
  std::vector<std::shared_ptr<Job>> clean_ups_;  ///< those of active_ that kill abandoned commands
  std::size_t session_limit_;
  int refusals_ = 0;
  std::uint64_t seen_bytes_ = 0;
  Clock::time_point heard_;
  Clock::time_point begun_;  ///< connecting, on a clock that stands still while it is queued
  bool asked_ = false;
};

}  // namespace k4t::transport
