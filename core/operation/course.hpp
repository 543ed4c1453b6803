#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "operation/master.hpp"
#include "operation/run.hpp"
#include "plan/plan.hpp"
#include "plan/routing.hpp"

/// The course of one operation, from its journal entry to its end.

namespace k4t::operation {

/// The journal's words for how far an operation has come.
namespace phase {
inline constexpr const char* started = "started";    ///< nothing is decided: it will be undone
inline constexpr const char* proposed = "proposed";  ///< a vote may have been cast: the witnesses know
inline constexpr const char* decided = "decided";    ///< it will be finished
inline constexpr const char* undoing = "undoing";    ///< it will be undone
}  // namespace phase

struct Course {
  std::int64_t id = 0;
  std::string label;                          ///< what its instances carry
  std::vector<model::Service> wanted;         ///< all services once it is done
  std::vector<model::Service> former;         ///< all services before it, for how those that go are drained
  std::optional<Error> unreadable;            ///< the journal's entry is damaged: what is wanted is not known
  std::set<std::string> touched;              ///< nodes on which it may have made instances
  bool force = false;                         ///< the removal limit does not count
  bool as_room_allows = false;                ///< see plan::World
  std::vector<model::NodeMark> marks;         ///< how it sets nodes apart
  std::vector<model::NodeMark> former_marks;  ///< of the same nodes before it, as far as they had one
  std::vector<std::string> left_undone;       ///< by its last round: see plan::Plan
  bool proposed = false;                      ///< a vote may have been cast: only the witnesses know
  bool decided = false;
};

/// What became of an operation that an earlier life of the master left.
enum class Fate {
  undecided,  ///< nobody will ever serve it
  decided,    ///< it is the newest that was decided
  overtaken,  ///< another master has decided something later: that one's plans count now
};

/// INVALID_ARGUMENT: the plan scales down more than the cluster's limit allows without --force.
Result<void> check_removal_limit(const model::Cluster& cluster, const plan::Plan& plan);

/// Nodes that were lost and answer.
std::vector<std::string> returned_nodes(const std::vector<plan::NodeView>& views);

/// All problems of a plan that cannot be done, as one error.
Error problems_error(const plan::Plan& plan);

/// The cluster with the witnesses of the latest decided version: a change of services never changes them in passing.
model::Cluster with_decided_witnesses(const model::Cluster& cluster, const txn::EntryPtr& latest);

/// Carries operations out. Not thread-safe.
class Conductor {
 public:
  /// Both outlive this. Everything here requires that `run` has begun, so that latest() is the truth.
  Conductor(const Environment& environment, Run& run) : env_(environment), run_(run) {}

  /// Notes a new operation in the journal, and its marks. `draft`: what it wants, and how.
  Result<Course> begin(const std::string& kind, Course draft);
  /// Reads an operation back from the journal. An error: the journal cannot be read now.
  Result<Course> resume(const store::Operation& operation);
  Result<Fate> fate_of(const store::Operation& operation);

  /// Plans and carries out until nothing is left to do.
  Result<void> run_rounds(Course& course);
  /// Notes that the operation's services are what is declared now.
  Result<void> mark_decided(Course& course);
  /// Ends the operation as its course went. What cannot be ended now stays in the journal: then the report says
  /// unfinished, and the next command goes on.
  Report end(Course& course, const Result<void>& outcome);
  /// Ends an operation on which nothing is left to be done, with a word for the journal.
  Result<void> close(const Course& course, const std::string& word);

  [[nodiscard]] Report report(Ending ending, std::optional<Error> why = std::nullopt) const;
  /// done, or lagging where a member does not serve the latest version.
  [[nodiscard]] Ending ending_of_members() const;
  /// Endpoints whose removal every listed participant has passed may be given out again.
  void release_endpoints();

 private:
  Result<bool> run_round(Course& course);
  Result<plan::Plan> make_plan(const Course& course, const plan::World& world) const;
  Result<plan::Plan> start_instances(Course& course, plan::World world);
  Result<void> note_version(const Course& course, std::uint64_t version, const model::State& state);
  Result<void> note_creations(Course& course, const plan::Plan& plan);
  Result<void> clear_conflicts(const Course& course, plan::World& world);
  Result<void> decide(Course& course, const plan::Plan& plan);
  Result<void> settle_unchanged(Course& course);
  Result<void> catch_up_members();
  /// `before`: what was served when the round began.
  Result<void> retire(const Course& course, const plan::Plan& plan, const plan::Routes& before);
  Result<void> await_ttl(const std::vector<plan::Placed>& going, const std::vector<model::Service>& services,
                         const plan::Routes& before);
  Result<void> reserve(const std::vector<gateway::Endpoint>& endpoints, std::uint64_t removed_in);
  Result<void> undo(const Course& course);
  Result<void> take_back_marks(const Course& course);
  Result<void> note_done(const Course& course);

  const Environment& env_;
  Run& run_;
};

}  // namespace k4t::operation
