#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config.hpp"
#include "operation/force.hpp"
#include "participant.hpp"
#include "watcher.hpp"
#include "witness.hpp"

/// A small world for the coordinator: witnesses and participants in memory that obey the contract (or, on request,
/// break it in one way), masters with stores of their own, runs that begin, propose, crash, a network that loses,
/// delays, repeats and reorders messages, and a clock that stands still until deadlines are let pass. One step is one
/// choice; whoever explores makes the choices. The world itself watches the invariants.

namespace k4t::simulation {

/// One thing that can happen next.
struct Choice {
  enum class Kind {
    start,        ///< a run begins at host `detail`
    deliver,      ///< a message arrives, and its answer too
    late,         ///< a delayed or repeated message, or one of a dead run, arrives
    lose,         ///< a message never arrives, or the store does not take a note
    lose_answer,  ///< it arrives, its answer does not
    delay,        ///< it arrives after its sender gave up on it
    repeat,       ///< it arrives, its answer too, and later it arrives again
    expire,       ///< the clock moves on to the next deadline of a message
    half,         ///< a commit is stored, and its activation fails
    refuse,       ///< a participant's checker says INVALID
    cut,          ///< the machine loses its power while it does what the message asks
    crash,        ///< a run dies
    wipe,         ///< a witness loses its register
    reboot_witness,
    reboot_server,
    leave,         ///< a participant answers nobody
    come_back,     ///< and does again
    replace,       ///< it is replaced by an empty machine
    rewind,        ///< it is set back to its `detail`-th state
    lose_store,    ///< a host's store is empty
    rewind_store,  ///< and as it was before its `detail`-th change
    clone_store,   ///< a host's disk is copied from host `detail`
    drift,         ///< a participant's content is changed by hand
    force,         ///< a user at a host forces history; `detail`: who answers, see World::force
  };
  Kind kind = Kind::start;
  std::size_t index = 0;  ///< of the run, message, witness, participant or host
  std::size_t detail = 0;

  /// Whether it brings a run on, as opposed to something going wrong.
  [[nodiscard]] bool is_progress() const { return kind == Kind::start || kind == Kind::deliver; }
};

class World {
 public:
  explicit World(Config config);

  /// Everything that can happen next, into `all`.
  void choices(std::vector<Choice>& all) const;
  void take(const Choice& choice);

  /// REQUIRES: Config::hashed. Equal marks behave equally, whatever led there.
  [[nodiscard]] std::uint64_t fingerprint() const;

  [[nodiscard]] const std::optional<std::string>& violation() const { return watcher_.violation(); }
  [[nodiscard]] const Watcher& watcher() const { return watcher_; }

  /// Whether a fresh run without a log that reaches only a smallest majority (which one: `draw`) of each set that may
  /// decide finds every decided version and brings every participant to it; otherwise what went wrong.
  static std::optional<std::string> recover(World after, std::uint64_t draw);

  /// For people: what a choice would do, and who holds what.
  [[nodiscard]] std::string describe(const Choice& choice) const;
  [[nodiscard]] std::string describe() const;
  /// The run that a choice belongs to, where it is one's message or start.
  [[nodiscard]] std::optional<std::size_t> run_of(const Choice& choice) const;

 private:
  /// What a host's store knows. Shared with its history, never changed.
  struct Store {
    std::uint64_t counter = 0;
    std::set<std::string> initialised;
    txn::EntryPtr latest;    ///< newest known as decided
    txn::EntryPtr proposed;  ///< newest that was noted at all
  };
  struct Host {
    std::shared_ptr<const Store> store = std::make_shared<const Store>();
    std::vector<std::shared_ptr<const Store>> past;
  };
  struct HeldAnswer {
    std::shared_ptr<const txn::Action> action;
    Reply reply;
  };
  struct Run {
    std::optional<txn::Coordinator> coordinator;  ///< absent: not begun
    std::size_t host = 0;
    bool dead = false;
    bool caught_up = false;
    int proposed = 0;
    bool repairs = false;
    std::set<txn::Participant> overwrite;
    std::set<txn::Participant> saw_drift;
    std::vector<model::Witness> signposts;  ///< of a forced run: old witnesses to be pointed to the new ones
    std::string told;                       ///< txn of the last proposal whose end was watched
    bool believed = false;
    std::vector<model::Witness> began_with;
    // For mistakes that look at a whole round.
    std::vector<HeldAnswer> held;
    std::size_t votes = 0;
    mutable std::optional<std::uint64_t> mark;  ///< the coordinator's, until it changes
  };
  struct Message {
    std::size_t run = 0;
    std::shared_ptr<const txn::Action> action;
    std::chrono::milliseconds deadline{};
    bool late = false;                       ///< nobody waits for it any more
    std::shared_ptr<const CommitStep> step;  ///< of a commit that has begun
    std::uint64_t mark = 0;                  ///< of run and action
    bool saw_drift = false;                  ///< its run knew of a change by hand there when it was sent
  };
  /// How a message is carried out.
  struct How {
    bool cut = false;
    bool half = false;
  };

