#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "operation/environment.hpp"
#include "operation/run.hpp"
#include "plan/adoption.hpp"

/// A master learns what is declared from the cluster itself.

namespace k4t::operation {

/// What the cluster tells, before anything is written.
struct Found {
  plan::Adoption adoption;
  txn::Assessment assessment;
  /// The newest version that is known: decided where a majority of the witnesses answered, else what participants serve
  /// or a witness voted for. nullptr: none ever was.
  txn::EntryPtr latest;
  /// A majority of the witnesses told what is decided; else a newer version may be.
  bool sure = false;
};

/// Asks witnesses, participants and nodes, and changes nothing. UNAVAILABLE: a version is decided and its record can be
/// read nowhere, or no witness answers.
Result<Found> find_declarations(const Environment& environment, Run& run);

/// Says why what was found is not to be adopted; absent: it is.
using Consent = std::function<std::optional<Error>(const Found&)>;

/// Finishes what another run left at the witnesses, and notes what runs and is served as what is declared; what a copy
/// declared and nobody sees stays. Too few witnesses: it is noted as far as it is known, and the next command learns
/// the rest. `consent` is asked before anything is changed, and again if the finishing changed what is found. CONFLICT:
/// the metadata was not lost, it declares services or knows of commands, and was not just restored.
Result<Found> adopt(const Environment& environment, const Consent& consent);

/// Puts into the journal of a copy that is about to be installed that it is old: the next command learns what was
/// declared since it was made. `version`: the newest decided one that it knows.
Result<void> note_restored(store::Store& store, std::uint64_t version, store::Seconds now_s);
bool is_restore(const store::Operation& operation);

/// Does that: services that run and are served otherwise than the copy has them, or that it does not have, are declared
/// as they run, and those that were served then and are gone are not declared any more. CONFLICT: something is served
/// that nothing explains, and the next change would take it away.
Result<void> finish_restore(const Environment& environment, Run& run, const store::Operation& operation);

}  // namespace k4t::operation
