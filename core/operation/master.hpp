#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operation/environment.hpp"
#include "operation/status.hpp"
#include "plan/plan.hpp"

/// The master's user-level commands, end to end: plan → journal → new instances, healthy → one transaction on gateways
/// and DNS servers → old instances drained and removed. Each step can be killed; the next command finishes what was
/// decided and undoes what was not.

namespace k4t::operation {

/// What the user asks to change.
struct Change {
  std::vector<model::Service> put;   ///< added, or replaced by name
  std::vector<std::string> removed;  ///< names
  /// How nodes are set apart by it; taken back if it is undone.
  std::vector<model::NodeMark> marks{};
  bool as_room_allows = false;  ///< see plan::World
  std::string kind = "apply";   ///< the command's name in the journal
};

enum class Ending {
  unchanged,   ///< nothing to do, and nothing was written anywhere
  done,        ///< decided and served by every participant
  lagging,     ///< decided, and a participant does not serve it yet; it catches up when it returns
  failed,      ///< nothing has changed; what was made for it is removed again
  unfinished,  ///< cut short; the next command finishes it or undoes it
};
K4T_JSON_ENUM(Ending, {Ending::unchanged, "unchanged"}, {Ending::done, "done"}, {Ending::lagging, "lagging"},
              {Ending::failed, "failed"}, {Ending::unfinished, "unfinished"})

/// How a command ended.
struct Report {
  Ending ending = Ending::unchanged;
  std::optional<Error> why;          ///< of failed and unfinished
  std::uint64_t version = 0;         ///< the latest decided one, 0: none yet
  std::vector<txn::Member> members;  ///< participants as last seen
  txn::EntryPtr latest;
  /// Of a change: its record is on no machine besides the master as far as is known.
  bool single_copy = false;
  /// Of a change that goes as far as room allows: see plan::Plan.
  std::vector<std::string> left_undone{};
};

/// What a change would do, without doing it.
struct Preview {
  plan::Plan plan;
  std::vector<model::Service> services;  ///< wanted, all
  txn::Assessment assessment;
  std::vector<std::string> differences;  ///< of routing, for people
  std::vector<std::string> witnesses;    ///< how the set of witnesses is to follow k4t.toml, for people
  bool declarations_change = false;      ///< some service is declared otherwise than before
  bool catch_up = false;                 ///< a participant that answers is behind, blank or half-way
  std::vector<model::NodeMark> marks{};  ///< how nodes will be set apart and are not yet
  std::vector<std::string> returned{};   ///< nodes that were lost and answer: what they still run is tidied up
  [[nodiscard]] bool nothing_to_do() const {
    return only_small_things() && witnesses.empty() && marks.empty() && returned.empty();
  }
  /// Neither instances nor what is served are to change.
  [[nodiscard]] bool only_small_things() const { return plan.empty() && !declarations_change && !catch_up; }
};

struct ApplyOptions {
  bool force = false;  ///< also when the plan scales down more than the cluster's limit
  /// Shown the plan before anything is done; false: the user says no, and nothing is.
  std::function<bool(const Preview&)> confirm;
};

/// One life of the master. Not thread-safe.
class Master {
 public:
  explicit Master(Environment environment);
  ~Master();

  /// True when something was left by a run that died: recover() must come before anything else is changed.
  Result<bool> needs_recovery();

  /// Finishes or undoes what earlier runs left. Ending unchanged: nothing was left.
  Result<Report> recover();

  /// Changes nothing, claims nothing.
  Result<Preview> preview(const Change& change);

  /// Recovers first where needed.
  Result<Report> apply(const Change& change, const ApplyOptions& options);

  /// Moves what the nodes run elsewhere, as far as there is room, and gives them nothing new until they are uncordoned.
  /// INVALID_ARGUMENT: there is no such node. UNAVAILABLE: one cannot be read. CONFLICT: the store was lost.
  Result<Report> drain(const std::vector<std::string>& nodes, const std::string& why, const ApplyOptions& options);

  /// Brings what is to what is declared, as far as there is room. Nodes that cannot be read, even when asked twice, are
  /// declared lost: all of them, or where `nodes` names some, those. CONFLICT: a named one answers, or the store was
  /// lost.
  Result<Report> repair(const std::vector<std::string>& nodes, const std::string& why, const ApplyOptions& options);

  /// Brings participants that have returned to the latest version; with `repair` also those whose content drifted.
  Result<Report> sync(bool repair);

  /// Reads everything; changes nothing. `watcher`: nullptr, or told meanwhile.
  Result<Status> status(StatusWatcher* watcher = nullptr);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k4t::operation
