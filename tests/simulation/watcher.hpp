#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hash.hpp"
#include "participant.hpp"
#include "reply.hpp"

namespace k4t::simulation {

/// Knows all that ever happened, as no run does, and holds it against the invariants:
/// I1: what is served was decided, and is wholly what its register says;
/// I2: nobody goes back, and what a run was told to be served is served;
/// I4: a version has one decided state, voted for only after its base was decided;
/// and what a run says of its proposal is true: decided is decided, dropped left no vote and never gets one.
class Watcher {
 public:
  /// `by` has taken a vote.
  void voted(const std::string& by, const model::Epoch& epoch, const txn::EntryPtr& entry);
  /// `server` serves something new, or something was stored there; `was`: what it served before.
  void served(const Server& server, const Face& was);
  /// An answer OK to a commit of `target` reached its run.
  void reported_served(const Server& server, const Register& target);
  /// A run's proposal has ended, or a run has chosen what it holds for the newest decided version.
  void concluded(const txn::Outcome& outcome);
  void believes(const txn::EntryPtr& latest);

  void violate(const std::string& what);
  [[nodiscard]] const std::optional<std::string>& violation() const { return violation_; }
  [[nodiscard]] const std::map<std::uint64_t, txn::EntryPtr>& decided() const { return decided_; }
  [[nodiscard]] bool is_decided(const std::string& txn) const { return decided_txns_.contains(txn); }
  /// Every state that anybody ever voted for.
  [[nodiscard]] const std::map<std::string, txn::EntryPtr>& voted_for() const { return voted_for_; }
  void hash_into(Hash& hash) const;

 private:
  void decide(const txn::EntryPtr& entry);

  std::map<model::Vote, std::set<std::string>> votes_;
  std::map<std::string, txn::EntryPtr> voted_for_;
  std::map<std::uint64_t, txn::EntryPtr> decided_;
  std::set<std::string> decided_txns_;
  std::set<std::string> dropped_;
  std::optional<std::string> violation_;
};

}  // namespace k4t::simulation