  // The network and what happens to machines (world.cpp).
  void message_choices(std::vector<Choice>& all) const;
  void machine_choices(std::vector<Choice>& all) const;
  void store_choices(std::vector<Choice>& all) const;
  [[nodiscard]] bool may_wipe(std::size_t index) const;
  void take_message(const Choice& choice);
  void take_disturbance(const Choice& choice);
  void spend(Choice::Kind kind);
  void expire();
  Message remove_message(std::size_t index);
  Reply execute(Message& message, How how);
  Reply ask_witness(Witness& witness, const txn::Action& action, How how);
  Reply ask_server(Server& server, Message& message, How how);
  Reply keep(std::size_t run, const txn::Note& note);
  Witness& witness(const model::Witness& at);
  void set_store(std::size_t host, std::shared_ptr<const Store> next);

  // Runs (world_runs.cpp).
  Run& run(std::size_t index);
  void start(std::size_t index, std::size_t host);
  void send(std::size_t index, txn::Actions actions);
  void answer(const Message& message, Reply reply);
  void hear(std::size_t index, const txn::Event& event);
  void go_on(std::size_t index);
  void watch(Run& run);
  [[nodiscard]] std::string id_of(std::size_t index) const;
  [[nodiscard]] txn::Settings settings_of(const Run& run, const std::string& id) const;
  [[nodiscard]] model::State proposal_of(std::size_t index) const;
  [[nodiscard]] std::vector<model::Witness> planned_set(const Run& run, std::size_t at) const;

  // A user's --force (world_force.cpp).
  void force_choices(std::vector<Choice>& all) const;
  void force(std::size_t host, std::size_t who_answers);
  [[nodiscard]] operation::Evidence evidence_at(const Run& run, std::size_t who_answers) const;
  [[nodiscard]] std::vector<txn::EntryPtr> records_at(const Run& run, const operation::Evidence& evidence) const;
  std::vector<model::Witness> fresh_set(const std::string& id);
  [[nodiscard]] txn::EntryPtr mistaken_force(const operation::Forcing& forcing) const;
  static txn::Actions pointing_to_new_witnesses(Run& run);

  // Mistakes of the coordinator, made by changing what it sends and hears (world_mistakes.cpp).
  [[nodiscard]] txn::Action mistaken(txn::Action action) const;
  bool intercept(std::size_t index, const txn::Action& action);
  void hear_mistaken(std::size_t index, const Message& message, Reply reply);
  void hold_claim(std::size_t index, const Message& message, Reply reply);
  void change_votes(const Run& run, std::vector<HeldAnswer>& round) const;
  void hear_vote(std::size_t index, const txn::action::Vote& vote, txn::Event event);

  // Recovery (world_recovery.cpp).
  [[nodiscard]] std::vector<std::vector<model::Witness>> sets_that_may_decide() const;
  [[nodiscard]] std::set<std::string> smallest_majority(const std::vector<model::Witness>& set,
                                                        std::uint64_t draw) const;
  [[nodiscard]] std::optional<std::string> check_caught_up(const txn::Coordinator& fresh) const;

  [[nodiscard]] std::uint64_t mark_of(const Run& run) const;

  Config config_;
  std::chrono::milliseconds now_{};
  std::vector<Witness> witnesses_;  ///< w1, w2, …
  std::vector<model::Witness> first_set_;
  std::size_t numbered_ = 0;  ///< of the witnesses: all others are of forced histories
  std::vector<Server> servers_;
  std::vector<Host> hosts_;
  std::vector<std::shared_ptr<Run>> runs_;  ///< shared with copies of this world until changed
  std::vector<Message> messages_;
  std::optional<std::set<std::string>> reachable_;  ///< of recover(): the only witnesses that answer
  Watcher watcher_;
};

}  // namespace k4t::simulation
