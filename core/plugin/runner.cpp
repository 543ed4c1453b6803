#include "plugin/runner.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace k4t::plugin {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How often a waiting caller asks its sink whether it still wants the answer.
constexpr milliseconds kCancelPoll{50};
constexpr milliseconds kFarewellWait{2000};

/// Stands between the plugin and the caller's sink, which ends with the caller's patience.
class Gate final : public CallSink {
 public:
  explicit Gate(CallSink* sink) : sink_(sink) {}

  bool cancelled() override {
    return !present() || with([](CallSink& sink) { return sink.cancelled(); }, false);
  }
  void log(LogLevel level, std::string_view text) override {
    with([&](CallSink& sink) { return sink.log(level, text), true; }, true);
  }
  void progress(const Progress& progress) override {
    with([&](CallSink& sink) { return sink.progress(progress), true; }, true);
  }
  bool stream(Channel channel, std::string_view bytes) override {
    return present() && with([&](CallSink& sink) { return sink.stream(channel, bytes); }, true);
  }

  /// Returns when no callback is under way; none begins afterwards.
  void leave() {
    const std::lock_guard lock(mutex_);
    present_ = false;
    sink_ = nullptr;
  }

 private:
  bool present() {
    const std::lock_guard lock(mutex_);
    return present_;
  }

  /// A sink that throws must not unwind through the plugin's frames: it is not asked again, and the call is cancelled.
  template <class Use>
  bool with(Use&& use, bool without_sink) {
    const std::lock_guard lock(mutex_);
    if (sink_ == nullptr) return without_sink;
    try {
      return use(*sink_);
    } catch (...) {
      present_ = false;
      sink_ = nullptr;
      return false;
    }
  }

  std::mutex mutex_;
  bool present_ = true;
  CallSink* sink_;
};

std::string thrown() {
  try {
    throw;
  } catch (const std::exception& error) {
    return std::string("exception: ") + error.what();
  } catch (...) {
    return "exception of an unknown type";
  }
}

}  // namespace

struct Runner::Invocation {
  Invocation(Body what, const CallOptions& options)
      : body(std::move(what)),
        gate(options.sink),
        deadline(options.timeout.count() == 0
                     ? std::nullopt
                     : std::optional(Clock::now() + std::max(options.timeout, milliseconds(1)))) {}

  Body body;
  Gate gate;
  std::optional<Clock::time_point> deadline;
  // Guarded by Shared::mutex.
  bool begun = false;
  std::optional<Ran> ran;
};

struct Runner::Shared : std::enable_shared_from_this<Shared> {
  Shared(std::size_t limit, std::function<void()> last) : thread_limit(limit), farewell(std::move(last)) {}

  const std::size_t thread_limit;
  std::mutex mutex;
  std::condition_variable work;
  std::condition_variable changed;
  std::deque<std::shared_ptr<Invocation>> queue;
  std::size_t threads = 0;
  std::size_t idle = 0;
  bool closing = false;
  bool gone = false;  ///< farewell has run
  std::function<void()> farewell;

  /// REQUIRES: mutex is held.
  void add_thread() {
    std::thread([self = shared_from_this()] { self->serve(); }).detach();
    ++threads;
  }

  void serve() {
    std::unique_lock lock(mutex);
    while (true) {
      ++idle;
      work.wait(lock, [&] { return closing || !queue.empty(); });
      --idle;
      if (queue.empty()) break;
      const auto next = std::move(queue.front());
      queue.pop_front();
      next->begun = true;
      lock.unlock();
      Ran ran = execute(*next);
      lock.lock();
      next->ran = std::move(ran);
      changed.notify_all();
    }
    --threads;
    if (threads == 0) leave_last(lock);
  }

  static Ran execute(Invocation& invocation) {
    milliseconds left{0};
    if (invocation.deadline) {
      left = std::max(std::chrono::ceil<milliseconds>(*invocation.deadline - Clock::now()), milliseconds(1));
    }
    try {
      HostCall host({left, &invocation.gate});
      return {Ending::returned, host.finish(invocation.body(host.raw()))};
    } catch (...) {
      return {Ending::threw, Error{Status::fatal, thrown(), {}}};
    }
  }

  void leave_last(std::unique_lock<std::mutex>& lock) {
    const auto last = std::exchange(farewell, nullptr);
    lock.unlock();
    try {
      if (last) last();
    } catch (...) {  // nobody is left who could be told
    }
    lock.lock();
    gone = true;
    changed.notify_all();
  }

  /// REQUIRES: mutex is held. True when no call is running any more, so that farewell will be soon.
  [[nodiscard]] bool nothing_left_behind() const { return idle == threads; }
};

Runner::Runner(std::size_t threads, std::function<void()> farewell)
    : shared_(std::make_shared<Shared>(threads, std::move(farewell))) {}

Runner::~Runner() {
  std::unique_lock lock(shared_->mutex);
  const bool soon = shared_->nothing_left_behind();
  shared_->closing = true;
  try {
    if (shared_->threads == 0) shared_->add_thread();
  } catch (const std::system_error&) {
    return;  // no thread to say farewell on: the handle is left to the end of the program
  }
  shared_->work.notify_all();
  if (soon) shared_->changed.wait_for(lock, kFarewellWait, [&] { return shared_->gone; });
}

Ran Runner::run(Body body, const CallOptions& options) {
  const auto invocation = std::make_shared<Invocation>(std::move(body), options);
  std::unique_lock lock(shared_->mutex);
  shared_->queue.push_back(invocation);
  if (shared_->idle < shared_->queue.size() && shared_->threads < shared_->thread_limit) {
    try {
      shared_->add_thread();
    } catch (const std::system_error&) {  // without a thread the call waits for another one, or for its deadline
    }
  }
  shared_->work.notify_one();

  auto give_up = invocation->deadline;
  bool cancelled = false;
  while (!invocation->ran) {
    const auto now = Clock::now();
    const bool expired = give_up && now >= *give_up;
    if (expired && !invocation->begun) break;
    if (expired && now >= *give_up + grace) break;
    auto wake = give_up ? (expired ? *give_up + grace : *give_up) : now + kCancelPoll;
    if (options.sink != nullptr) wake = std::min(wake, now + kCancelPoll);
    shared_->changed.wait_until(lock, wake);
    if (options.sink == nullptr || cancelled || invocation->ran) continue;
    lock.unlock();
    cancelled = invocation->gate.cancelled();
    lock.lock();
    if (cancelled) give_up = give_up ? std::min(*give_up, Clock::now()) : Clock::now();
  }
  if (invocation->ran) return *std::move(invocation->ran);
  const bool begun = invocation->begun;
  std::erase(shared_->queue, invocation);
  lock.unlock();
  invocation->gate.leave();
  return {begun ? Ending::overran : Ending::not_begun, Error{Status::deadline, "no answer in time", {}}};
}

}  // namespace k4t::plugin
