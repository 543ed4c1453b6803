#pragma once

#include <string>
#include <vector>

#include "model/cluster.hpp"
#include "operation/run.hpp"
#include "txn/standing.hpp"

/// The set of witnesses, wished and decided. k4t.toml is the wish: which machines and folders. What counts is the set
/// in the latest decided version, which only a version of its own changes. A register's id is used once, for ever: a
/// witness that joins later gets its configured id with a drawn ending ("w3-x1f2e3d"), so that no register that was
/// lost, and no earlier attempt's, can be taken for it.

namespace k4t::operation {

/// The id with an ending that no other run draws; an earlier drawn ending is replaced.
std::string fresh_witness_id(const std::string& id, const std::string& run);
/// The same place under another id.
model::Witness under_id(model::Witness witness, const std::string& id);
/// The id without a drawn ending.
std::string witness_base(const std::string& id);

/// The decided witness that a configured one stands for: of the same id, else of the same id with a drawn ending.
/// nullptr: none. The other way round the same.
const model::Witness* find_witness(const std::vector<model::Witness>& among, const std::string& id);

/// How the decided set is to change.
struct WitnessChange {
  std::vector<model::Witness> next;   ///< sorted by id; what stays stays under its decided id
  std::vector<model::Witness> added;  ///< under fresh ids
  std::vector<model::Witness> removed;
  std::vector<model::Witness> moved;  ///< the same register at another place
  [[nodiscard]] bool empty() const { return added.empty() && removed.empty() && moved.empty(); }
};

/// From `decided` to what is configured. Pure.
WitnessChange wished_witnesses(const std::vector<model::Witness>& configured,
                               const std::vector<model::Witness>& decided, const std::string& run);
/// `change` made complete from its `added`, `removed` and `moved`.
void complete(WitnessChange& change, const std::vector<model::Witness>& decided);

/// One line per difference, for people.
std::vector<std::string> describe(const WitnessChange& change);

/// Whether a majority may be made of DNS servers, which hold no records.
bool decides_without_folders(const std::vector<model::Witness>& witnesses);

/// What this set of witnesses can lose, and what would help; nothing where it survives any one machine.
struct Advice {
  std::string says;
  std::string remedy;
};
std::vector<Advice> advise(const std::vector<model::Witness>& witnesses,
                           const std::vector<model::RecordFolder>& records);

/// What stands against the change, as far as can be seen without claiming: a moved register that is not at its new
/// place, or a set of which no majority answers. UNAVAILABLE or CONFLICT with what to do.
Result<void> check_witnesses(Run& run, const WitnessChange& change, const txn::Assessment& assessment);

/// Makes it a version of its own, which both sets decide, and one after it, which the new set decides alone. REQUIRES:
/// the run has begun, and something was decided before.
Result<txn::Outcome> change_witnesses(Run& run, const WitnessChange& change);

/// Whether the latest version is one that changed the witnesses. Until another follows, both sets are asked for it,
/// dead members of the old one too.
bool asks_former_witnesses(const txn::EntryPtr& latest);

/// The other half of a change of witnesses, also where a run was cut off in between: the same state once more, which
/// the new set decides alone, leaves the old one behind. Absent: nothing was left. REQUIRES: the run has begun.
Result<std::optional<txn::Outcome>> settle_witnesses(Run& run);

}  // namespace k4t::operation
