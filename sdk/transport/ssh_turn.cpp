#include "ssh_turn.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace k4t::transport {
namespace {

/// About an eighth of a handshake with a server 50 ms away is this machine's own computing; the rest is the network and
/// the server. Fewer turns would leave processors idle, many more only make each handshake take longer.
constexpr std::size_t turns_per_processor = 8;

}  // namespace

bool Turn::take() {
  const std::lock_guard lock(turns_.mutex_);
  if (place_ == 0) place_ = ++turns_.arrived_;
  if (!held_ && turns_.free_ > 0) {
    --turns_.free_;
    held_ = true;
  }
  if (!held_) turns_.waiting_[place_] = this;
  return held_;
}

void Turn::give_back() {
  const std::lock_guard lock(turns_.mutex_);
  turns_.waiting_.erase(place_);
  if (!held_) return;
  held_ = false;
  if (turns_.waiting_.empty()) {
    ++turns_.free_;
    return;
  }
  Turn& next = *turns_.waiting_.extract(turns_.waiting_.begin()).mapped();
  next.held_ = true;
  ::eventfd_write(next.wake_, 1);
}

Stopwatch::Clock::duration Stopwatch::total() const {
  const std::lock_guard lock(mutex_);
  return since_ ? before_ + (Clock::now() - *since_) : before_;
}

void Stopwatch::start() {
  const std::lock_guard lock(mutex_);
  since_ = Clock::now();
}

void Stopwatch::stop() {
  const std::lock_guard lock(mutex_);
  before_ += Clock::now() - *since_;
  since_.reset();
}

Turns& handshake_turns() {
  static std::mutex mutex;
  static std::map<pid_t, Turns> of_process;
  const std::lock_guard lock(mutex);
  const std::size_t processors = std::max(std::thread::hardware_concurrency(), 1U);
  return of_process.try_emplace(::getpid(), turns_per_processor * processors).first->second;
}

}  // namespace k4t::transport
