#include "operation/adoption.hpp"

#include <algorithm>

#include "operation/course.hpp"
#include "operation/difference.hpp"
#include "operation/nodes.hpp"
#include "operation/transactions_impl.hpp"

namespace k4t::operation {
namespace {

/// The journal's name for a restore whose gaps are not filled yet.
constexpr const char* restore_kind = "restore";

/// The newest version that somebody shows, where too few witnesses answer to know what is decided.
Result<txn::EntryPtr> newest_shown(Run& run, const txn::Assessment& assessment) {
  std::uint64_t version = 0;
  std::string txn;
  for (const auto& member : assessment.members) {
    const auto& served = member.seen ? member.seen->served : std::nullopt;
    if (!served || member.standing == txn::Standing::diverged || served->version <= version) continue;
    version = served->version;
    txn = served->txn;
  }
  // What is served is decided. A vote may have come to nothing, and counts only where nothing is seen that is served.
  if (txn.empty() && assessment.best) txn = assessment.best->txn;
  if (txn.empty()) return txn::EntryPtr();
  auto entry = run.find_record(txn, places_of(assessment.witnesses));
  if (entry) return *entry;
  return Error{
      k4t::Status::unavailable,
      "version " + std::to_string(version) + " is served, and what it says cannot be read: " + entry.error().message,
      entry.error().detail};
}

}  // namespace

Result<Found> find_declarations(const Environment& environment, Run& run) {
  Found found;
  K4T_ASSIGN(found.assessment, run.look());
  const auto& assessment = found.assessment;
  if (assessment.silent_witnesses.size() == assessment.witnesses.size()) {
    return Error{k4t::Status::unavailable, "no witness answers, so nothing is known of what was decided", {}};
  }
  // A run that has claimed knows, whoever still answers.
  found.sure = run.ready() || assessment.majority || (assessment.silent_witnesses.empty() && !assessment.best);
  found.latest = run.ready() ? run.latest() : assessment.latest;
  if (!found.sure) {
    K4T_ASSIGN(auto shown, newest_shown(run, assessment));
    const bool newer = found.latest == nullptr || (shown && shown->record.version > found.latest->record.version);
    if (newer) found.latest = std::move(shown);
  }
  auto views = read_nodes(environment);
  read_again(environment, views);
  const auto state = found.latest == nullptr ? std::nullopt : std::optional(found.latest->state);
  K4T_ASSIGN(const auto known, environment.store.services());
  found.adoption = plan::adopt(environment.cluster, views, state, known);
  return found;
}

namespace {

Result<void> require_lost_metadata(store::Store& store) {
  K4T_ASSIGN(const auto services, store.services());
  K4T_ASSIGN(const auto operations, store.operations(1));
  K4T_ASSIGN(const auto unfinished, store.unfinished_operations());
  if (services.empty() && operations.empty()) return {};
  if (std::any_of(unfinished.begin(), unfinished.end(), is_restore)) return {};
  return Error{k4t::Status::conflict,
               store.file().string() + " declares " + std::to_string(services.size()) +
                   (services.size() == 1 ? " service" : " services") +
                   " already: nothing is to be rebuilt. Where it is worthless, move it away first",
               {}};
}

/// Where not all is sure, an operation stays that the next command ends when it knows more.
Result<void> note_adopted(const Environment& environment, const Found& found) {
  auto& store = environment.store;
  return store.atomically([&]() -> Result<void> {
    K4T_TRY(store.replace_services(found.adoption.declared));
    if (found.latest != nullptr) K4T_TRY(store.put_record(found.latest->record, found.sure));
    K4T_TRY(store.raise_counter(found.assessment.counter));
    K4T_ASSIGN(const auto unfinished, store.unfinished_operations());
    for (const auto& operation : unfinished) {
      if (is_restore(operation)) K4T_TRY(store.end_operation(operation.id, "adopted", environment.now_s()));
    }
    if (!found.sure) return note_restored(store, 0, environment.now_s());
    const Json arguments{{"services", found.adoption.declared}};
    K4T_ASSIGN(const auto operation, store.begin_operation("adopt", arguments, phase::decided, environment.now_s()));
    return store.end_operation(operation, "done", environment.now_s());
  });
}

bool same_version(const Found& a, const Found& b) {
  if (a.latest == nullptr || b.latest == nullptr) return a.latest == b.latest;
  return a.latest->record.txn == b.latest->record.txn;
}

}  // namespace

Result<Found> adopt(const Environment& environment, const Consent& consent) {
  K4T_TRY(require_lost_metadata(environment.store));
  environment.reporter.stage("Ask witnesses, gateways, DNS servers and nodes");
  Run run(environment);
  const Closing closing(run);
  K4T_ASSIGN(auto found, find_declarations(environment, run));
  if (const auto refused = consent(found)) return *refused;
  environment.reporter.stage("Finish what another run left");
  K4T_TRY(environment.store.raise_counter(found.assessment.counter));
  if (const auto begun = run.begin(); !begun) {
    // Less than all is known then, whatever the witnesses showed.
    environment.reporter.warning(begun.error().message);
    found.sure = false;
  } else {
    K4T_TRY(run.catch_up({}));
    K4T_ASSIGN(auto again, find_declarations(environment, run));
    if (!same_version(found, again)) {
      if (const auto refused = consent(again)) return *refused;
    }
    found = std::move(again);
  }
  K4T_TRY(note_adopted(environment, found));
  return found;
}

Result<void> note_restored(store::Store& store, std::uint64_t version, store::Seconds now_s) {
  const auto begun = store.begin_operation(restore_kind, Json{{"version", version}}, phase::started, now_s);
  return begun ? Result<void>() : begun.error();
}

bool is_restore(const store::Operation& operation) { return operation.kind == restore_kind; }

namespace {

bool serves(const model::State& state, const std::string& service, const std::set<std::string>& known) {
  const auto part = only_services(state, {service}, known);
  return !part.gateways.listeners.empty() || !part.gateways.backends.empty() || !part.dns.records.empty();
}

/// Services that were served when the copy was made, are not now, and run nowhere. Of one that nobody ever reached
/// nothing tells whether it was deleted.
Result<std::vector<std::string>> deleted_since(store::Store& store, const std::vector<model::Service>& declared,
                                               const Found& found, std::uint64_t version) {
  std::vector<std::string> gone;
  if (found.latest == nullptr || !found.adoption.unread.empty()) return gone;
  K4T_ASSIGN(const auto records, store.records());
  const auto then = std::find_if(records.begin(), records.end(), [&](const store::KeptRecord& one) {
    return one.decided && one.record.version == version;
  });
  if (then == records.end()) return gone;
  K4T_ASSIGN(const auto entry, txn::read_record(then->record));
  std::set<std::string> known;
  for (const auto& service : declared) known.insert(service.name);
  for (const auto& name : known) {
    const bool runs = std::any_of(found.adoption.services.begin(), found.adoption.services.end(),
                                  [&](const plan::Adopted& one) { return one.service.name == name; });
    if (!runs && serves(entry->state, name, known) && !serves(found.latest->state, name, known)) gone.push_back(name);
  }
  return gone;
}

}  // namespace

Result<void> finish_restore(const Environment& environment, Run& run, const store::Operation& operation) {
  environment.reporter.stage("Learn what was declared since the copy was made");
  K4T_ASSIGN(const auto found, find_declarations(environment, run));
  if (!found.adoption.unexplained.empty()) {
    std::string lines;
    for (const auto& line : found.adoption.unexplained) lines += (lines.empty() ? "" : "\n") + line;
    return Error{k4t::Status::conflict,
                 "this is served, and neither the restored copy nor what runs says why; the next change would take it "
                 "away. A node that is off may know, or k4t.toml is not as it was; `k4t adopt --force` gives it up",
                 lines};
  }
  for (const auto& node : found.adoption.unread)
    environment.reporter.warning(node + "; what runs only there is not declared");
  auto& store = environment.store;
  K4T_ASSIGN(const auto declared, store.services());
  const std::uint64_t known = operation.arguments.value("version", std::uint64_t{0});
  const bool same_version = found.latest == nullptr || found.latest->record.version == known;
  K4T_ASSIGN(const auto gone, deleted_since(store, declared, found, known));
  return store.atomically([&]() -> Result<void> {
    for (const auto& service : found.adoption.declared) {
      const bool is_known = std::any_of(declared.begin(), declared.end(), [&](const model::Service& one) {
        // Of what was decided then the copy knows best: fewer may run than are declared, where room was short.
        return one.name == service.name && same_version && plan::revision_of(one) == plan::revision_of(service);
      });
      if (!is_known) K4T_TRY(store.put_service(service));
    }
    for (const auto& name : gone) K4T_TRY(store.remove_service(name));
    return store.end_operation(operation.id, "done", environment.now_s());
  });
}

}  // namespace k4t::operation
