#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/result.hpp"

/// Limits, and a fence around an instance's processes, by control groups (cgroups(7)), version 1, 2 or both at once.

namespace k4t::process {

/// Where the kernel's hierarchies are mounted.
struct Hierarchies {
  std::map<std::string, std::string> v1;  ///< mount point by controller, "name=systemd" included
  std::string v2;                         ///< mount point; empty: none
  std::vector<std::string> v2_controllers;
};

/// Zero: none.
struct Limits {
  std::uint32_t cpu_millis = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t pids = 0;
};

/// What has to be done for one instance. All paths are absolute.
struct CgroupPlan {
  struct Setting {
    std::string controller;  ///< "cpu", "memory" or "pids"
    std::string file;
    std::string text;
    bool optional = false;  ///< where the kernel lacks the file, the limit holds all the same
  };
  std::vector<std::string> folders;  ///< each process of the instance is in all of these
  std::vector<std::pair<std::string, std::string>>
      enable;  ///< file and controller: passes controllers down (version 2)
  std::vector<Setting> settings;
  std::string oom_file;   ///< has a line "oom_kill N"; empty: out of memory cannot be told
  std::string kill_file;  ///< "1" kills every process within (version 2); empty: none
};

/// Parses /proc/self/mounts; v2_controllers stays empty. Pure.
Hierarchies parse_mounts(std::string_view mounts);

/// Pure. A limit whose controller is nowhere has no setting.
CgroupPlan plan_cgroups(const Hierarchies& hierarchies, const std::string& name, const Limits& limits);

/// The hierarchies of this machine as this process sees them.
Hierarchies find_hierarchies();

/// Why limits on the controller cannot be enforced by this process; empty: they can.
std::string why_not_enforced(const Hierarchies& hierarchies, const std::string& controller);

/// One instance's control groups. Not thread-safe.
class Cgroups {
 public:
  Cgroups(const Hierarchies& hierarchies, const std::string& name, const Limits& limits)
      : plan_(plan_cgroups(hierarchies, name, limits)), limits_(limits) {}

  /// Makes what can be made. Returns the limits that are really enforced.
  Limits create();
  /// Moves the calling process in. What fails is left out: the limits that count were reported by create().
  void join() const;
  /// Kills what is inside until nothing is, at most `timeout_ms`. False: something is left.
  bool kill_all(int timeout_ms) const;
  /// How many processes were killed for want of memory so far.
  [[nodiscard]] std::uint64_t oom_kills() const;
  /// Deletes the groups, which must be empty.
  void remove() const;

 private:
  CgroupPlan plan_;
  Limits limits_;
};

/// Moves the calling process out of its caller's control group, so that what ends the caller (a session, a service)
/// does not end it too. Best effort.
void leave_callers_group(const Hierarchies& hierarchies);

}  // namespace k4t::process
