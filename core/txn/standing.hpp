#pragma once

#include <optional>
#include <string>
#include <vector>

#include "txn/ports.hpp"

/// What observations of participants and peeks at witnesses mean. Pure.

namespace k4t::txn {

/// Where a participant stands against the newest decided version.
enum class Standing {
  unknown,   ///< no answer: nothing is known
  blank,     ///< k4t never wrote there
  behind,    ///< serves an older decided version
  current,   ///< serves the newest one
  drifted,   ///< has the newest register, and content that differs from it
  half,      ///< a commit has begun and not ended
  diverged,  ///< off the chain: another cluster's, or of a history that was discarded; only an explicit overwrite helps
  ahead,     ///< newer than the witnesses know: another run took over, or the witnesses lost their memory
};
K4T_JSON_ENUM_DECLARE(Standing, {Standing::unknown, "unknown"}, {Standing::blank, "blank"},
                      {Standing::behind, "behind"}, {Standing::current, "current"}, {Standing::drifted, "drifted"},
                      {Standing::half, "half"}, {Standing::diverged, "diverged"}, {Standing::ahead, "ahead"})

/// One participant as last seen.
struct Member {
  Participant who;
  bool listed = false;  ///< a member of the newest decided version
  Standing standing = Standing::unknown;
  std::optional<Observation> seen;  ///< absent: no answer
  std::optional<Error> why;         ///< why it is unknown, or why its last prepare or commit failed
};

/// `latest` nullptr: nothing was ever decided.
Standing standing_of(const std::string& cluster, const Entry* latest, const Observation& seen);

/// The same of a participant by name: one that did not answer when a version was forced is diverged until it is seen to
/// hold a version of the new history, whatever number it shows.
Standing standing_of(const std::string& cluster, const Entry* latest, const Participant& who, const Observation& seen);

/// One sentence for people, e.g. "serves version 4 of 5".
std::string describe(const Member& member, const Entry* latest);

/// What one witness showed without being changed.
struct Peeked {
  model::Witness at;
  Result<std::optional<model::WitnessRegister>> shown;  ///< absent value: BLANK
};

/// What can be said without claiming. A vote of a majority is decided, for ever; a vote of fewer may be decided out of
/// sight or not, and a run must finish it.
struct Assessment {
  bool majority = false;      ///< a majority of the deciding witnesses answered; else nothing below is more than a hint
  std::uint64_t counter = 0;  ///< highest epoch counter seen
  std::optional<model::Vote> best;                   ///< the highest vote seen
  bool unfinished = false;                           ///< `best` is not known to be decided: the next run finishes it
  EntryPtr best_entry;                               ///< of `best`, where its record is known
  EntryPtr latest;                                   ///< newest version known to be decided, where its record is known
  std::optional<model::WitnessRegister> open_claim;  ///< the highest claim, where it is open
  std::vector<std::string> blank_witnesses;
  std::vector<std::string> silent_witnesses;
  std::vector<Peeked> witnesses;  ///< all that were asked, the ones above among them
  std::vector<Member> members;
};

/// Judges votes: `records` are those that could be found for them (of the highest vote and, where that is unfinished,
/// of its base). Members are left empty.
Assessment assess(const std::vector<Peeked>& peeked, const std::vector<EntryPtr>& records);

/// True when more than half of `set` has an id for which `counts` holds.
template <class Counts>
bool majority_of(const std::vector<model::Witness>& set, Counts counts) {
  std::size_t yes = 0;
  for (const auto& witness : set) yes += counts(witness.id) ? 1 : 0;
  return 2 * yes > set.size();
}

/// The sets of which a majority each decides this version: its own witnesses, and the former ones where it changed
/// them.
std::vector<std::vector<model::Witness>> deciding_sets(const model::State& state);

}  // namespace k4t::txn
