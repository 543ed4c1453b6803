#include "cgroup.hpp"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <sstream>

#include "files.hpp"

namespace k4t::process {
namespace {

constexpr const char* kRoot = "/k4t-process";
constexpr std::uint64_t kPeriod_us = 100'000;

/// The hierarchies that only hold processes together: what a session's or a service's end is carried out with.
std::vector<std::string> tracking_mounts(const Hierarchies& hierarchies) {
  std::vector<std::string> mounts;
  if (!hierarchies.v2.empty()) mounts.push_back(hierarchies.v2);
  if (const auto systemd = hierarchies.v1.find("name=systemd"); systemd != hierarchies.v1.end()) {
    mounts.push_back(systemd->second);
  }
  return mounts;
}

bool has(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

std::string quota(const Limits& limits) { return std::to_string(kPeriod_us * limits.cpu_millis / 1000); }

std::vector<CgroupPlan::Setting> v1_settings(const std::string& controller, const Limits& limits) {
  if (controller == "cpu" && limits.cpu_millis != 0) {
    return {{controller, "cpu.cfs_period_us", std::to_string(kPeriod_us)},
            {controller, "cpu.cfs_quota_us", quota(limits)}};
  }
  if (controller == "memory" && limits.memory_bytes != 0) {
    const std::string bytes = std::to_string(limits.memory_bytes);
    // Memory and swap together; a kernel may be built without counting swap.
    return {{controller, "memory.limit_in_bytes", bytes}, {controller, "memory.memsw.limit_in_bytes", bytes, true}};
  }
  if (controller == "pids" && limits.pids != 0) return {{controller, "pids.max", std::to_string(limits.pids)}};
  return {};
}

std::vector<CgroupPlan::Setting> v2_settings(const std::string& controller, const Limits& limits) {
  if (controller == "cpu" && limits.cpu_millis != 0) {
    return {{controller, "cpu.max", quota(limits) + " " + std::to_string(kPeriod_us)}};
  }
  if (controller == "memory" && limits.memory_bytes != 0) {
    return {{controller, "memory.max", std::to_string(limits.memory_bytes)},
            {controller, "memory.swap.max", "0", true}};
  }
  if (controller == "pids" && limits.pids != 0) return {{controller, "pids.max", std::to_string(limits.pids)}};
  return {};
}

bool wants(const std::string& controller, const Limits& limits) { return !v2_settings(controller, limits).empty(); }

void plan_v2(const Hierarchies& hierarchies, const std::string& controller, CgroupPlan& plan) {
  for (const std::string& parent : {hierarchies.v2, hierarchies.v2 + kRoot}) {
    plan.enable.emplace_back(parent + "/cgroup.subtree_control", "+" + controller);
  }
}

std::vector<int> processes_in(const std::string& folder) {
  std::vector<int> pids;
  if (const auto text = read_file(folder + "/cgroup.procs")) {
    std::istringstream lines(*text);
    for (int pid = 0; lines >> pid;) pids.push_back(pid);
  }
  return pids;
}

void make_group(const std::string& folder) {
  const std::string parent = folder.substr(0, folder.rfind('/'));
  ::mkdir(parent.c_str(), 0755);
  ::mkdir(folder.c_str(), 0755);
}

}  // namespace

Hierarchies parse_mounts(std::string_view mounts) {
  Hierarchies found;
  std::istringstream lines{std::string(mounts)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string device, point, type, options;
    fields >> device >> point >> type >> options;
    if (type == "cgroup2" && found.v2.empty()) found.v2 = point;
    if (type != "cgroup") continue;
    std::istringstream list(options);
    for (std::string option; std::getline(list, option, ',');) {
      const bool controller = option == "cpu" || option == "memory" || option == "pids" || option == "name=systemd";
      if (controller) found.v1.emplace(option, point);
    }
  }
  return found;
}

CgroupPlan plan_cgroups(const Hierarchies& hierarchies, const std::string& name, const Limits& limits) {
  CgroupPlan plan;
  const auto add_folder = [&](const std::string& mount) {
    std::string folder = mount + kRoot + "/" + name;
    if (!has(plan.folders, folder)) plan.folders.push_back(folder);
    return folder;
  };
  for (const std::string& mount : tracking_mounts(hierarchies)) add_folder(mount);
  if (!hierarchies.v2.empty()) plan.kill_file = hierarchies.v2 + kRoot + "/" + name + "/cgroup.kill";
  for (const char* controller : {"cpu", "memory", "pids"}) {
    if (!wants(controller, limits)) continue;
    const auto v1 = hierarchies.v1.find(controller);
    const bool is_v1 = v1 != hierarchies.v1.end();
    if (!is_v1 && !has(hierarchies.v2_controllers, controller)) continue;
    const std::string folder = add_folder(is_v1 ? v1->second : hierarchies.v2);
    if (!is_v1) plan_v2(hierarchies, controller, plan);
    for (auto setting : is_v1 ? v1_settings(controller, limits) : v2_settings(controller, limits)) {
      setting.file = folder + "/" + setting.file;
      plan.settings.push_back(setting);
    }
    if (std::string_view(controller) == "memory") {
      plan.oom_file = folder + (is_v1 ? "/memory.oom_control" : "/memory.events");
    }
  }
  return plan;
}

Hierarchies find_hierarchies() {
  const auto mounts = read_file("/proc/self/mounts");
  Hierarchies found = parse_mounts(mounts ? *mounts : std::string());
  if (found.v2.empty()) return found;
  if (const auto text = read_file(found.v2 + "/cgroup.controllers")) {
    std::istringstream names(*text);
    for (std::string name; names >> name;) found.v2_controllers.push_back(name);
  }
  return found;
}

std::string why_not_enforced(const Hierarchies& hierarchies, const std::string& controller) {
  const auto v1 = hierarchies.v1.find(controller);
  const bool is_v1 = v1 != hierarchies.v1.end();
  if (!is_v1 && !has(hierarchies.v2_controllers, controller))
    return "the kernel offers no " + controller + " controller";
  const std::string needed = is_v1 ? v1->second : hierarchies.v2 + "/cgroup.subtree_control";
  return ::access(needed.c_str(), W_OK) == 0 ? std::string() : needed + " is not writable";
}

Limits Cgroups::create() {
  for (const auto& folder : plan_.folders) make_group(folder);
  for (const auto& [file, text] : plan_.enable) static_cast<void>(write_kernel_file(file, text));
  Limits enforced = limits_;
  for (const auto& setting : plan_.settings) {
    if (write_kernel_file(setting.file, setting.text) || setting.optional) continue;
    if (setting.controller == "cpu") enforced.cpu_millis = 0;
    if (setting.controller == "memory") enforced.memory_bytes = 0;
    if (setting.controller == "pids") enforced.pids = 0;
  }
  const auto planned = [&](const char* controller) {
    return std::any_of(plan_.settings.begin(), plan_.settings.end(),
                       [&](const auto& setting) { return setting.controller == controller; });
  };
  if (!planned("cpu")) enforced.cpu_millis = 0;
  if (!planned("memory")) enforced.memory_bytes = 0;
  if (!planned("pids")) enforced.pids = 0;
  return enforced;
}

void Cgroups::join() const {
  for (const auto& folder : plan_.folders) static_cast<void>(write_kernel_file(folder + "/cgroup.procs", "0"));
}

bool Cgroups::kill_all(int timeout_ms) const {
  constexpr int kStep_ms = 10;
  for (int waited_ms = 0;; waited_ms += kStep_ms) {
    if (!plan_.kill_file.empty()) static_cast<void>(write_kernel_file(plan_.kill_file, "1"));
    bool empty = true;
    for (const auto& folder : plan_.folders) {
      for (const int pid : processes_in(folder)) {
        empty = false;
        if (pid > 0) ::kill(pid, SIGKILL);
      }
    }
    if (empty) return true;
    if (waited_ms >= timeout_ms) return false;
    ::poll(nullptr, 0, kStep_ms);
  }
}

std::uint64_t Cgroups::oom_kills() const {
  if (plan_.oom_file.empty()) return 0;
  const auto text = read_file(plan_.oom_file);
  if (!text) return 0;
  std::istringstream lines(*text);
  std::string key;
  for (std::uint64_t value = 0; lines >> key >> value;) {
    if (key == "oom_kill") return value;
  }
  return 0;
}

void Cgroups::remove() const {
  for (const auto& folder : plan_.folders) ::rmdir(folder.c_str());
}

void leave_callers_group(const Hierarchies& hierarchies) {
  for (const auto& mount : tracking_mounts(hierarchies)) {
    const std::string folder = mount + kRoot + "/supervisors";
    make_group(folder);
    static_cast<void>(write_kernel_file(folder + "/cgroup.procs", "0"));
  }
}

}  // namespace k4t::process
