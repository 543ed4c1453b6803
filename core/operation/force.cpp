#include "operation/force.hpp"

#include <algorithm>

namespace k4t::operation {
namespace {

std::string version_text(std::uint64_t version, const std::string& txn) {
  return "version " + std::to_string(version) + " (txn " + txn.substr(0, 12) + ")";
}

txn::EntryPtr find(const std::vector<txn::EntryPtr>& records, const std::string& txn) {
  const auto found =
      std::find_if(records.begin(), records.end(), [&](const auto& entry) { return entry->record.txn == txn; });
  return found == records.end() ? nullptr : *found;
}

/// What a participant shows of this cluster.
std::vector<Register> shown_by(const Evidence& evidence, const txn::Member& member) {
  std::vector<Register> all;
  if (!member.seen) return all;
  for (const auto& held : {member.seen->stored, member.seen->served}) {
    if (held && held->cluster == evidence.cluster) all.push_back(*held);
  }
  return all;
}

/// Another cluster's machine is not ours to overwrite, not even by force.
bool is_foreign(const Evidence& evidence, const txn::Member& member) {
  const bool blank = member.seen && !member.seen->stored && !member.seen->served;
  return member.seen && !blank && shown_by(evidence, member).empty();
}

/// All votes that answer, the highest first.
std::vector<model::Vote> votes_of(const std::vector<txn::Peeked>& witnesses) {
  std::vector<model::Vote> votes;
  for (const auto& one : witnesses) {
    if (one.shown && one.shown->has_value() && (*one.shown)->vote) votes.push_back(*(*one.shown)->vote);
  }
  std::sort(votes.rbegin(), votes.rend());
  return votes;
}

txn::EntryPtr choose(const Evidence& evidence) {
  txn::EntryPtr chosen;
  for (const auto& vote : votes_of(evidence.witnesses)) {
    if ((chosen = find(evidence.records, vote.txn)) != nullptr) break;
  }
  // What is served or was noted as decided is decided, for ever; only a vote for something later may be preferred.
  std::set<std::string> decided = evidence.decided;
  for (const auto& member : evidence.members) {
    for (const auto& held : shown_by(evidence, member)) decided.insert(held.txn);
  }
  for (const auto& entry : evidence.records) {
    if (!decided.contains(entry->record.txn)) continue;
    if (chosen == nullptr || entry->record.version > chosen->record.version) chosen = entry;
  }
  return chosen;
}

/// Everything above the chosen version that was seen: it is given up.
std::vector<std::string> discarded(const Evidence& evidence, const model::Record& chosen) {
  std::set<std::string> lines;
  const auto is_given_up = [&](std::uint64_t version, const std::string& txn) {
    return version >= chosen.version && txn != chosen.txn;
  };
  for (const auto& one : evidence.witnesses) {
    if (!one.shown || !one.shown->has_value() || !(*one.shown)->vote) continue;
    const auto& vote = *(*one.shown)->vote;
    if (is_given_up(vote.version, vote.txn))
      lines.insert(version_text(vote.version, vote.txn) + ", voted for by " + one.at.id);
  }
  for (const auto& member : evidence.members) {
    for (const auto& held : shown_by(evidence, member)) {
      if (is_given_up(held.version, held.txn))
        lines.insert(version_text(held.version, held.txn) + ", on " + txn::to_string(member.who));
    }
  }
  for (const auto& entry : evidence.records) {
    if (is_given_up(entry->record.version, entry->record.txn))
      lines.insert(version_text(entry->record.version, entry->record.txn) + ", a record");
  }
  for (const auto& one : evidence.witnesses) {
    if (!one.shown) lines.insert("whatever only witness " + one.at.id + " knows, which does not answer");
  }
  return {lines.begin(), lines.end()};
}

std::uint64_t highest_version(const Evidence& evidence) {
  std::uint64_t highest = 0;
  for (const auto& vote : votes_of(evidence.witnesses)) highest = std::max(highest, vote.version);
  for (const auto& entry : evidence.records) highest = std::max(highest, entry->record.version);
  for (const auto& member : evidence.members) {
    for (const auto& held : shown_by(evidence, member)) highest = std::max(highest, held.version);
  }
  return highest;
}

}  // namespace

Result<Forcing> choose_forced(const Evidence& evidence, const Force& force) {
  Forcing forcing;
  forcing.cluster = evidence.cluster;
  forcing.chosen = choose(evidence);
  if (forcing.chosen == nullptr) {
    return Error{k4t::Status::unavailable,
                 "no record of any version can be read, neither here nor at a witness: bring one holder back, or "
                 "restore a metadata copy first",
                 {}};
  }
  forcing.counter = evidence.highest_counter;
  for (const auto& one : evidence.witnesses) {
    if (one.shown && one.shown->has_value())
      forcing.counter = std::max(forcing.counter, (*one.shown)->promised.counter);
  }
  model::State state = forcing.chosen->state;
  state.former_witnesses.reset();
  state.witnesses = force.witnesses;
  std::sort(state.witnesses.begin(), state.witnesses.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  model::Forced forced;
  forced.version = highest_version(evidence) + forced_leap;
  forced.by = force.by;
  forced.why = force.why;
  forced.salt = force.salt;
  forced.discarded = discarded(evidence, forcing.chosen->record);
  for (const auto& member : evidence.members) {
    if (is_foreign(evidence, member)) continue;
    if (member.seen) {
      forcing.overwritten.insert(member.who);
      continue;
    }
    auto& names = member.who.group == txn::Group::gateway ? forced.diverged_gateways : forced.diverged_dns;
    names.push_back(member.who.name);
  }
  const std::uint64_t version = forced.version;
  state.forced = std::move(forced);
  const auto record = model::make_record(forcing.chosen->record.txn, version, state);
  forcing.entry = std::make_shared<const txn::Entry>(txn::Entry{record, std::move(state)});
  return forcing;
}

std::optional<model::Forced> still_forced(const txn::Entry& latest, const std::vector<txn::Member>& members,
                                          bool acknowledges) {
  if (!latest.state.forced) return {};
  model::Forced forced = *latest.state.forced;
  // Who holds the latest version has been overwritten since, or was never away.
  for (const auto& member : members) {
    if (member.standing != txn::Standing::current) continue;
    std::erase(member.who.group == txn::Group::gateway ? forced.diverged_gateways : forced.diverged_dns,
               member.who.name);
  }
  forced.acknowledged = forced.acknowledged || acknowledges;
  if (forced.acknowledged && forced.diverged_gateways.empty() && forced.diverged_dns.empty()) return {};
  return forced;
}

}  // namespace k4t::operation
