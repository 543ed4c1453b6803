#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "txn/coordinator.hpp"

/// Carries the coordinator's actions out against real ports, many at once, and blocks its caller meanwhile.

namespace k4t::txn {

/// Told what happens, from the thread that called the runner.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void on_phase(Phase /*phase*/) {}
  /// `what`: "observing", "observed", "preparing", "prepared", "committing", "committed", "aborting", "aborted", or
  /// "failed" with the reason in `why`. On success `why` may hold evidence.
  virtual void on_participant(const Participant& /*who*/, std::string_view /*what*/, std::string_view /*why*/) {}
  /// `what`: "claiming", "claimed", "voting", "voted", "fetching", "fetched", "closing", "closed", "refused", "failed".
  virtual void on_witness(const std::string& /*id*/, std::string_view /*what*/, std::string_view /*why*/) {}
  /// The master's own note could not be kept; the run goes on.
  virtual void on_note_failed(const Error& /*error*/) {}
  // Of inspect(): each thing as soon as it is known.

  /// What the witnesses decided is known, or will not be. `members` are those that are going to be observed, unknown as
  /// yet. Again, should another run decide something meanwhile.
  virtual void on_decided(const Assessment& /*assessment*/) {}
  /// The last word of one of the witnesses, before on_decided or after.
  virtual void on_peeked(const Peeked& /*witness*/) {}
  /// After on_decided.
  virtual void on_observed(const Member& /*member*/) {}

  /// Driver messages, from any of the runner's threads.
  virtual void on_log(LogLevel /*level*/, std::string_view /*text*/) {}
};

/// How long one action may take before it counts as unanswered.
struct Deadlines {
  std::chrono::milliseconds witness = std::chrono::seconds(10);
  std::chrono::milliseconds observe = std::chrono::seconds(15);
  std::chrono::milliseconds prepare = std::chrono::seconds(30);
  std::chrono::milliseconds commit = std::chrono::seconds(60);
};

struct RunnerOptions {
  Deadlines deadlines{};
  /// At most; as many as a cluster may have members and, in a change, witnesses, so that one that is silent delays
  /// nobody.
  std::size_t threads = 64;
  Listener* listener = nullptr;  ///< not owned
};

/// One run. Every call blocks until the coordinator rests again. Not thread-safe. `ports` outlives it; the destructor
/// waits for calls that are still going on, after telling them to give up.
class Runner {
 public:
  Runner(Ports& ports, Settings settings, RunnerOptions options);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Without claiming anything: peeks at `witnesses` (and those that their records name) and observes the configured
  /// and listed participants, which does not wait for witnesses that are silent where the others show what is decided.
  /// Changes nothing.
  Assessment inspect();

  /// Claims, finishes what another run left, observes. An error is the reason of lost or failed.
  Result<void> begin();
  /// Observes every participant again.
  Result<void> observe();
  /// REQUIRES: begin() succeeded and no later call ended the run. An error: the run was over before; otherwise the
  /// outcome tells, also for lost and unknown.
  Result<Outcome> propose(const model::State& state);
  Result<void> catch_up(const CatchUp& what);
  /// Closes the claim and waits for what is still going on, at most its deadline.
  void close();

  [[nodiscard]] const Coordinator& coordinator() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k4t::txn
