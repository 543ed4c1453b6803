#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include "k4t/call.hpp"

namespace k4t::txn {

/// Runs jobs on threads of its own and hands their results to the thread that owns it, each with a deadline: a job that
/// takes longer counts as unanswered, and what it returns later is dropped. Everything but the jobs themselves runs on
/// the owner's thread.
class Workers {
 public:
  /// What is to be done on the owner's thread with a result.
  using Completion = std::function<void()>;
  using Job = std::function<Completion(const CallOptions&)>;
  using Log = std::function<void(LogLevel, std::string_view)>;

  /// At most `limit` threads, made as they are needed. `log` is called from any of them.
  Workers(std::size_t limit, Log log);
  /// Tells running jobs to give up and waits for them.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void submit(std::chrono::milliseconds timeout, Job job, Completion expired);

  /// Waits for one job to end or to expire, and does its completion. False: no job is under way.
  bool step();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k4t::txn
