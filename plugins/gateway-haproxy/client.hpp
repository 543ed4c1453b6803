#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent.hpp"
#include "k4t/call.hpp"
#include "k4t/transport.hpp"
#include "runtime.hpp"

/// HAProxy and k4t's file on one host. Every answer is read as untrusted text; what cannot be read is UNAVAILABLE.

namespace k4t::haproxy {

/// The name of a txn's staged file in the work folder.
inline std::string stage_name(const std::string& txn) { return txn + ".cfg"; }

struct Paths {
  std::vector<std::string> config;  ///< the administrator's files, in the order that HAProxy gets them
  std::string file;                 ///< k4t's own
  std::string binary;
  std::string master_socket;

  /// The folder beside k4t's file with stages, lock and the earlier file.
  [[nodiscard]] std::string work() const { return file + ".k4t"; }
  [[nodiscard]] std::string stage(const std::string& txn) const { return work() + "/" + stage_name(txn); }
  [[nodiscard]] std::string server_state() const { return work() + "/servers"; }
};

/// How far apart a process's start and a file's time must be to be told apart: the one comes in ticks of 10 ms, the
/// other from the kernel's coarse clock.
constexpr std::chrono::milliseconds clock_coarseness{50};

/// What the running process says of itself.
struct Process {
  std::int64_t worker_pid = 0;
  std::optional<std::string> variable;
  std::vector<RunningServer> servers;
  std::vector<StatRow> stat;
  bool read_this_file = false;  ///< it started after the file was last touched, to `clock_coarseness`
};

/// One look at file and process, both of one moment.
struct Sight {
  std::string file;  ///< empty: absent or empty
  std::string previous;
  std::vector<std::string> staged;
  std::optional<Process> process;
  std::string down;  ///< why there is no process
};

/// How a replacement of the file ended.
enum class Outcome { conflict, moved, busy, runtime, reload, restored, undecided };

struct Replacement {
  std::string old_file;
  std::string new_file;
  std::string fallback;         ///< goes into the file when the reload fails
  std::string text;             ///< the marker that the process must answer in the end
  std::string stage;            ///< file name to delete after success
  std::string vouched;          ///< the marker of `fallback` where it is known to be what is served; else empty
  std::optional<Batch> batch;   ///< present: try without a reload
  std::int64_t worker_pid = 0;  ///< not 0: nothing is done where another process serves
  bool planned = false;         ///< from an earlier look: nothing is done unless new_file is what is staged
};

struct Replaced {
  Outcome outcome = Outcome::undecided;
  Sight sight;  ///< after `runtime` and `reload`
};

/// A TCP socket that somebody listens on, and by what program where the system tells.
struct Listening {
  std::string address;
  std::uint16_t port = 0;
  std::string program;
};

class Client {
 public:
  Client(std::shared_ptr<transport::Host> host, Paths paths)
      : paths_(std::move(paths)), agent_(std::move(host), paths_.file, paths_.work(), paths_.master_socket) {}

  Result<Sight> look(const Call& call);
  /// `moved`: what the replacement was planned from is not so any more; nothing changed.
  Result<Replaced> replace(const Replacement& replacement, const Call& call);

  /// "show stat" of each process, retiring ones included. UNAVAILABLE unless all of them answered.
  Result<std::vector<StatRow>> sessions(const Call& call);

  /// INVALID_ARGUMENT with HAProxy's own words where it refuses the administrator's files with `file` behind them.
  Result<void> check(const std::string& file, const Call& call);

  Result<std::vector<Listening>> listening(const Call& call);

  Result<void> put_stage(const std::string& txn, const std::string& text, const Call& call);
  /// Empty: nothing is staged under this txn.
  Result<std::string> read_stage(const std::string& txn, const Call& call);
  Result<void> remove_stage(const std::string& txn, const Call& call);

  [[nodiscard]] const Paths& paths() const { return paths_; }

 private:
  Result<transport::Output> execute(std::vector<std::string> argv, const Call& call);

  Paths paths_;
  Agent agent_;
};

/// The sockets in the output of `ss -Hltnp`; lines that do not read as such are left out. Pure.
std::vector<Listening> parse_ss(std::string_view output);

/// True where nobody can bind `address`:`port` beside `other`: the same port, and one address covers the other. Pure.
bool collides(const std::string& address, std::uint16_t port, const Listening& other);

}  // namespace k4t::haproxy
