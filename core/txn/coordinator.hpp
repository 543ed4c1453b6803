#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "txn/ports.hpp"
#include "txn/standing.hpp"

/// The coordinator of the two-phase commit: one run's part in the protocol, as a state machine without I/O, clock or
/// threads. Events go in, actions come out; whoever carries the actions out may be real, slow, or a simulation.
///
/// A run goes CLAIM (a majority of witnesses promises its epoch and shows its votes) → FINISH (a vote that was found is
/// completed, never dropped) → observe → READY, where changes may be proposed: PREPARE at all participants, VOTE at the
/// witnesses, COMMIT at all who prepared, READY again. See docs/architecture.md for why this is safe.

namespace k4t::txn {

struct Settings {
  std::string cluster;
  std::string run;                        ///< 32 hex digits, drawn when the process started
  std::string holder;                     ///< see ClaimRequest
  std::uint64_t highest_counter = 0;      ///< of all epochs known; any guess is safe, a good one saves rounds
  bool take_over = false;                 ///< see ClaimRequest
  std::vector<model::Witness> witnesses;  ///< where to begin: of the newest state known, else as configured
  std::set<std::string>
      fresh_witnesses;                ///< ids whose register has never been made, as far as the master's store knows
  std::vector<std::string> gateways;  ///< configured members, observed beside those that the state names
  std::vector<std::string> dns;
  model::Availability gateway_availability = model::Availability::one;
  model::Availability dns_availability = model::Availability::one;
  std::vector<model::Record> known_records;  ///< the master's cache; saves fetching, and is checked before use
};

namespace action {

struct Claim {
  model::Witness at;
  ClaimRequest request;
};
struct Vote {
  model::Witness at;
  model::Epoch epoch;
  EntryPtr entry;
};
struct Fetch {
  model::Witness at;
  std::string txn;
};
struct Close {
  model::Witness at;
  model::Epoch epoch;
};
struct Observe {
  Participant at;
  EntryPtr expected;  ///< nullptr: nothing is known
};
struct Prepare {
  Participant at;
  Preparation what;
};
struct Commit {
  Participant at;
  CommitRequest what;
};
struct Abort {
  Participant at;
  std::string txn;
};

}  // namespace action

/// Something to do, once. Each is answered by exactly one Event with its id; where no answer comes in time, the runner
/// answers with the error DEADLINE, and an answer that comes later still is ignored.
struct Action {
  std::uint64_t id = 0;
  std::variant<action::Claim, action::Vote, action::Fetch, action::Close, action::Observe, action::Prepare,
               action::Commit, action::Abort, Note>
      what;
};
using Actions = std::vector<Action>;

/// Success of a verb that has nothing to say.
struct Done {};

struct Event {
  std::uint64_t id = 0;
  std::variant<Done, Error, WitnessAnswer, model::Record, Observation, CommitReply> reply;
};

enum class Phase {
  created,  ///< begin() not called yet
  claiming,
  fetching,   ///< the record of the best vote
  finishing,  ///< voting for what another run left
  observing,
  ready,
  joining,  ///< claiming the registers of new witnesses
  preparing,
  aborting,
  voting,
  committing,  ///< also catching up
  closing,
  closed,   ///< the end, in order
  lost,     ///< the end: another run holds a higher epoch
  unknown,  ///< the end: votes were asked for and no majority answered; the next run settles it
  failed,   ///< the end: this run cannot go on, nothing it proposed was voted for
};
K4T_JSON_ENUM(Phase, {Phase::created, "created"}, {Phase::claiming, "claiming"}, {Phase::fetching, "fetching"},
              {Phase::finishing, "finishing"}, {Phase::observing, "observing"}, {Phase::ready, "ready"},
              {Phase::joining, "joining"}, {Phase::preparing, "preparing"}, {Phase::aborting, "aborting"},
              {Phase::voting, "voting"}, {Phase::committing, "committing"}, {Phase::closing, "closing"},
              {Phase::closed, "closed"}, {Phase::lost, "lost"}, {Phase::unknown, "unknown"}, {Phase::failed, "failed"})

/// What became of a proposal.
enum class Verdict {
  none,     ///< nothing was proposed, or it is still going on
  dropped,  ///< before any vote was asked for: nothing has changed
  decided,  ///< for ever; who lags is in the members' standings
  lost,     ///< the winner finishes or replaces it
  unknown,  ///< the next run finishes or replaces it
};
K4T_JSON_ENUM(Verdict, {Verdict::none, "none"}, {Verdict::dropped, "dropped"}, {Verdict::decided, "decided"},
              {Verdict::lost, "lost"}, {Verdict::unknown, "unknown"})

struct Outcome {
  Verdict verdict = Verdict::none;
  std::uint64_t version = 0;  ///< of the proposal
  std::string txn;
  std::optional<Error> why;          ///< of dropped, lost and unknown
  std::vector<std::string> holders;  ///< ids of witnesses that are known to have voted for it and hold its record
};

/// What catch_up() does.
struct CatchUp {
  bool repair = false;              ///< also members whose content has drifted
  std::set<Participant> overwrite;  ///< members off the chain that the user told to be overwritten
};

/// Copyable, so that a search can try every order of events from one state.
class Coordinator {
 public:
  explicit Coordinator(Settings settings);

  [[nodiscard]] Phase phase() const { return phase_; }
  /// Whether it waits for the engine, not for an event. Late answers may still be outstanding.
  [[nodiscard]] bool resting() const;
  /// Of the terminal phases lost, unknown and failed: why.
  [[nodiscard]] const std::optional<Error>& why() const { return why_; }
  [[nodiscard]] const model::Epoch& epoch() const { return epoch_; }
  /// In ready and later: the newest decided version, nullptr where none was ever decided.
  [[nodiscard]] const EntryPtr& latest() const { return latest_; }
  /// Every configured or listed participant with what was last seen of it, sorted; judged against latest().
  [[nodiscard]] std::vector<Member> members() const;
  /// Witnesses that answered BLANK although their register was made once: dead for ever.
  [[nodiscard]] std::vector<std::string> blank_witnesses() const;
  /// Of the last proposal, or of the version that begin() finished.
  [[nodiscard]] const Outcome& outcome() const { return outcome_; }

  /// REQUIRES: phase created. Ends in ready, lost or failed.
  Actions begin();
  /// REQUIRES: phase ready. Asks every participant again. Ends in ready or failed.
  Actions observe();
  /// REQUIRES: phase ready. Makes `state` the next version. Its members and witnesses are taken from it; the
  /// coordinator itself notes former witnesses where the set changes. Ends in ready (dropped or decided), lost, unknown
  /// or failed.
  Actions propose(model::State state);
  /// REQUIRES: phase ready. Brings the members that answer to latest(), with full state. Ends in ready.
  Actions catch_up(CatchUp what);
  /// REQUIRES: resting(). Ends in closed; after lost nothing is sent and the phase stays.
  Actions close();

  /// Takes one answer. Unknown ids are ignored: late or duplicated answers do no harm.
  Actions on(const Event& event);

  /// All that determines its further behaviour, as text: equal texts behave equally. For searches and debugging.
  [[nodiscard]] std::string fingerprint() const;

 private:
  Settings settings_;
  Phase phase_ = Phase::created;
  std::optional<Error> why_;
  model::Epoch epoch_;
  EntryPtr latest_;
  Outcome outcome_;
};

}  // namespace k4t::txn
