#pragma once

#include <optional>
#include <string>

#include "files.hpp"
#include "k4t/runtime.hpp"

/// The files of one instance, through which its supervisor and the driver, which may run years apart, speak:
///
///     spec.json    what to run; written once, before the folder gets its name
///     status.json  how it is; written by the supervisor alone
///     lock         locked while the supervisor or anything that it has started may live
///     stop         exists: it is to be stopped and to stay so
///     control      a pipe: any byte makes the supervisor look for `stop`
///     log, log.1   what it printed, and the file before that
///     resolv.conf  the name servers that it sees, where the spec names some

namespace k4t::process {

/// spec.json.
struct Launch {
  runtime::InstanceSpec spec;
  std::vector<std::string> argv;  ///< image, entrypoint and command made into one
  std::string cgroup;             ///< the control groups' name
  std::uint64_t log_file_bytes = 0;
};
K4T_JSON(Launch, spec, argv, cgroup, log_file_bytes)

/// status.json. True as long as the lock is held and the boot is the same; see `judge`.
struct StatusFile {
  runtime::Phase phase = runtime::Phase::created;
  std::int32_t exit_code = 0;
  std::uint32_t restarts = 0;
  std::int64_t started_at_s = 0;
  std::string detail;
  std::string boot;             ///< boot_id() of the supervisor
  std::int32_t supervisor = 0;  ///< pid
  std::uint64_t supervisor_start_ticks = 0;
  std::int32_t pid = 0;          ///< of the instance's first process; 0: between two lives
  std::uint32_t cpu_millis = 0;  ///< the limits that are really enforced
  std::uint64_t memory_bytes = 0;
};
K4T_JSON(StatusFile, phase, exit_code, restarts, started_at_s, detail, boot, supervisor, supervisor_start_ticks, pid,
         cpu_millis, memory_bytes)

/// What is true, given what status.json says (absent: there is none), whether its supervisor lives, and the present
/// boot: a status that says "running" without a supervisor was left behind by a supervisor that was killed, or by a
/// machine that went down. Pure.
StatusFile judge(std::optional<StatusFile> status, bool supervised, const std::string& boot);

/// INVALID_ARGUMENT where the text is not a status.
Result<StatusFile> parse_status(const std::string& text);

/// Paths in one instance's folder, and the reading of its files. Thread-safe.
class InstanceFolder {
 public:
  explicit InstanceFolder(std::string path) : path_(std::move(path)) {}

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string file(const char* name) const { return path_ + "/" + name; }
  [[nodiscard]] std::string spec_file() const { return file("spec.json"); }
  [[nodiscard]] std::string status_file() const { return file("status.json"); }
  [[nodiscard]] std::string lock_file() const { return file("lock"); }
  [[nodiscard]] std::string stop_file() const { return file("stop"); }
  [[nodiscard]] std::string control_file() const { return file("control"); }
  [[nodiscard]] std::string log_file() const { return file("log"); }
  [[nodiscard]] std::string older_log_file() const { return file("log.1"); }
  [[nodiscard]] std::string resolver_file() const { return file("resolv.conf"); }

  /// NOT_FOUND: there is no such instance. UNAVAILABLE: there is one, and its spec cannot be read.
  [[nodiscard]] Result<Launch> launch() const;
  /// As `judge` sees it.
  [[nodiscard]] Result<StatusFile> status() const;
  /// Whether the lock is held by anybody. Takes no lock, so it disturbs nobody.
  [[nodiscard]] Result<bool> is_locked() const;
  /// Takes the lock for as long as the descriptor and its copies in children live. CONFLICT: somebody holds it.
  [[nodiscard]] Result<Descriptor> lock() const;
  [[nodiscard]] bool stop_wanted() const;

 private:
  std::string path_;
};

}  // namespace k4t::process
