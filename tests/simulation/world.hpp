#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "txn/coordinator.hpp"

/// A small world for the coordinator: witnesses and participants in memory that obey the contract (or, on request,
/// break it in one way), runs that begin, propose, crash, and a network that loses, delays and repeats messages. One
/// step is one choice; whoever explores makes the choices. The world itself watches the invariants.

namespace k4t::simulation {

/// A way in which the protocol could be got wrong. Each must be found.
enum class Mistake {
  none,
  witness_keeps_epoch_only,     ///< a vote is answered and not stored
  late_vote_overwrites,         ///< a vote is taken below the promise
  minority_votes_are_dropped,   ///< a run that sees a vote at less than a majority drops it
  blank_counts_as_fresh,        ///< a register that was lost promises and votes again
  runs_share_an_epoch,          ///< a clone took its run id from disk
  commit_ignores_the_register,  ///< a participant takes any commit
};

/// What is explored. Budgets are for the whole of one path.
struct Config {
  int witnesses = 3;
  int gateways = 1;
  int dns = 1;
  int runs = 2;
  int proposals = 1;  ///< per run
  int faults = 2;     ///< lost, delayed and repeated messages, failed activations
  int crashes = 1;
  int wipes = 0;  ///< registers that are lost
  model::Availability availability = model::Availability::one;
  Mistake mistake = Mistake::none;
};

/// One thing that can happen next.
struct Choice {
  enum class Kind {
    start,        ///< a run begins
    deliver,      ///< a message arrives, and its answer too
    lose,         ///< a message never arrives
    lose_answer,  ///< it arrives, its answer does not
    delay,        ///< it arrives after its sender gave up on it
    repeat,       ///< it arrives, its answer too, and later it arrives again
    half,         ///< a commit is stored, and its activation fails
    late,         ///< a delayed or repeated message, or one of a dead run, arrives
    crash,        ///< a run dies
    wipe,         ///< a witness loses its register
  };
  Kind kind = Kind::start;
  std::size_t index = 0;  ///< of the run, message or witness
};

std::string to_string(const Choice& choice);

class World {
 public:
  explicit World(const Config& config);

  [[nodiscard]] std::vector<Choice> choices() const;
  void take(const Choice& choice);

  /// Equal texts behave equally, whatever led there.
  [[nodiscard]] std::string fingerprint() const;

  /// The first invariant that was broken, in words.
  [[nodiscard]] const std::optional<std::string>& violation() const { return violation_; }

  /// Whether a fresh run without a log that reaches only the witnesses of `reachable` finishes what was decided and
  /// brings every participant to it; otherwise what went wrong. Does not change this world.
  [[nodiscard]] std::optional<std::string> check_recovery(const std::set<std::string>& reachable) const;

  /// All smallest sets of witnesses that are a majority and were not wiped.
  [[nodiscard]] std::vector<std::set<std::string>> minimal_majorities() const;

  /// For people: who holds what.
  [[nodiscard]] std::string describe() const;

 private:
  struct Witness {
    model::Witness at;
    std::optional<model::WitnessRegister> held;
    std::map<std::string, model::Record> records;
    bool wiped = false;
  };
  struct Server {
    std::optional<Register> stored;
    std::optional<Register> served;
    std::set<std::string> staged;
  };
  struct Run {
    std::optional<txn::Coordinator> coordinator;  ///< absent: not begun
    bool dead = false;
    int proposals_left = 0;
    bool caught_up = false;
    std::vector<txn::Event> held_claims;  ///< for the mistake that looks at a whole round
  };
  struct Message {
    std::size_t run = 0;
    txn::Action action;
    bool late = false;  ///< nobody waits for it any more
  };
  using Reply = decltype(txn::Event::reply);

  void start(std::size_t index);
  void crash(std::size_t index);
  void send(std::size_t run, const txn::Actions& actions);
  void answer(std::size_t run, txn::Event event);
  void hear(std::size_t run, const txn::Event& event);
  void hear_filtered(std::size_t run, txn::Event event);
  void go_on(std::size_t run);
  Message take_message(std::size_t index);

  Reply execute(const txn::Action& action, bool half = false);
  Reply claim(Witness& witness, const txn::ClaimRequest& request);
  Reply vote(Witness& witness, const model::Epoch& epoch, const model::Record& record);
  Reply observe(const Server& server) const;
  Reply prepare(Server& server, const txn::Preparation& what);
  Reply commit(Server& server, const CommitRequest& what, bool half);
  void watch_vote(const Witness& witness, const model::Vote& vote);
  void watch_serving(Server& server, const Register& next);
  void violate(const std::string& what);
  [[nodiscard]] model::State proposal_of(std::size_t run) const;
  [[nodiscard]] txn::Settings settings_of(const std::string& run_id) const;
  [[nodiscard]] std::optional<std::string> check_caught_up(const txn::Coordinator& fresh) const;

  Config config_;
  std::vector<Witness> witnesses_;
  std::map<txn::Participant, Server> servers_;
  std::vector<Run> runs_;
  std::vector<Message> messages_;
  std::set<std::string> unreachable_;                   ///< of check_recovery()
  std::map<model::Vote, std::set<std::string>> votes_;  ///< ever stored, by whom
  std::map<std::uint64_t, std::string> decided_;        ///< txn by version
  std::optional<std::string> violation_;
};

}  // namespace k4t::simulation
