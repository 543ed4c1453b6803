#pragma once

#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "k4t/dns.hpp"
#include "k4t/gateway.hpp"
#include "model/cluster.hpp"

/// The words of the commit protocol. Pure values; docs/architecture.md tells how they are used.

namespace k4t::model {

/// Fences runs against each other. `run` is 32 hex digits drawn at process start and never read from disk, so that two
/// clones of a master differ. Ordered by counter, then run.
struct Epoch {
  std::uint64_t counter = 0;
  std::string run;
  auto operator<=>(const Epoch&) const = default;
};
K4T_JSON_DECLARE(Epoch)

/// Says that a version does not follow from votes: a user decided it because the witnesses that could have decided were
/// gone for good. Carried by every version after it until it is acknowledged and nobody is left in `diverged`.
struct Forced {
  std::uint64_t version = 0;                   ///< the version that was forced
  std::string by;                              ///< who and when: see WitnessRegister::holder
  std::string why;                             ///< the user's words
  std::string salt;                            ///< random, so that no other history has a version of this name
  std::vector<std::string> discarded;          ///< for people: what is known to have been given up
  std::vector<std::string> diverged_gateways;  ///< did not answer then: whatever they show, only an overwrite helps
  std::vector<std::string> diverged_dns;
  bool acknowledged = false;
  friend bool operator==(const Forced&, const Forced&) = default;
};
K4T_JSON_DECLARE(Forced)

/// The desired state of all groups, their members, and the witnesses that decide its successor.
struct State {
  gateway::State gateways;
  dns::State dns;
  std::vector<std::string> gateway_members;  ///< names, sorted
  std::vector<std::string> dns_members;      ///< names, sorted
  std::vector<Witness> witnesses;            ///< sorted by id
  /// Only in a version that changes the witnesses: the set before it, of which a majority must vote for it as well.
  std::optional<std::vector<Witness>> former_witnesses;
  std::optional<Forced> forced;
  friend bool operator==(const State&, const State&) = default;
};
K4T_JSON_DECLARE(State)

/// One link of the redo log's chain. `state_text` is the canonical JSON of a State, made once by the run that proposed
/// it and passed on verbatim ever after, so that the txn can be checked by anyone at any time.
struct Record {
  std::uint64_t version = 0;  ///< the first record is 1
  std::string base;           ///< txn of version - 1; empty for the first
  std::string txn;            ///< see txn_of
  std::string state_text;
  friend bool operator==(const Record&, const Record&) = default;
};
K4T_JSON_DECLARE(Record)

/// A witness's vote. Votes are compared by epoch, then version.
struct Vote {
  Epoch epoch;
  std::uint64_t version = 0;
  std::string txn;
  auto operator<=>(const Vote&) const = default;
};
K4T_JSON_DECLARE(Vote)

/// Everything that a witness remembers. A witness that has none of this is BLANK and counts for nothing.
struct WitnessRegister {
  std::string cluster;
  std::string id;
  Epoch promised;
  std::string holder;  ///< for people: host, user and time of the promise's claimant
  bool open = false;   ///< the claim has not been closed by its holder
  std::optional<Vote> vote;
  friend bool operator==(const WitnessRegister&, const WitnessRegister&) = default;
};
K4T_JSON_DECLARE(WitnessRegister)

/// The name of a version: the first 128 bits, in hex, of SHA-256 over base, version and state text.
std::string txn_of(std::string_view base, std::uint64_t version, std::string_view state_text);

/// The record that follows `base_txn` with `state`.
Record make_record(std::string_view base_txn, std::uint64_t version, const State& state);

/// True when the record's txn is really that of its content.
bool is_authentic(const Record& record);

}  // namespace k4t::model
