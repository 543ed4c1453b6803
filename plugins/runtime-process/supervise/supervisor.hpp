#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "backoff.hpp"
#include "cgroup.hpp"
#include "instance_folder.hpp"
#include "launch.hpp"
#include "log_file.hpp"
#include "supervise/exit_codes.hpp"
#include "supervise/keeper.hpp"

/// The process that outlives every k4t command and looks after one instance: lives and the waits between them, the
/// log, status.json, the wish to stop. Whoever kills it kills the instance (keeper.hpp), and the lock tells.

namespace k4t::process {

class Supervisor {
 public:
  /// REQUIRES: the folder's lock is held by this process, which has no threads and no children.
  Supervisor(InstanceFolder folder, Launch launch, Descriptor lock);

  /// Told once: whether the first life runs, or why not.
  using OnFirst = std::function<void(SuperviseExit outcome, const std::string& failure)>;

  /// Supervises to the end.
  void run(const OnFirst& on_first);

 private:
  using Clock = std::chrono::steady_clock;

  /// What is known of the present life.
  struct Life {
    pid_t keeper = -1;
    Descriptor out, err, report;
    std::string report_text;
    pid_t pid = 0;
    std::optional<std::string> failure;
    std::optional<int> wait_status;
    Clock::time_point begun = Clock::now();
    std::optional<Clock::time_point> kill_at;  ///< set once it was asked to stop
  };

  Result<void> prepare();
  /// A whole life, unless it cannot begin.
  Life live_once(const std::function<void()>& on_start);
  Result<Life> bear(const Birth& birth);
  void live(Life& life, const std::function<void()>& on_start);
  void note_start(const Life& life);
  void wait_for_event(Life* life, std::chrono::milliseconds timeout);
  bool read_report(Life& life);
  bool pass_on(Descriptor& from, Channel channel);
  void push_on(Life& life);
  void finish(Life& life);
  void note_end(const Life& life, std::uint64_t oom_kills_before);
  void set_phase(runtime::Phase phase);
  [[nodiscard]] bool lives_again() const;
  void wait_between(std::chrono::milliseconds wait);
  /// Looks whether the instance is to stop: asked through the folder or by SIGTERM, or the folder itself is gone.
  bool must_stop();
  void write_status();

  InstanceFolder folder_;
  Launch launch_;
  Descriptor lock_;
  Descriptor control_;
  Descriptor signals_;
  Cgroups cgroups_;
  Limits enforced_;
  LogWriter log_;
  StatusFile status_;
  bool asked_to_end_ = false;
};

}  // namespace k4t::process
