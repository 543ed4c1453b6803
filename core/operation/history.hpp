#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/store.hpp"
#include "txn/standing.hpp"

/// What the master remembers for people: when versions were decided and by whom, and when each participant answered
/// last. Kept in the store; losing it loses nothing but the answer to such questions.

namespace k4t::operation {

/// When this master learnt that a version is decided.
struct Decision {
  std::uint64_t version = 0;
  std::string txn;
  store::Seconds at_s = 0;
  std::string by;              ///< see txn::ClaimRequest::holder; empty: another run's, which this master only found
  std::int64_t operation = 0;  ///< of this master's journal; 0: none
};
K4T_JSON_DECLARE(Decision)

/// When a participant answered last, and what it served then.
struct Contact {
  store::Seconds at_s = 0;
  std::uint64_t version = 0;  ///< 0: nothing of k4t's
};
K4T_JSON_DECLARE(Contact)
/// By txn::to_string of the participant.
using Contacts = std::map<std::string, Contact>;

/// Oldest first.
Result<std::vector<Decision>> decisions(store::Store& store);
/// The first note of a version counts.
Result<void> note_decision(store::Store& store, const Decision& decision);

Result<Contacts> contacts(store::Store& store);
/// Notes the members that answered; the others keep their older entry.
Result<void> note_contacts(store::Store& store, const std::vector<txn::Member>& members, store::Seconds now_s);

/// How far a member that answered is behind.
struct Lag {
  std::uint64_t versions = 0;
  std::optional<store::Seconds> since_s;  ///< when the first version that it lacks was decided; absent: not remembered
};
/// Absent: it is not known (no answer, or off the chain). `latest` is not nullptr.
std::optional<Lag> lag_of(const txn::Member& member, const txn::Entry& latest, const std::vector<Decision>& decisions);

}  // namespace k4t::operation
