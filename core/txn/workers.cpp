#include "txn/workers.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace k4t::txn {
namespace {

using Clock = std::chrono::steady_clock;

/// Lets a driver see that its caller no longer waits.
class JobSink : public CallSink {
 public:
  JobSink(const std::atomic<bool>& stopping, const Workers::Log& log, Clock::time_point deadline)
      : stopping_(stopping), log_(log), deadline_(deadline) {}
  bool cancelled() override { return stopping_.load() || Clock::now() >= deadline_; }
  void log(LogLevel level, std::string_view text) override {
    if (log_) log_(level, text);
  }

 private:
  const std::atomic<bool>& stopping_;
  const Workers::Log& log_;
  Clock::time_point deadline_;
};

struct Queued {
  std::uint64_t id = 0;
  Clock::time_point deadline;
  Workers::Job job;
};

struct Awaited {
  Clock::time_point deadline;
  Workers::Completion expired;
};

struct Finished {
  std::uint64_t id = 0;
  Workers::Completion completion;
};

}  // namespace

class Workers::Impl {
 public:
  Impl(std::size_t limit, Log log) : limit_(std::max<std::size_t>(1, limit)), log_(std::move(log)) {}

  void submit(std::chrono::milliseconds timeout, Job job, Completion expired) {
    const Clock::time_point deadline = Clock::now() + timeout;
    const std::uint64_t id = next_id_++;
    awaited_.emplace(id, Awaited{deadline, std::move(expired)});
    const std::scoped_lock lock(mutex_);
    queue_.push_back(Queued{id, deadline, std::move(job)});
    if (idle_ < queue_.size() && threads_.size() < limit_) threads_.emplace_back([this] { serve(); });
    work_.notify_one();
  }

  bool step() {
    if (awaited_.empty()) return false;
    const auto next = std::min_element(awaited_.begin(), awaited_.end(), [](const auto& a, const auto& b) {
      return a.second.deadline < b.second.deadline;
    });
    std::optional<Finished> finished = wait_until(next->second.deadline);
    if (!finished) finished = Finished{next->first, std::move(next->second.expired)};
    // A late result of an expired job is nobody's any more.
    if (awaited_.erase(finished->id) != 0) finished->completion();
    return true;
  }

  void stop() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
      queue_.clear();
    }
    work_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

 private:
  std::optional<Finished> wait_until(Clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    if (!done_.wait_until(lock, deadline, [this] { return !finished_.empty(); })) return {};
    Finished first = std::move(finished_.front());
    finished_.pop_front();
    return first;
  }

  void serve() {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      --idle_;
      if (stopping_) return;
      Queued one = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      Completion completion = run(one);
      lock.lock();
      finished_.push_back(Finished{one.id, std::move(completion)});
      done_.notify_one();
    }
  }

  Completion run(const Queued& one) {
    JobSink sink(stopping_, log_, one.deadline);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(one.deadline - Clock::now());
    // Zero would mean "no deadline" to a driver.
    return one.job(CallOptions{std::max(left, std::chrono::milliseconds(1)), &sink});
  }

  const std::size_t limit_;
  const Log log_;
  std::atomic<bool> stopping_ = false;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, Awaited> awaited_;  // the owner's thread only

  std::mutex mutex_;  // guards all below
  std::condition_variable work_;
  std::condition_variable done_;
  std::deque<Queued> queue_;
  std::deque<Finished> finished_;
  std::size_t idle_ = 0;
  std::vector<std::thread> threads_;
};

Workers::Workers(std::size_t limit, Log log) : impl_(std::make_unique<Impl>(limit, std::move(log))) {}
Workers::~Workers() { impl_->stop(); }

void Workers::submit(std::chrono::milliseconds timeout, Job job, Completion expired) {
  impl_->submit(timeout, std::move(job), std::move(expired));
}

bool Workers::step() { return impl_->step(); }

}  // namespace k4t::txn
