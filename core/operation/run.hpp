#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "drivers/cluster_ports.hpp"
#include "operation/environment.hpp"
#include "txn/runner.hpp"

namespace k4t::operation {

/// True for a member that answers and has to be brought to the latest version.
bool needs_catching_up(const txn::Member& member);
/// True for a listed member that is not known to serve the latest version.
bool lags(const txn::Member& member);

/// A command's part in the commit protocol: one claim on the witnesses, made when something is first changed and closed
/// when the command ends. Not thread-safe.
class Run {
 public:
  /// `environment` outlives this.
  explicit Run(const Environment& environment);

  /// What can be said without claiming. UNAVAILABLE: too few witnesses answer to say anything.
  Result<txn::Assessment> assess();
  /// The same for people to look at, whatever answers.
  Result<txn::Assessment> look();

  /// Claims, or observes the participants again where the claim is held already. A run that has ended is followed by a
  /// new one under a new id.
  Result<void> begin();
  void close();
  /// Whether a claim is held and the run goes on.
  [[nodiscard]] bool ready() const;

  /// Of the run, ready or ended; empty and nullptr before it.
  [[nodiscard]] txn::EntryPtr latest() const;
  [[nodiscard]] std::vector<txn::Member> members() const;

  /// REQUIRES: begin() succeeded, for all below. See txn::Runner.
  Result<txn::Outcome> propose(const model::State& state);
  Result<void> catch_up(const txn::CatchUp& what);
  /// CONFLICT: a witness shows that another run has taken over since.
  Result<void> require_not_overtaken();
  /// UNAVAILABLE: a whole group has no member that serves the latest version.
  Result<void> require_served() const;
  /// Endpoints that members which answer still send traffic to because they serve an older version. Absent: one serves
  /// a version whose content is not known, so it may be any.
  Result<std::optional<std::set<gateway::Endpoint>>> routed_by_laggards() const;

 private:
  class Relay;
  Result<txn::Settings> settings();
  Result<void> keep(const txn::Note& note);

  const Environment& env_;
  std::shared_ptr<Relay> relay_;
  drivers::ClusterPorts ports_;
  std::unique_ptr<txn::Runner> runner_;
  unsigned runs_ = 0;  ///< begun so far
};

}  // namespace k4t::operation
