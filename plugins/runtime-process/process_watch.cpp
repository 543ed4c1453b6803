#include <poll.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <fstream>
#include <optional>
#include <sstream>

#include "cgroup.hpp"
#include "log_file.hpp"
#include "process_driver.hpp"
#include "run_supervise.hpp"
#include "spec.hpp"

namespace k4t::process {
namespace {

constexpr int kFollowStep_ms = 100;

std::string os_name() {
  const auto text = read_file("/etc/os-release");
  std::istringstream lines(text ? *text : std::string());
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("PRETTY_NAME=")) continue;
    std::string name = line.substr(12);
    std::erase(name, '"');
    return name;
  }
  return "Linux";
}

/// False: the caller wants no more.
bool send(const std::string& stored, bool timestamps, const Call& call) {
  const auto line = parse_line(stored);
  if (!line) return true;
  return call.stream(line->channel, (timestamps ? line->time + " " : "") + line->text + (line->whole ? "\n" : ""));
}

/// sysinfo() does not tell what the kernel would give back.
std::optional<std::uint64_t> memory_used_bytes() {
  std::uint64_t total = 0;
  std::uint64_t available = 0;
  std::ifstream table("/proc/meminfo");
  for (std::string name, unit; table >> name && std::getline(table, unit);) {
    if (name == "MemTotal:") total = std::strtoull(unit.c_str(), nullptr, 10);
    if (name == "MemAvailable:") available = std::strtoull(unit.c_str(), nullptr, 10);
  }
  if (available == 0 || available > total) return std::nullopt;
  return (total - available) * 1024;
}

}  // namespace

Result<runtime::NodeInfo> ProcessDriver::info(Call& /*call*/) {
  struct sysinfo memory {};
  utsname kernel{};
  if (::sysinfo(&memory) != 0 || ::uname(&kernel) != 0) return system_error("cannot look at this machine");
  runtime::NodeInfo info;
  info.cpus = static_cast<std::uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN));
  info.memory_bytes = static_cast<std::uint64_t>(memory.totalram) * memory.mem_unit;
  info.architecture = kernel.machine;
  info.os = os_name();
  info.runtime_version = std::string("processes on Linux ") + kernel.release;
  const Hierarchies hierarchies = find_hierarchies();
  for (const char* controller : {"cpu", "memory", "pids"}) {
    const std::string why = why_not_enforced(hierarchies, controller);
    if (!why.empty()) info.warnings.push_back(std::string(controller) + " limits are not enforced: " + why);
  }
  if (::geteuid() != 0) {
    info.warnings.emplace_back("not root: instances cannot have a user, name servers or a read-only view of their own");
  }
  if (options_.supervisor.empty()) info.warnings.emplace_back("k4t-supervise was not found: set options.supervisor");
  return info;
}

Result<runtime::NodeUsage> ProcessDriver::usage(Call& /*call*/) {
  runtime::NodeUsage usage;
  double load = 0;
  if (::getloadavg(&load, 1) == 1) usage.load = load;
  usage.memory_used_bytes = memory_used_bytes();
  struct statvfs disk {};
  if (::statvfs(options_.folder.c_str(), &disk) == 0) {
    usage.disk_used_bytes = std::uint64_t{disk.f_blocks - disk.f_bfree} * disk.f_frsize;
    usage.disk_bytes = *usage.disk_used_bytes + std::uint64_t{disk.f_bavail} * disk.f_frsize;
  }
  return usage;
}

Result<Nothing> ProcessDriver::logs(const runtime::LogsRequest& request, Call& call) {
  K4T_TRY(inspect({request.name}, call));
  const InstanceFolder folder = folder_of(request.name);
  LogReader reader(folder.log_file(), folder.older_log_file());
  K4T_ASSIGN(auto lines, reader.fresh());
  std::erase_if(lines, [](const auto& line) { return !parse_line(line); });
  while (request.tail != 0 && lines.size() > request.tail) lines.pop_front();
  for (bool last = !request.follow;;) {
    for (const auto& line : lines) {
      if (!send(line, request.timestamps, call)) return Nothing{};
    }
    if (last) return Nothing{};
    if (call.cancelled()) return Nothing{};
    // Nothing is written after the lock is free, so one more look then sees the rest.
    const auto supervised = folder.is_locked();
    last = !supervised || !*supervised;
    if (!last) ::poll(nullptr, 0, kFollowStep_ms);
    K4T_ASSIGN(lines, reader.fresh());
  }
}

Result<runtime::ExecReply> ProcessDriver::exec(const runtime::ExecRequest& request, Call& call) {
  if (request.command.empty()) return Error{Status::invalid_argument, "the command is empty", {}};
  for (const auto& word : request.command) {
    if (word.find('\0') != std::string::npos) {
      return Error{Status::invalid_argument, "an argument contains a zero byte", {}};
    }
  }
  K4T_ASSIGN(const auto instance, inspect({request.name}, call));
  if (instance.phase != runtime::Phase::running) {
    return Error{Status::conflict, "'" + request.name + "' is not running", {}};
  }
  if (options_.supervisor.empty()) {
    return Error{Status::invalid_argument, "k4t-supervise was not found: install it, or set options.supervisor", {}};
  }
  std::vector<std::string> args = {"exec", folder_of(request.name).path()};
  args.insert(args.end(), request.command.begin(), request.command.end());
  const OutputSink pass_on = [&](Channel channel, std::string_view bytes) { return call.stream(channel, bytes); };
  K4T_ASSIGN(const int exit_code, run_supervise(options_.supervisor, args, pass_on, call));
  return runtime::ExecReply{exit_code};
}

}  // namespace k4t::process
