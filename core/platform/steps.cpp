#include "platform/steps.hpp"

#include <fcntl.h>
#include <fnmatch.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <mutex>
#include <string>

namespace k4t::platform {
namespace {

class Steps {
 public:
  Steps() {
    // Read once, before any thread could change the environment.
    if (const char* file = std::getenv("K4T_STEPS_FILE")) {  // NOLINT(concurrency-mt-unsafe)
      file_ = ::open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    if (const char* at = std::getenv("K4T_KILL_AT_STEP")) {  // NOLINT(concurrency-mt-unsafe)
      char* rest = nullptr;
      kill_at_ = std::strtoull(at, &rest, 10);
      if (*rest == ' ') pattern_ = rest + 1;
    }
  }

  void reach(std::string_view name) {
    if (file_ < 0 && kill_at_ == 0) return;
    const std::scoped_lock lock(mutex_);
    const std::string step(name);
    if (file_ >= 0) {
      const std::string line = step + '\n';
      [[maybe_unused]] const auto written = ::write(file_, line.data(), line.size());
    }
    if (::fnmatch(pattern_.c_str(), step.c_str(), 0) == 0 && ++count_ == kill_at_) ::kill(::getpid(), SIGKILL);
  }

 private:
  std::mutex mutex_;
  unsigned long long count_ = 0;
  unsigned long long kill_at_ = 0;
  std::string pattern_ = "*";
  int file_ = -1;
};

}  // namespace

void step(std::string_view name) {
  static Steps steps;
  steps.reach(name);
}

}  // namespace k4t::platform
