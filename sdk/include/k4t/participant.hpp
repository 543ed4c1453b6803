#pragma once

#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "k4t/call.hpp"

/// The contract of a *participant*, one member of the group of gateways or of DNS servers, in the two-phase commit.
/// Every verb is idempotent, and a lost reply is settled by observing again. A participant decides nothing: it compares
/// and swaps its one register. docs/architecture.md tells how the master uses it.

namespace k4t {

/// Which state a participant holds. `writer` is "<run id>.<n>", n counting that run's writes, so that every write
/// changes the register even when the state stays the same.
struct Register {
  std::string cluster;
  std::uint64_t version = 0;
  std::string txn;  ///< 32 hex digits: names the content and the history of this version
  std::string writer;

  friend bool operator==(const Register&, const Register&) = default;
};
K4T_SDK_JSON(Register, cluster, version, txn, writer)

/// True for 32 lower-case hex digits. A driver asks this before a txn becomes part of a file name or a message.
inline bool is_txn(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// Whether what the running server serves is what its register says.
enum class Content { unknown, clean, drifted };
K4T_SDK_JSON_ENUM(Content, {Content::unknown, "unknown"}, {Content::clean, "clean"}, {Content::drifted, "drifted"})

/// What a participant shows. A server that does not answer is the error UNAVAILABLE, never an empty Observation: an
/// absent register (BLANK) is positive knowledge that k4t has never written there.
struct Observation {
  std::optional<Register> stored;  ///< the register on disk, which a restart of the server would serve
  std::optional<Register> served;  ///< the register that the *running* server answers
  Content content = Content::unknown;
  bool half = false;                ///< a commit has begun and not ended: stored ≠ served, or chunks are open
  std::vector<std::string> staged;  ///< txns that are prepared
  std::string detail;               ///< for people: what has drifted, why content is unknown; may be empty

  friend bool operator==(const Observation&, const Observation&) = default;
};
K4T_SDK_JSON(Observation, stored, served, content, half, staged, detail)

/// The state that the caller believes a participant holds, for vendors that cannot tell by themselves whether their
/// content has drifted.
template <class State>
struct Expected {
  Register at;
  State state;
};

template <class State>
struct ObserveRequest {
  /// Compare the content with this where the register is `at`; absent: content may be answered as unknown.
  std::optional<Expected<State>> expected;
};

/// Stage `state` under `target.txn` and let the vendor's checker and the driver's own rules judge it. Locks nothing.
/// OK: a commit of this target can be expected to work. INVALID_ARGUMENT: this state can never be served here, and
/// why. CONFLICT: the register is not exactly `seen` (absent: BLANK). UNAVAILABLE: no answer.
template <class State>
struct PrepareRequest {
  std::optional<Register> seen;
  Register target;
  State state;                ///< always the full state of this group
  std::optional<State> base;  ///< the state at `seen`, where the register is clean: lets a driver send only changes
};

/// Make `target` what is served: content and register replaced together, atomically, if the register is exactly
/// `seen`. Already at target.txn and clean: only activates where it is not served yet. OK only with the vendor's
/// evidence that every new connection or query is answered by the target. CONFLICT: another register; nothing changed.
/// NOT_FOUND: not staged, prepare again. UNAVAILABLE or DEADLINE: unknown, observe.
struct CommitRequest {
  std::optional<Register> seen;
  Register target;
};
K4T_SDK_JSON(CommitRequest, seen, target)

struct CommitReply {
  std::string evidence;  ///< for people: what proved that the target is served
};
K4T_SDK_JSON(CommitReply, evidence)

/// Delete the stage of `txn`; one that is not there is OK. Nothing depends on it.
struct AbortRequest {
  std::string txn;
};
K4T_SDK_JSON(AbortRequest, txn)

}  // namespace k4t

/// Gives the participant contract's requests their JSON form for one kind's State.
#define K4T_JSON_PARTICIPANT(STATE)                    \
  K4T_SDK_JSON(::k4t::Expected<STATE>, at, state)      \
  K4T_SDK_JSON(::k4t::ObserveRequest<STATE>, expected) \
  K4T_SDK_JSON(::k4t::PrepareRequest<STATE>, seen, target, state, base)
