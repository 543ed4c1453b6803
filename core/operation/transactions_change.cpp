#include <algorithm>

#include "k4t/digest.hpp"
#include "operation/force.hpp"
#include "operation/transactions_impl.hpp"

/// Commands that steer the commit protocol apart from any service.

namespace k4t::operation {
namespace {

Error not_configured(const std::string& id, const std::string& command) {
  return {k4t::Status::invalid_argument,
          "k4t.toml has no [[witness]] table with the id '" + id +
              "': add one that names the machine and folder, then `" + command + " " + id + "`",
          {}};
}

std::string ids_of(const std::vector<model::Witness>& witnesses) {
  std::string text;
  for (const auto& one : witnesses) text += (text.empty() ? "" : ", ") + one.id;
  return text;
}

/// `find_witness`, but what is there may be named by its plain id only where that is the one configured.
Result<void> add(const std::string& id, const std::vector<model::Witness>& configured,
                 const std::vector<model::Witness>& decided, const std::string& run, WitnessChange& change) {
  const auto* wish = find_witness(configured, id);
  if (wish == nullptr) return not_configured(id, "k4t witness add");
  if (find_witness(decided, wish->id) != nullptr) {
    return Error{k4t::Status::invalid_argument,
                 "'" + id + "' is a witness already; `k4t witness replace " + id + "` gives its machine a new register",
                 {}};
  }
  change.added.push_back(under_id(*wish, fresh_witness_id(wish->id, run)));
  return {};
}

Result<const model::Witness*> decided_one(const std::string& id, const std::vector<model::Witness>& decided) {
  if (const auto* found = find_witness(decided, id)) return found;
  return Error{
      k4t::Status::invalid_argument, "'" + id + "' is none of the witnesses; they are: " + ids_of(decided), {}};
}

Result<void> remove(const std::string& id, const std::vector<model::Witness>& configured,
                    const std::vector<model::Witness>& decided, WitnessChange& change) {
  K4T_ASSIGN(const auto* now, decided_one(id, decided));
  if (find_witness(configured, now->id) != nullptr) {
    return Error{k4t::Status::invalid_argument,
                 "k4t.toml still has the [[witness]] table of '" + id +
                     "', so the next apply would make it a witness again: take the table out first",
                 {}};
  }
  change.removed.push_back(*now);
  return {};
}

Result<void> replace(const std::string& id, const std::vector<model::Witness>& configured,
                     const std::vector<model::Witness>& decided, const std::string& run, WitnessChange& change) {
  K4T_ASSIGN(const auto* now, decided_one(id, decided));
  const auto* wish = find_witness(configured, now->id);
  if (wish == nullptr) return not_configured(id, "k4t witness replace");
  change.removed.push_back(*now);
  change.added.push_back(under_id(*wish, fresh_witness_id(wish->id, run)));
  return {};
}

Error nothing_decided() {
  return {k4t::Status::conflict,
          "nothing is decided yet; the first `k4t apply` makes the witnesses that k4t.toml names",
          {}};
}

Error not_needed() {
  return {k4t::Status::conflict,
          "nothing is to be forced: a majority of the witnesses answers and the latest version can be read. "
          "`k4t txn recover` finishes what another run left, `k4t witness replace` takes a dead witness out",
          {}};
}

/// Every record that can be read anywhere.
Result<std::vector<txn::EntryPtr>> all_records(Run& run, const txn::Assessment& assessment,
                                               const std::vector<store::KeptRecord>& kept) {
  std::vector<txn::EntryPtr> records;
  const auto take = [&](const txn::EntryPtr& entry) {
    const bool known = std::any_of(records.begin(), records.end(),
                                   [&](const auto& one) { return one->record.txn == entry->record.txn; });
    if (!known) records.push_back(entry);
  };
  for (const auto& one : kept) {
    if (auto entry = txn::read_record(one.record)) take(*entry);
  }
  const auto witnesses = places_of(assessment.witnesses);
  std::set<std::string> txns;
  for (const auto& one : assessment.witnesses) {
    if (one.shown && one.shown->has_value() && (*one.shown)->vote) txns.insert((*one.shown)->vote->txn);
  }
  for (const auto& member : assessment.members) {
    if (member.seen && member.seen->served) txns.insert(member.seen->served->txn);
  }
  for (const auto& txn : txns) {
    if (auto entry = run.find_record(txn, witnesses)) take(*entry);
  }
  return records;
}

}  // namespace

Result<Report> Transactions::recover() {
  auto& [env, run, conductor] = *impl_;
  const Closing closing(run);
  K4T_ASSIGN(const auto assessment, run.assess());
  const auto& members = assessment.members;
  const bool left = assessment.unfinished || assessment.open_claim || asks_former_witnesses(assessment.latest) ||
                    std::any_of(members.begin(), members.end(), needs_catching_up);
  if (!left) {
    Report nothing;
    nothing.ending = std::any_of(members.begin(), members.end(), lags) ? Ending::lagging : Ending::unchanged;
    nothing.latest = assessment.latest;
    nothing.version = nothing.latest == nullptr ? 0 : nothing.latest->record.version;
    nothing.members = members;
    return nothing;
  }
  env.reporter.stage("Finish what another run left");
  if (auto begun = run.begin(); !begun) return conductor.report(Ending::failed, begun.error());
  if (auto caught_up = run.catch_up({}); !caught_up) return conductor.report(Ending::unfinished, caught_up.error());
  K4T_ASSIGN(const auto settled, settle_witnesses(run));
  if (settled && settled->verdict == txn::Verdict::dropped) {
    env.reporter.warning("the former witnesses are still asked for the latest version: " + settled->why->message);
  } else if (settled && settled->verdict != txn::Verdict::decided) {
    return conductor.report(Ending::unfinished, settled->why);
  }
  conductor.release_endpoints();
  K4T_ASSIGN(const auto unfinished, env.store.unfinished_operations());
  for (const auto& operation : unfinished) {
    env.reporter.warning("operation " + std::to_string(operation.id) +
                         " was cut short; `k4t status` or the next change finishes or undoes it");
  }
  return conductor.report(conductor.ending_of_members());
}

Result<Report> Transactions::change_witnesses(const WitnessWish& wish) {
  auto& [env, run, conductor] = *impl_;
  const Closing closing(run);
  K4T_ASSIGN(const auto assessment, run.assess());
  if (assessment.latest == nullptr) return nothing_decided();
  const auto& configured = env.cluster.witnesses;
  const auto& decided = assessment.latest->state.witnesses;
  WitnessChange change;
  for (const auto& id : wish.add) K4T_TRY(add(id, configured, decided, env.run, change));
  for (const auto& id : wish.remove) K4T_TRY(remove(id, configured, decided, change));
  for (const auto& id : wish.replace) K4T_TRY(replace(id, configured, decided, env.run, change));
  complete(change, decided);
  K4T_TRY(check_witnesses(run, change, assessment));
  env.reporter.stage("Change the witnesses");
  if (auto begun = run.begin(); !begun) return conductor.report(Ending::failed, begun.error());
  if (run.latest() == nullptr || run.latest()->state.witnesses != decided) {
    return conductor.report(Ending::failed, Error{k4t::Status::conflict,
                                                  "another master has changed the witnesses meanwhile: look "
                                                  "with `k4t witness ls` and try again",
                                                  {}});
  }
  K4T_ASSIGN(const auto outcome, operation::change_witnesses(run, change));
  if (outcome.verdict == txn::Verdict::decided) return conductor.report(conductor.ending_of_members());
  return conductor.report(outcome.verdict == txn::Verdict::dropped ? Ending::failed : Ending::unfinished, outcome.why);
}

Result<Report> Transactions::force(const ForceOptions& options) {
  auto& [env, run, conductor] = *impl_;
  const Closing closing(run);
  K4T_ASSIGN(const auto assessment, run.look());
  const auto& members = assessment.members;
  const bool ahead =
      std::any_of(members.begin(), members.end(), [](const auto& one) { return one.standing == txn::Standing::ahead; });
  if (assessment.majority && (!assessment.best || assessment.best_entry != nullptr) && !ahead) return not_needed();
  Evidence evidence;
  evidence.cluster = env.cluster.name;
  evidence.witnesses = assessment.witnesses;
  evidence.members = members;
  K4T_ASSIGN(evidence.highest_counter, env.store.highest_counter());
  K4T_ASSIGN(const auto kept, env.store.records());
  for (const auto& one : kept) {
    if (one.decided) evidence.decided.insert(one.record.txn);
  }
  K4T_ASSIGN(evidence.records, all_records(run, assessment, kept));
  Force force{env.holder, options.why, sha256_hex("force " + env.run).substr(0, 32), {}};
  for (const auto& wish : env.cluster.witnesses) {
    force.witnesses.push_back(under_id(wish, fresh_witness_id(wish.id, env.run)));
  }
  K4T_ASSIGN(const auto forcing, choose_forced(evidence, force));
  if (options.confirm && !options.confirm(forcing)) {
    return Error{k4t::Status::invalid_argument, "not confirmed; nothing has changed", {}};
  }
  std::vector<model::Witness> signposts;
  for (const auto& one : assessment.witnesses) {
    if (one.shown && one.shown->has_value()) signposts.push_back(one.at);
  }
  env.reporter.stage("Begin a new history with version " + std::to_string(forcing.entry->record.version));
  if (auto begun = run.begin_forced(forcing.entry, forcing.counter, signposts); !begun) {
    return conductor.report(Ending::failed, begun.error());
  }
  if (auto done = run.catch_up({true, forcing.overwritten}); !done) {
    return conductor.report(Ending::unfinished, done.error());
  }
  return conductor.report(conductor.ending_of_members());
}

Result<Report> Transactions::acknowledge() {
  auto& [env, run, conductor] = *impl_;
  const Closing closing(run);
  if (auto begun = run.begin(); !begun) return conductor.report(Ending::failed, begun.error());
  const auto latest = run.latest();
  if (latest == nullptr || !latest->state.forced || latest->state.forced->acknowledged) {
    return conductor.report(Ending::unchanged);
  }
  env.reporter.stage("Acknowledge the forced version");
  run.acknowledge_forced();
  K4T_ASSIGN(const auto outcome, run.propose(latest->state));
  if (outcome.verdict == txn::Verdict::decided) return conductor.report(conductor.ending_of_members());
  return conductor.report(outcome.verdict == txn::Verdict::dropped ? Ending::failed : Ending::unfinished, outcome.why);
}

Result<Report> Transactions::overwrite(const std::set<txn::Participant>& who) {
  auto& [env, run, conductor] = *impl_;
  const Closing closing(run);
  if (auto begun = run.begin(); !begun) return conductor.report(Ending::failed, begun.error());
  env.reporter.stage("Overwrite what is off the chain");
  if (auto done = run.catch_up({true, who}); !done) return conductor.report(Ending::unfinished, done.error());
  return conductor.report(conductor.ending_of_members());
}

}  // namespace k4t::operation
