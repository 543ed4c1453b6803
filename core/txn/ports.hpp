#pragma once

#include <compare>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "k4t/participant.hpp"
#include "model/state.hpp"

/// What the commit protocol needs of the world: witnesses that promise and vote, participants that compare and swap,
/// and the master's own cache. The runner calls these; the coordinator only names them.

namespace k4t::txn {

/// Members of one group are kept identical, and each group must be able to serve a change before it is decided.
enum class Group { gateway, dns };
K4T_JSON_ENUM_DECLARE(Group, {Group::gateway, "gateway"}, {Group::dns, "dns"})

/// One participant by its configured name. Names are unique in their group only.
struct Participant {
  Group group = Group::gateway;
  std::string name;
  auto operator<=>(const Participant&) const = default;
};
K4T_JSON_DECLARE(Participant)

/// For messages: "gateway gw1".
std::string to_string(const Participant& participant);

/// A record whose txn was checked, with its state decoded. Shared and never changed.
struct Entry {
  model::Record record;
  model::State state;
};
using EntryPtr = std::shared_ptr<const Entry>;

/// Checks and decodes a record from anywhere; FATAL where its txn is not that of its content or the state is malformed.
Result<EntryPtr> read_record(const model::Record& record);

/// The register that a participant is to hold: `entry`'s version and txn, written by `writer` ("<run>.<n>").
Register register_of(const std::string& cluster, const Entry& entry, const std::string& writer);

/// What a witness answered to a claim or a vote. Refused: another run holds a higher promise (or, for a vote, this
/// run's own later one is already there); nothing changed.
struct WitnessAnswer {
  bool granted = false;
  model::WitnessRegister now;  ///< the register afterwards
};

struct ClaimRequest {
  model::Epoch epoch;
  /// For people and for the courtesy rule: the claimant's host name, a blank, then anything (user, time, command).
  std::string holder;
  bool take_over = false;   ///< also where another host's claim is open
  bool initialise = false;  ///< make the register where there is none; only ever right for a register never made before
};

/// The claimant's host name in a holder text.
std::string holder_host(const std::string& holder);

/// A holder text ("HOST USER TIME COMMAND") in people's words: "root on alpha (2026-01-31T12:00:00Z, apply)".
std::string describe_holder(const std::string& holder);

/// One witness. Thread-safe. All verbs are idempotent; UNAVAILABLE and DEADLINE mean that the effect is not known.
/// FATAL: the register or a record is not what a witness writes; it is reported, never overwritten.
class WitnessPort {
 public:
  virtual ~WitnessPort() = default;

  /// Promises the epoch unless a higher one was promised. NOT_FOUND: BLANK, there is no register. BUSY: another host's
  /// claim is open and `take_over` is not set; the message names the holder.
  virtual Result<WitnessAnswer> claim(const ClaimRequest& request, const CallOptions& options) = 0;

  /// Stores the record durably, then votes for it. NOT_FOUND: BLANK.
  virtual Result<WitnessAnswer> vote(const model::Epoch& epoch, const model::Record& record,
                                     const CallOptions& options) = 0;

  /// The register without changing it; absent: BLANK, and that is known.
  virtual Result<std::optional<model::WitnessRegister>> peek(const CallOptions& options) = 0;

  /// A record that was stored here with a vote. NOT_FOUND: this witness does not hold it. UNSUPPORTED: it holds none.
  virtual Result<model::Record> fetch(const std::string& txn, const CallOptions& options) = 0;

  /// Marks the claim as closed if it is still this epoch's; any other claim is left alone, with success.
  virtual Result<void> close(const model::Epoch& epoch, const CallOptions& options) = 0;
};

/// What a participant is to stage: its group's slice of `entry`.
struct Preparation {
  std::optional<Register> seen;  ///< absent: BLANK was observed
  Register target;
  EntryPtr entry;
  EntryPtr base;  ///< the state at `seen` where that is known and clean, else nullptr
};

/// One participant; the contract's verbs of k4t/participant.hpp, with the statuses that are named there. Thread-safe.
class ParticipantPort {
 public:
  virtual ~ParticipantPort() = default;

  /// `expected`, where not nullptr, is what the content is compared with if the register says that txn.
  virtual Result<Observation> observe(const Entry* expected, const CallOptions& options) = 0;
  virtual Result<void> prepare(const Preparation& preparation, const CallOptions& options) = 0;
  virtual Result<CommitReply> commit(const CommitRequest& request, const CallOptions& options) = 0;
  virtual Result<void> abort(const std::string& txn, const CallOptions& options) = 0;
};

/// What the master notes in its own store. Losing a note of a record or a counter endangers nothing; the note of
/// initialised witnesses is awaited, because it keeps a lost register from being taken for a new one.
struct Note {
  std::uint64_t counter = 0;             ///< the highest epoch counter seen; 0: not part of this note
  std::vector<std::string> initialised;  ///< ids of witnesses whose register has been made
  EntryPtr entry;                        ///< nullptr: not part of this note
  bool decided = false;                  ///< of `entry`
};

/// Where the runner finds everything. Called from the runner's own thread only, but what it returns is used by others;
/// it stays valid as long as the Ports.
class Ports {
 public:
  virtual ~Ports() = default;
  /// INVALID_ARGUMENT or UNAVAILABLE: it cannot be reached at all; the coordinator takes it as absent.
  virtual Result<WitnessPort*> witness(const model::Witness& witness) = 0;
  virtual Result<ParticipantPort*> participant(const Participant& participant) = 0;
  virtual Result<void> note(const Note& note) = 0;
};

}  // namespace k4t::txn
