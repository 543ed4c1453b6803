#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "drivers/cluster_ports.hpp"
#include "operation/environment.hpp"
#include "plan/routing.hpp"
#include "txn/runner.hpp"

namespace k4t::operation {

/// True for a member that answers and has to be brought to the latest version.
bool needs_catching_up(const txn::Member& member);
/// True for a listed member that is not known to serve the latest version.
bool lags(const txn::Member& member);

/// Names as messages list them: "a, b, c".
std::string listed(const std::vector<std::string>& ids);

class StatusWatcher;

/// A command's part in the commit protocol: one claim on the witnesses, made when something is first changed and closed
/// when the command ends. Not thread-safe.
class Run {
 public:
  /// `environment` outlives this.
  explicit Run(const Environment& environment);

  /// What can be said without claiming. UNAVAILABLE: too few witnesses answer to say anything. CONFLICT: the witnesses
  /// know nothing and a participant does.
  Result<txn::Assessment> assess();
  /// The same for people to look at, whatever answers. `watcher`, where there is one, is told of it meanwhile.
  Result<txn::Assessment> look(StatusWatcher* watcher = nullptr);

  /// Claims, or observes the participants again where the claim is held already. A run that has ended is followed by a
  /// new one under a new id.
  Result<void> begin();
  void close();
  /// Whether a claim is held and the run goes on.
  [[nodiscard]] bool ready() const;

  /// Of the run, ready or ended; empty and nullptr before it.
  [[nodiscard]] txn::EntryPtr latest() const;
  [[nodiscard]] std::vector<txn::Member> members() const;

  /// A witness's register, read and not changed; absent: BLANK.
  Result<std::optional<model::WitnessRegister>> peek(const model::Witness& witness);
  /// The record of that name from the store, else from one of the witnesses. NOT_FOUND: all answered and none has it.
  /// UNAVAILABLE: one that may have it did not answer.
  Result<txn::EntryPtr> find_record(const std::string& txn, const std::vector<model::Witness>& witnesses);
  /// Whether a witness holds the record; absent: it does not answer.
  std::optional<bool> holds_record(const model::Witness& witness, const std::string& txn);
  /// The cluster's record folders, and whether each holds the record; absent: it does not tell.
  std::vector<std::pair<std::string, std::optional<bool>>> record_folders(const std::string& txn);
  /// The next proposal says that the user has read what a forced version discarded.
  void acknowledge_forced() { acknowledges_ = true; }
  /// What is decided from now on is noted as this operation's.
  void set_operation(std::int64_t id) { operation_ = id; }

  /// Instead of begin(): begins a new history at `entry`, decided by its witnesses, all of which are fresh; its epoch
  /// is above `counter`. Every witness of `signposts` that still answers votes for it as well, so that whoever asks
  /// there finds the way. Ends as begin() does.
  Result<void> begin_forced(const txn::EntryPtr& entry, std::uint64_t counter,
                            const std::vector<model::Witness>& signposts);

  /// True when this run decided or finished the latest version and no machine besides the master is known to hold its
  /// record.
  [[nodiscard]] bool single_copy();

  /// REQUIRES: begin() succeeded, for all below. See txn::Runner. What a forced version left open is carried on.
  Result<txn::Outcome> propose(model::State state);
  Result<void> catch_up(const txn::CatchUp& what);
  /// CONFLICT: a witness shows that another run has taken over since.
  Result<void> require_not_overtaken();
  /// UNAVAILABLE: a whole group has no member that serves the latest version.
  Result<void> require_served() const;
  /// What members that answer still send traffic to because they serve an older version. Absent: one serves a version
  /// whose content is not known, so it may be anything.
  Result<std::optional<plan::Routes>> routed_by_laggards() const;

 private:
  class Relay;
  Result<txn::Settings> settings();
  Result<void> keep(const txn::Note& note);
  std::string next_id();

  const Environment& env_;
  std::shared_ptr<Relay> relay_;
  drivers::ClusterPorts ports_;
  std::unique_ptr<txn::Runner> runner_;
  unsigned runs_ = 0;  ///< begun so far
  bool proposing_ = false;
  bool acknowledges_ = false;
  std::int64_t operation_ = 0;
};

/// Closes the claim when a command ends, however it does.
class Closing {
 public:
  explicit Closing(Run& run) : run_(run) {}
  ~Closing() { run_.close(); }
  Closing(const Closing&) = delete;
  Closing& operator=(const Closing&) = delete;

 private:
  Run& run_;
};

}  // namespace k4t::operation
