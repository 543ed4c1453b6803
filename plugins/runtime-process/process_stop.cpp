#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>

// glibc 2.36 declares these without C linkage.
extern "C" {
#include <sys/pidfd.h>
}

#include "cgroup.hpp"
#include "process_driver.hpp"

namespace k4t::process {
namespace {

constexpr int kStopStep_ms = 10;
constexpr int kLeftoverTimeout_ms = 2000;
/// What a supervisor may take beyond stop_timeout_s before it counts as stuck.
constexpr std::chrono::seconds kMargin{5};

using Clock = std::chrono::steady_clock;

/// Kills the supervisor, and thereby all that it keeps, if it still is the process that wrote the status.
void kill_supervisor(const InstanceFolder& folder) {
  const auto status = folder.status();
  if (!status || status->supervisor <= 0) return;
  const Descriptor process(::pidfd_open(status->supervisor, 0));
  if (!process.valid() || process_start_ticks(status->supervisor) != status->supervisor_start_ticks) return;
  ::pidfd_send_signal(process.get(), SIGKILL, nullptr, 0);
}

void call_supervisor(const InstanceFolder& folder) {
  const Descriptor control(::open(folder.control_file().c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (control.valid()) [[maybe_unused]]
    const auto written = ::write(control.get(), "s", 1);
}

Result<void> wait_until_free(const InstanceFolder& folder, std::uint32_t stop_timeout_s, const Call& call) {
  auto patience = Clock::now() + std::chrono::seconds(stop_timeout_s) + kMargin;
  for (bool forced = false;;) {
    K4T_ASSIGN(const bool supervised, folder.is_locked());
    if (!supervised) return {};
    if (call.cancelled()) return Error{Status::deadline, "the instance was asked to stop and has not yet ended", {}};
    if (Clock::now() >= patience) {
      if (forced) return Error{Status::unavailable, "the instance's processes cannot be killed", folder.path()};
      kill_supervisor(folder);
      forced = true;
      patience = Clock::now() + kMargin;
    }
    ::poll(nullptr, 0, kStopStep_ms);
  }
}

}  // namespace

Result<void> stop_supervised(const InstanceFolder& folder, const Launch& launch, const Call& call) {
  const auto& spec = launch.spec;
  // The wish comes first and stays: whoever dies after it, the instance is not started again by anything but `start`.
  K4T_TRY(replace_file(folder.stop_file(), "", Durability::power));
  call_supervisor(folder);
  K4T_TRY(wait_until_free(folder, spec.stop_timeout_s, call));
  const Cgroups groups(find_hierarchies(), launch.cgroup, {spec.cpu_millis, spec.memory_bytes, spec.pids});
  if (!groups.kill_all(kLeftoverTimeout_ms)) {
    return Error{Status::unavailable, "the instance's processes cannot be killed", folder.path()};
  }
  groups.remove();
  return {};
}

}  // namespace k4t::process
