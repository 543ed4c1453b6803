#include "usage.hpp"

#include <cstdint>
#include <limits>
#include <sstream>

namespace k4t::docker {
namespace {

constexpr const char* script = R"sh(
cat /proc/sys/kernel/hostname /proc/loadavg /proc/meminfo
stat -f -c 'disk %S %b %f %a' -- "$1"
)sh";

/// The kernel counts it in KiB.
constexpr std::int64_t unit_bytes = 1024;
constexpr std::int64_t most_bytes = std::numeric_limits<std::int64_t>::max();

}  // namespace

runtime::NodeUsage parse_usage(const std::string& machine, std::string_view text) {
  runtime::NodeUsage usage;
  std::istringstream lines{std::string(text)};
  std::string line;
  if (!std::getline(lines, line) || line != machine) return usage;
  double load = 0;
  if (std::getline(lines, line) && std::istringstream(line) >> load) usage.load = load;
  // Signed, so that a file system that does not know is no huge one.
  std::int64_t total = 0;
  std::int64_t available = 0;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string name;
    std::int64_t number = 0;
    if (!(words >> name >> number)) continue;
    if (name == "MemTotal:") total = number;
    if (name == "MemAvailable:") available = number;
    std::int64_t all = 0;
    std::int64_t unused = 0;
    std::int64_t open = 0;
    if (name != "disk" || !(words >> all >> unused >> open)) continue;
    if (number <= 0 || open < 0 || open > unused || unused > all || all > most_bytes / number) continue;
    usage.disk_used_bytes = static_cast<std::uint64_t>((all - unused) * number);
    usage.disk_bytes = *usage.disk_used_bytes + static_cast<std::uint64_t>(open * number);
  }
  if (available > 0 && available <= total && total <= most_bytes / unit_bytes) {
    usage.memory_used_bytes = static_cast<std::uint64_t>((total - available) * unit_bytes);
  }
  return usage;
}

runtime::NodeUsage read_usage(transport::Host& host, const std::string& machine, const std::string& folder,
                              const Call& call) {
  transport::Command command;
  command.argv = {"sh", "-c", script, "sh", folder};
  command.env = {{"LC_ALL", "C"}};
  command.timeout = call.remaining();
  command.cancelled = [&call] { return call.cancelled(); };
  // Where the folder cannot be looked at, the rest counts all the same.
  const auto output = host.run(command);
  return output ? parse_usage(machine, output->out) : runtime::NodeUsage{};
}

}  // namespace k4t::docker
