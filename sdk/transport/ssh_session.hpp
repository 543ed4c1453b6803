#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>

#include <libssh/libssh.h>

#include "errors.hpp"
#include "ssh_target.hpp"
#include "ssh_turn.hpp"

namespace k4t::transport {

/// How the steps of connecting wait: until the descriptor is ready for poll's `events` (true), or at most `patience`.
/// An error where connecting is to be given up.
using Wait = std::function<Result<bool>(int fd, short events, std::chrono::milliseconds patience)>;

/// The agent that is being asked. libssh asks it with blocking reads, so another thread must be able to end them.
class AgentInUse {
 public:
  /// Any thread: what is being asked now, and whatever is asked later, ends with a failure.
  void interrupt();
  /// The thread that asks, before and after. `fd` is the agent's socket, which it does not own.
  void begin(int fd);
  void end();

 private:
  std::mutex mutex_;
  Fd copy_;
  bool interrupted_ = false;
};

/// One authenticated SSH session. Everything on it is non-blocking. Used by one thread only.
class SshSession {
 public:
  /// Shakes hands over a connected, non-blocking socket, compares the host key and authenticates. All that fails is
  /// UNAVAILABLE, with the remedy. `turn` is the caller's, who holds it, and whose `wait` may give it back and take it;
  /// it is given back before an agent is asked, which can take as long as the agent likes.
  static Result<std::unique_ptr<SshSession>> open(const SshTarget& target, const SshOptions& options, Fd socket,
                                                  AgentInUse& agent, Turn& turn, const Wait& wait);
  ~SshSession();
  SshSession(const SshSession&) = delete;
  SshSession& operator=(const SshSession&) = delete;

  [[nodiscard]] ssh_session raw() const { return session_; }
  [[nodiscard]] int fd() const { return ssh_get_fd(session_); }
  /// The poll events that the session waits for.
  [[nodiscard]] short events() const;
  /// Reads and writes what can be now.
  void pump();
  /// False: the connection is gone, error() says why.
  [[nodiscard]] bool alive() const;
  [[nodiscard]] std::string error() const;
  /// Bytes received so far: a sign of life.
  [[nodiscard]] std::uint64_t received_bytes() const { return received_.in_bytes; }

 private:
  SshSession(const SshTarget& target, const SshOptions& options);
  Result<void> configure(int fd);
  Result<void> shake_hands(const Wait& wait);
  Result<void> check_host_key();
  Result<void> check_revoked(ssh_key key) const;
  Result<void> authenticate(AgentInUse& agent, Turn& turn, const Wait& wait);
  /// True: accepted. False: refused, another key may do.
  Result<bool> try_agent(AgentInUse& agent, Turn& turn, const Wait& wait);
  Result<bool> try_key(const std::string& file, const Wait& wait);
  Result<bool> repeat(const std::function<int()>& step, const Wait& wait);
  Error unavailable(const std::string& why) const;

  const SshTarget target_;
  const SshOptions options_;
  ssh_session session_;
  ssh_event event_ = nullptr;
  ssh_counter_struct received_{};
};

}  // namespace k4t::transport
