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
  /// Not nullptr: this run begins a new history at this version, decided by `witnesses`, all of which are fresh.
  EntryPtr forced;
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
K4T_JSON_ENUM_DECLARE(Phase, {Phase::created, "created"}, {Phase::claiming, "claiming"}, {Phase::fetching, "fetching"},
                      {Phase::finishing, "finishing"}, {Phase::observing, "observing"}, {Phase::ready, "ready"},
                      {Phase::joining, "joining"}, {Phase::preparing, "preparing"}, {Phase::aborting, "aborting"},
                      {Phase::voting, "voting"}, {Phase::committing, "committing"}, {Phase::closing, "closing"},
                      {Phase::closed, "closed"}, {Phase::lost, "lost"}, {Phase::unknown, "unknown"},
                      {Phase::failed, "failed"})

/// What became of a proposal.
enum class Verdict {
  none,     ///< nothing was proposed, or it is still going on
  dropped,  ///< before any vote was asked for: nothing has changed
  decided,  ///< for ever; who lags is in the members' standings
  lost,     ///< the winner finishes or replaces it
  unknown,  ///< the next run finishes or replaces it
};
K4T_JSON_ENUM_DECLARE(Verdict, {Verdict::none, "none"}, {Verdict::dropped, "dropped"}, {Verdict::decided, "decided"},
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

  /// Whether an answer with this id would still be heard.
  [[nodiscard]] bool awaits(std::uint64_t id) const { return pending_.contains(id); }

  /// All that determines its further behaviour, as text: equal texts behave equally. For searches and debugging.
  [[nodiscard]] std::string fingerprint() const;

 private:
  /// What is known of one witness in this run.
  struct WitnessTrack {
    enum class Claim { none, asked, granted, refused, blank, busy, failed };
    model::Witness at;
    Claim claim = Claim::none;
    std::optional<model::WitnessRegister> shown;  ///< as last answered
    std::optional<Error> why;                     ///< of busy, blank and failed
    bool taken_over = false;                      ///< asked again although another host holds it open
    bool initialised = false;                     ///< asked again to make a register
  };

  /// One participant's way through a transaction.
  struct Track {
    enum class Goal { observe, prepare, commit };
    enum class Step { resting, observing, preparing, committing, settling, aborting };
    enum class Answer { none, yes, absent, invalid };
    std::optional<Observation> seen;
    std::optional<Error> why;
    Goal goal = Goal::observe;
    Step step = Step::resting;
    Answer answer = Answer::none;
    EntryPtr entry;  ///< what it is being brought to
    Register target;
    bool overwrite = false;        ///< also from off the chain
    bool repair = false;           ///< also where only the content differs
    bool asked = false;            ///< a stage may exist there
    bool prepared_again = false;   ///< after a CONFLICT
    bool committed_again = false;  ///< after a NOT_FOUND
  };

  /// An action without its answer yet. `witness` or `member` according to the kind.
  struct Pending {
    enum class Kind { claim, vote, fetch, close, member, note, initialised };
    Kind kind = Kind::note;
    std::string witness;
    Participant member;
    std::string txn;  ///< of a vote
    auto operator<=>(const Pending&) const = default;
  };

  struct Voting {
    EntryPtr entry;
    std::set<std::string> yes;
    std::optional<model::WitnessRegister> winner;  ///< the register that refused with a higher promise
    std::map<std::string, Error> errors;
  };

  // Bookkeeping (coordinator.cpp).
  template <class What>
  void act(Pending pending, What what);
  Actions flush();
  [[nodiscard]] bool waits_for(Pending::Kind kind) const;
  void stop(Phase phase, Error why);
  void note_entry(const EntryPtr& entry, bool decided);
  [[nodiscard]] std::vector<model::Witness> current_witnesses() const;

  // CLAIM and FINISH (coordinator_claim.cpp).
  void ask_claim(WitnessTrack& track, bool take_over, bool initialise);
  void on_claim(WitnessTrack& track, const Event& event);
  void settle_claims();
  bool raise_epoch();
  bool initialise_blanks();
  void leap();
  bool take_over_minority();
  void refuse_run(const std::vector<model::Witness>& set);
  void choose_best();
  void adopt_best();
  void fetch_best();
  void on_fetch(const std::string& witness, const Event& event);
  void conclude_claim();
  bool all_granted();
  void on_initialised(const Event& event);
  void go_on_from_claim();
  [[nodiscard]] bool granted(const std::string& id) const;
  [[nodiscard]] std::optional<model::Vote> best_vote() const;
  void settle_joining();

  // VOTE (coordinator_vote.cpp).
  void start_voting(Phase phase, const EntryPtr& entry);
  void on_vote(const Pending& pending, const Event& event);
  void settle_voting();
  void decide();
  void drop(Error why);

  // Participants (coordinator_members.cpp).
  void observe_all();
  void start_preparing();
  void start_member(const Participant& who, Track::Goal goal, const EntryPtr& entry);
  void work(const Participant& who, Track& track);
  void send_observe(const Participant& who, Track& track, Track::Step step);
  void send_prepare(const Participant& who, Track& track);
  void send_commit(const Participant& who, Track& track);
  void abort_all();
  void on_member(const Participant& who, const Event& event);
  void on_observed(const Participant& who, Track& track);
  void on_prepared(const Participant& who, Track& track, const Error* error);
  void on_committed(const Participant& who, Track& track, const Error* error);
  void settle_members();
  void end_observing();
  void end_preparing();
  [[nodiscard]] std::optional<Error> objection() const;
  [[nodiscard]] std::optional<Error> objection(Group group, const std::vector<std::string>& names,
                                               model::Availability availability) const;

  Settings settings_;
  Phase phase_ = Phase::created;
  std::optional<Error> why_;
  model::Epoch epoch_;
  EntryPtr latest_;
  Outcome outcome_;

  std::uint64_t next_id_ = 1;
  std::uint64_t writes_ = 0;  ///< n of the writer "run.n"
  unsigned raises_ = 0;
  bool leapt_ = false;  ///< the epoch is above all that a lost register may have promised
  Actions actions_;
  std::map<std::uint64_t, Pending> pending_;
  std::map<std::string, WitnessTrack> witnesses_;
  std::map<Participant, Track> members_;
  std::map<std::string, EntryPtr> entries_;  ///< known records by txn
  std::set<std::string> fetch_tried_;
  std::string fetch_reasons_;
  std::set<std::string> joining_;  ///< ids that the proposal names for the first time
  EntryPtr best_;                  ///< the entry of the best vote
  EntryPtr proposal_;
  Voting voting_;
};

}  // namespace k4t::txn
