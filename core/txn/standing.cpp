#include "txn/standing.hpp"

#include <algorithm>

namespace k4t::txn {

K4T_JSON_ENUM_DEFINE(Standing)
namespace {

bool off_the_chain(const model::Record& latest, const Register& held) {
  if (held.version == latest.version) return held.txn != latest.txn;
  return held.version + 1 == latest.version && held.txn != latest.base;
}

std::string of_version(const std::optional<Register>& held) {
  return held ? "version " + std::to_string(held->version) : std::string("nothing");
}

EntryPtr find(const std::vector<EntryPtr>& records, const std::string& txn) {
  const auto found = std::find_if(records.begin(), records.end(),
                                  [&](const EntryPtr& entry) { return entry && entry->record.txn == txn; });
  return found == records.end() ? nullptr : *found;
}

bool answered(const Peeked& peeked) { return peeked.shown.ok() && peeked.shown->has_value(); }

/// Whether a majority of the set shows what `counts` asks of a register.
template <class Counts>
bool majority_shows(const std::vector<model::Witness>& set, const std::vector<Peeked>& peeked, Counts counts) {
  return majority_of(set, [&](const std::string& id) {
    return std::any_of(peeked.begin(), peeked.end(),
                       [&](const Peeked& one) { return one.at.id == id && answered(one) && counts(**one.shown); });
  });
}

void gather(const std::vector<Peeked>& peeked, Assessment& into) {
  std::optional<model::WitnessRegister> highest;
  for (const auto& one : peeked) {
    if (!one.shown) {
      into.silent_witnesses.push_back(one.at.id);
    } else if (!one.shown->has_value()) {
      into.blank_witnesses.push_back(one.at.id);
    } else {
      const model::WitnessRegister& shown = **one.shown;
      into.counter = std::max(into.counter, shown.promised.counter);
      if (shown.vote && (!into.best || *into.best < *shown.vote)) into.best = shown.vote;
      if (!highest || highest->promised < shown.promised) highest = shown;
    }
  }
  if (highest && highest->open) into.open_claim = highest;
}

}  // namespace

Standing standing_of(const std::string& cluster, const Entry* latest, const Observation& seen) {
  if (!seen.stored && !seen.served) return seen.half ? Standing::half : Standing::blank;
  const Register& held = seen.stored ? *seen.stored : *seen.served;
  if (held.cluster != cluster) return Standing::diverged;
  if (latest == nullptr || held.version > latest->record.version) return Standing::ahead;
  if (off_the_chain(latest->record, held)) return Standing::diverged;
  if (seen.half || seen.stored != seen.served) return Standing::half;
  if (held.version < latest->record.version) return Standing::behind;
  return seen.content == Content::drifted ? Standing::drifted : Standing::current;
}

Standing standing_of(const std::string& cluster, const Entry* latest, const Participant& who, const Observation& seen) {
  const Standing standing = standing_of(cluster, latest, seen);
  if (latest == nullptr || !latest->state.forced || standing == Standing::blank) return standing;
  const auto& forced = *latest->state.forced;
  const auto& names = who.group == Group::gateway ? forced.diverged_gateways : forced.diverged_dns;
  if (std::find(names.begin(), names.end(), who.name) == names.end()) return standing;
  const Register& held = seen.stored ? *seen.stored : *seen.served;
  const bool of_new_history =
      held.txn == latest->record.txn || (latest->record.version > forced.version && held.txn == latest->record.base);
  return of_new_history ? standing : Standing::diverged;
}

std::string describe(const Member& member, const Entry* latest) {
  const std::string of = latest == nullptr ? std::string() : " of " + std::to_string(latest->record.version);
  const std::string served = member.seen ? of_version(member.seen->served) : std::string();
  switch (member.standing) {
    case Standing::unknown: return "does not answer";
    case Standing::blank: return "holds nothing of k4t yet";
    case Standing::behind: return "serves " + served + of;
    case Standing::current: return "serves " + served;
    case Standing::drifted: return "serves " + served + " changed by hand";
    case Standing::half: return "serves " + served + ", holds " + of_version(member.seen->stored);
    case Standing::diverged: return "holds the state of another cluster or of a discarded history";
    case Standing::ahead: return "serves " + served + ", which the witnesses do not know";
  }
  return {};
}

std::vector<std::vector<model::Witness>> deciding_sets(const model::State& state) {
  std::vector<std::vector<model::Witness>> sets{state.witnesses};
  if (state.former_witnesses) sets.push_back(*state.former_witnesses);
  return sets;
}

Assessment assess(const std::vector<Peeked>& peeked, const std::vector<EntryPtr>& records) {
  Assessment result;
  gather(peeked, result);
  result.witnesses = peeked;
  std::vector<std::vector<model::Witness>> sets(1);
  for (const auto& one : peeked) sets.front().push_back(one.at);
  EntryPtr best;
  if (result.best) {
    best = find(records, result.best->txn);
    if (best) sets = deciding_sets(best->state);
    result.best_entry = best;
  }
  const auto in_all = [&](auto counts) {
    return std::all_of(sets.begin(), sets.end(), [&](const auto& set) { return majority_shows(set, peeked, counts); });
  };
  result.majority = in_all([](const model::WitnessRegister&) { return true; });
  if (!result.best) return result;
  // Without its record the sets are guessed, so nothing can be called decided.
  const bool decided =
      best != nullptr && in_all([&](const model::WitnessRegister& shown) { return shown.vote == result.best; });
  result.unfinished = !decided;
  if (decided) {
    result.latest = best;
  } else if (best) {
    result.latest = find(records, best->record.base);  // no version is voted for before its base is decided
  }
  return result;
}

}  // namespace k4t::txn
