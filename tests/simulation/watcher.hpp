#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hash.hpp"
#include "participant.hpp"
#include "reply.hpp"

namespace k4t::simulation {

/// Knows all that ever happened, as no run does, and holds it against the invariants:
/// I1: what is served was decided, and is wholly what its register says;
/// I2: nobody goes back, and what a run was told to be served is served;
/// I4: a version has one decided state in each history, voted for only after its base was decided;
/// F1: what a forced history has reached serves the one that was left behind no more;
/// F2: who did not answer a user's --force enters that history by an explicit overwrite only;
/// R1: a change by hand that a run saw is undone only where it was asked to, or by a newer version;
/// and what a run says of its proposal is true: decided is decided, dropped left no vote and never gets one.
class Watcher {
 public:
  /// `by` has taken a vote.
  void voted(const std::string& by, const model::Epoch& epoch, const txn::EntryPtr& entry);
  /// `server` serves something new, or something was stored there; `was`: what it served before.
  struct Leave {
    bool overwrites = false;  ///< the run was told to overwrite this very server
    bool repairs = false;     ///< the run was told to undo changes by hand, or had seen none there when it sent this
  };
  void served(const Server& server, const Face& was, Leave leave);
  /// An answer OK to a commit of `target` reached its run.
  void reported_served(const Server& server, const Register& target);
  /// A user begins a history with the version `txn`, to whom these gave no answer.
  void forces(const std::string& txn, std::set<txn::Participant> silent) { silent_[txn] = std::move(silent); }
  /// A run's proposal has ended, or a run has chosen what it holds for the newest decided version.
  void concluded(const txn::Outcome& outcome);
  void believes(const txn::EntryPtr& latest);

  void violate(const std::string& what);
  [[nodiscard]] const std::optional<std::string>& violation() const { return violation_; }
  /// Of the newest history.
  [[nodiscard]] const std::map<std::uint64_t, txn::EntryPtr>& decided() const { return histories_[newest_].decided; }
  /// Whether a user's --force ever decided.
  [[nodiscard]] bool forced() const { return newest_ > 0; }
  /// Whether it belongs to a history that a --force began.
  [[nodiscard]] bool is_forced(const std::string& txn) const { return history_of(txn) > 0; }
  [[nodiscard]] bool is_decided(const std::string& txn) const { return decided_txns_.contains(txn); }
  /// Every state that anybody ever voted for.
  [[nodiscard]] const std::map<std::string, txn::EntryPtr>& voted_for() const { return voted_for_; }
  void hash_into(Hash& hash) const;

 private:
  /// The first one, and those that a --force began.
  struct History {
    txn::EntryPtr root;  ///< the forced version; nullptr: the first one
    std::size_t parent = 0;
    std::map<std::uint64_t, txn::EntryPtr> decided;
  };

  void decide(const txn::EntryPtr& entry);
  std::size_t place(const txn::EntryPtr& entry);
  [[nodiscard]] std::size_t history_of(const std::string& txn) const;
  [[nodiscard]] bool descends(std::size_t history, std::size_t from) const;
  void judge_history(const Server& server, const Face& was);

  std::map<model::Vote, std::set<std::string>> votes_;
  std::map<std::string, txn::EntryPtr> voted_for_;
  std::vector<History> histories_{1};
  std::size_t newest_ = 0;
  std::map<std::string, std::set<txn::Participant>> silent_;  ///< by the forced version
  std::map<std::string, std::size_t> places_;                 ///< txns of forced histories, and which
  std::set<std::string> decided_txns_;
  std::set<std::string> dropped_;
  std::optional<std::string> violation_;
};

}  // namespace k4t::simulation
