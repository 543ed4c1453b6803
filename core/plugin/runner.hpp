#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "k4t/call.hpp"

/// Calls into a plugin from which the caller can always walk away.
///
/// A plugin runs in this process and cannot be stopped by force. So every call runs on a thread of its handle, and the
/// caller waits: when the deadline and a grace are over, it leaves with "overran" and the thread stays behind, for as
/// long as the plugin keeps it. What was lent to the call lives until the plugin really returns.
///
/// Limits, for they cannot be had in one process: a plugin that never returns keeps one thread and its handle until the
/// program ends; one that crashes, calls exit or corrupts memory takes the program with it. (The master survives that
/// as it survives being killed.)

namespace k4t::plugin {

/// How a call ended, seen from its caller.
enum class Ending {
  returned,   ///< `outcome` is what the plugin said
  threw,      ///< `outcome` tells what was thrown; nothing else is known
  overran,    ///< begun, but not back in time; whether it had an effect is not known
  not_begun,  ///< the threads were busy until the deadline; nothing has happened
};

struct Ran {
  Ending ending = Ending::not_begun;
  Result<Json> outcome;
};

class Runner {
 public:
  /// What a call does on a runner's thread: one C call with the given context.
  using Body = std::function<k4t_status(const k4t_call* call)>;

  /// At most `threads` calls run at the same time. Threads start when they are needed. `farewell` runs once, after the
  /// last call has returned and this object is gone; it may run long after.
  Runner(std::size_t threads, std::function<void()> farewell);
  /// Waits for farewell for a short time at most, and not at all for calls that were left behind.
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Thread-safe. `body` must own what it needs: it may outlive the caller. `options.sink` is used on another thread
  /// while this call lasts and never afterwards. A timeout of 0 is none; a cancelled sink counts as a deadline now.
  Ran run(Body body, const CallOptions& options);

  /// How long after its deadline or its cancellation a call may still return by itself.
  static constexpr std::chrono::milliseconds grace{500};

 private:
  struct Invocation;
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace k4t::plugin
