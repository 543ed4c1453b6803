#include "operation/transactions.hpp"

#include <algorithm>
#include <map>

#include "operation/difference.hpp"
#include "operation/transactions_impl.hpp"

/// The half of it that looks; what steers stands in transactions_change.cpp.

namespace k4t::operation {
namespace {

using txn::Standing;

/// So many digits of a txn name one; fewer could as well be a version.
constexpr std::size_t least_txn_digits = 4;

/// Every record that is known without asking for one, by txn.
std::map<std::string, store::KeptRecord> known_records(const std::vector<store::KeptRecord>& kept,
                                                       const txn::Assessment& assessment) {
  std::map<std::string, store::KeptRecord> all;
  for (const auto& record : kept) all[record.record.txn] = record;
  for (const auto& entry : {assessment.best_entry, assessment.latest}) {
    if (entry != nullptr && !all.contains(entry->record.txn)) all[entry->record.txn] = {entry->record, false};
  }
  // The latest one's history is decided as well.
  std::string txn = assessment.latest == nullptr ? std::string() : assessment.latest->record.txn;
  for (auto at = all.find(txn); at != all.end(); at = all.find(at->second.record.base)) at->second.decided = true;
  return all;
}

void add_members(const txn::Assessment& assessment, LogLine& line) {
  for (const auto& member : assessment.members) {
    const std::string who = txn::to_string(member.who);
    if (!member.seen) {
      if (member.listed) line.unknown.push_back(who);
      continue;
    }
    const auto& served = member.seen->served;
    if (served && served->txn == line.txn) line.served_by.push_back(who);
    const bool off = member.standing == Standing::diverged || member.standing == Standing::ahead;
    const bool reached = served && !off && served->version >= line.version;
    if (member.listed && !reached) line.lagging.push_back(who);
  }
}

LogLine line_of(const store::KeptRecord& kept, const txn::Assessment& assessment,
                const std::vector<Decision>& decisions) {
  LogLine line{kept.record.version, kept.record.txn, kept.record.base, kept.decided, {}, {}, {}, {}, {}};
  for (const auto& decision : decisions) {
    if (decision.txn == line.txn) line.decision = decision;
  }
  for (const auto& one : assessment.witnesses) {
    if (!one.shown || !one.shown->has_value()) continue;
    const auto& vote = (*one.shown)->vote;
    if (vote && vote->txn == line.txn) line.voters.push_back(one.at.id);
  }
  if (line.decided) add_members(assessment, line);
  return line;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.size() < 19 && text.find_first_not_of("0123456789") == std::string::npos;
}

Result<LogLine> find_line(const std::vector<LogLine>& lines, const std::string& name) {
  std::vector<LogLine> found;
  if (is_number(name)) {
    const auto version = std::stoull(name);
    for (const auto& line : lines) {
      // Of the contents that a version was proposed with, the decided one counts.
      if (line.version == version && (found.empty() || line.decided)) found.assign(1, line);
    }
  }
  if (found.empty() && name.size() >= least_txn_digits) {
    for (const auto& line : lines) {
      if (line.txn.starts_with(name)) found.push_back(line);
    }
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return Error{k4t::Status::not_found,
                 "no version or txn '" + name + "' is known here or voted for by a witness; `k4t txn ls` lists them",
                 {}};
  }
  return Error{k4t::Status::invalid_argument, "several txns begin with '" + name + "': write more of it", {}};
}

}  // namespace

bool Difference::any() const {
  if (!problems.empty() || (wanted && !wanted->empty())) return true;
  return std::any_of(members.begin(), members.end(),
                     [](const MemberDifference& one) { return one.hand_edits || (one.lines && !one.lines->empty()); });
}

bool Difference::unknown() const {
  return !sure || std::any_of(members.begin(), members.end(), [](const auto& one) { return !one.unknown.empty(); });
}

Transactions::Transactions(Environment environment) : impl_(std::make_unique<Impl>(std::move(environment))) {}
Transactions::~Transactions() = default;

Result<Log> Transactions::log() {
  Log log;
  K4T_ASSIGN(log.assessment, impl_->run.look());
  K4T_ASSIGN(log.unfinished, impl_->env.store.unfinished_operations());
  K4T_ASSIGN(const auto kept, impl_->env.store.records());
  K4T_ASSIGN(const auto noted, decisions(impl_->env.store));
  for (const auto& [txn, record] : known_records(kept, log.assessment)) {
    log.lines.push_back(line_of(record, log.assessment, noted));
  }
  std::stable_sort(log.lines.begin(), log.lines.end(),
                   [](const LogLine& a, const LogLine& b) { return a.version > b.version; });
  return log;
}

Result<Shown> Transactions::show(const std::string& name) {
  K4T_ASSIGN(const Log all, log());
  Shown shown;
  K4T_ASSIGN(shown.line, find_line(all.lines, name));
  const auto witnesses = places_of(all.assessment.witnesses);
  K4T_ASSIGN(shown.entry, impl_->run.find_record(shown.line.txn, witnesses));
  if (!shown.line.base.empty()) {
    auto base = impl_->run.find_record(shown.line.base, witnesses);
    if (base) {
      shown.base = *base;
    } else {
      shown.base_unknown = base.error();
    }
  }
  if (!shown.base_unknown) {
    shown.difference =
        routing_difference(shown.base == nullptr ? model::State{} : shown.base->state, shown.entry->state);
  }
  for (const auto& witness : witnesses) {
    const auto holds = impl_->run.holds_record(witness, shown.line.txn);
    if (!holds) shown.silent.push_back(witness.id);
    if (holds && *holds) shown.holders.push_back(witness.id);
  }
  for (const auto& [folder, holds] : impl_->run.record_folders(shown.line.txn)) {
    if (!holds) shown.silent_folders.push_back(folder);
    if (holds && *holds) shown.folders.push_back(folder);
  }
  K4T_ASSIGN(const auto kept, impl_->env.store.records());
  shown.kept_here = std::any_of(kept.begin(), kept.end(),
                                [&](const store::KeptRecord& one) { return one.record.txn == shown.line.txn; });
  return shown;
}

namespace {

/// What is known of one member, apart from its lines.
void judge_content(const txn::Member& member, MemberDifference& difference) {
  const auto& seen = *member.seen;
  if (seen.content == Content::drifted) {
    difference.hand_edits = seen.detail.empty() ? "its driver does not say what" : seen.detail;
  } else if (seen.content == Content::unknown && (seen.served || seen.stored)) {
    difference.unknown = "whether its content was changed by hand is not known";
    if (!seen.detail.empty()) difference.unknown += ": " + seen.detail;
  }
}

}  // namespace

Result<Difference> Transactions::difference(const std::set<std::string>& services) {
  K4T_ASSIGN(const auto assessment, impl_->run.look());
  K4T_ASSIGN(const auto declared, impl_->env.store.services());
  std::set<std::string> known;
  for (const auto& service : declared) known.insert(service.name);
  const auto part = [&](const model::State& state) {
    return services.empty() ? state : only_services(state, services, known);
  };
  Difference result;
  result.latest = assessment.latest;
  result.sure = assessment.majority || (assessment.silent_witnesses.empty() && !assessment.best);
  const model::State wanted = result.latest == nullptr ? model::State{} : part(result.latest->state);
  const auto witnesses = places_of(assessment.witnesses);
  for (const auto& member : assessment.members) {
    MemberDifference one{member, {}, {}, {}};
    if (!member.seen) {
      one.unknown = member.why ? member.why->message : "it does not answer";
      result.members.push_back(std::move(one));
      continue;
    }
    judge_content(member, one);
    const auto& held = member.seen->served ? member.seen->served : member.seen->stored;
    model::State serves;
    if (held && result.latest != nullptr && held->txn == result.latest->record.txn) {
      serves = wanted;
    } else if (held) {
      const auto record = impl_->run.find_record(held->txn, witnesses);
      if (!record) {
        one.unknown =
            "what its version " + std::to_string(held->version) + " says is not known: " + record.error().message;
        result.members.push_back(std::move(one));
        continue;
      }
      serves = part((*record)->state);
    }
    // A member that is listed no longer is to serve nothing more of ours, and nobody takes it away there.
    if (member.listed || !held) {
      one.lines = member.listed
                      ? routing_difference(slice_of(serves, member.who.group), slice_of(wanted, member.who.group))
                      : std::vector<std::string>{};
    } else {
      one.unknown = "it is no member of the latest version any more";
    }
    if (member.standing == Standing::half && one.lines) one.lines->push_back("~ a commit began there and did not end");
    result.members.push_back(std::move(one));
  }
  return result;
}

Result<Status> Transactions::look() {
  Status status;
  K4T_ASSIGN(status.assessment, impl_->run.look());
  K4T_ASSIGN(status.unfinished, impl_->env.store.unfinished_operations());
  K4T_ASSIGN(status.decisions, decisions(impl_->env.store));
  K4T_ASSIGN(status.contacts, contacts(impl_->env.store));
  status.now_s = impl_->env.now_s();
  return status;
}

}  // namespace k4t::operation
