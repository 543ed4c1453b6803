#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "k4t/call.hpp"

namespace k4t::fakes {

/// What can go wrong with one fake machine, switched by the test while calls go on. Thread-safe.
class Faults {
 public:
  /// Nothing answers.
  std::atomic<bool> down = false;
  /// Runs before each call is served, and may switch the machine off; to be set while there are none.
  std::function<void()> before;

  /// The calls of `verb` fail: the n-th one from now (1: the next), or every one for 0. `done`: only the reply is lost,
  /// the effect is there.
  void fail(const std::string& verb, Error error, unsigned nth = 0, bool done = false) {
    const std::scoped_lock lock(mutex_);
    plans_[verb] = {std::move(error), nth, done};
  }
  void heal(const std::string& verb) {
    const std::scoped_lock lock(mutex_);
    plans_.erase(verb);
  }
  /// The calls of `verb` return only when their caller gives up.
  void hang(const std::string& verb) {
    const std::scoped_lock lock(mutex_);
    hanging_ = verb;
  }

  /// Runs one call of a fake with what was switched.
  template <class Serve>
  auto serve(const std::string& verb, Call& call, Serve serve) -> decltype(serve()) {
    if (down) return Error{Status::unavailable, "no answer", {}};
    if (before) before();
    if (down) return Error{Status::unavailable, "no answer", {}};
    if (hangs(verb)) {
      while (!call.cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return Error{Status::deadline, "gave up", {}};
    }
    const auto plan = due(verb);
    if (plan && !plan->done) return plan->error;
    auto result = serve();
    if (plan) return plan->error;
    return result;
  }

 private:
  struct Plan {
    Error error;
    unsigned nth = 0;
    bool done = false;
  };

  bool hangs(const std::string& verb) {
    const std::scoped_lock lock(mutex_);
    return hanging_ == verb;
  }

  std::optional<Plan> due(const std::string& verb) {
    const std::scoped_lock lock(mutex_);
    const auto found = plans_.find(verb);
    if (found == plans_.end()) return std::nullopt;
    if (found->second.nth == 0) return found->second;
    if (--found->second.nth > 0) return std::nullopt;
    const Plan plan = found->second;
    plans_.erase(found);
    return plan;
  }

  std::mutex mutex_;
  std::map<std::string, Plan> plans_;
  std::string hanging_;
};

}  // namespace k4t::fakes
