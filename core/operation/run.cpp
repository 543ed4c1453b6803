#include "operation/run.hpp"

#include <algorithm>
#include <set>

#include "k4t/digest.hpp"
#include "operation/force.hpp"
#include "operation/history.hpp"
#include "operation/status.hpp"
#include "plan/routing.hpp"
#include "platform/steps.hpp"

namespace k4t::operation {
namespace {

using txn::Standing;

constexpr std::chrono::milliseconds peek_timeout = std::chrono::seconds(10);

std::vector<std::string> names_of(const std::vector<model::Driven>& things) {
  std::vector<std::string> names;
  for (const auto& thing : things) names.push_back(thing.name);
  return names;
}

}  // namespace

std::string listed(const std::vector<std::string>& ids) {
  std::string text;
  for (const auto& id : ids) text += (text.empty() ? "" : ", ") + id;
  return text;
}

namespace {

/// Witnesses that never voted beside participants that hold a version: a beginning would be a second one.
Result<void> check_beginning(const txn::Assessment& assessment, const std::string& cluster) {
  if (assessment.best) return {};
  for (const auto& member : assessment.members) {
    if (!member.seen || !member.seen->stored || member.seen->stored->cluster != cluster) continue;
    return Error{k4t::Status::conflict,
                 txn::to_string(member.who) + " holds version " + std::to_string(member.seen->stored->version) +
                     " of this cluster, but none of the witnesses that k4t.toml names has ever voted: name the " +
                     "cluster's own witnesses there, under their full ids as another master's `k4t witness ls` shows " +
                     "them; where they are gone for good, see `k4t txn recover --force`",
                 {}};
  }
  return {};
}

}  // namespace

bool needs_catching_up(const txn::Member& member) {
  return member.listed && (member.standing == Standing::behind || member.standing == Standing::blank ||
                           member.standing == Standing::half);
}

bool lags(const txn::Member& member) { return member.listed && member.standing != Standing::current; }

/// Passes the commit protocol's progress on to the reporter.
class Run::Relay final : public txn::Listener {
 public:
  explicit Relay(Reporter& reporter) : reporter_(reporter) {}
  void on_participant(const txn::Participant& who, std::string_view what, std::string_view why) override {
    reporter_.happening({txn::to_string(who), std::string(what), std::string(why), 0, 0});
  }
  void on_witness(const std::string& id, std::string_view what, std::string_view why) override {
    // The first claim finds no register where none was ever made; then it makes one, or the run ends with the reason.
    if (what == "failed" && fresh_.contains(id)) return;
    if (what == "claimed") fresh_.erase(id);
    reporter_.happening({"witness " + id, std::string(what), std::string(why), 0, 0});
  }
  void on_note_failed(const Error& error) override { reporter_.warning("the redo log's local copy: " + error.message); }
  void on_log(LogLevel level, std::string_view text) override { reporter_.log(level, std::string(text)); }
  void on_decided(const txn::Assessment& assessment) override {
    if (watcher_ != nullptr) watcher_->on_decided(assessment);
  }
  void on_peeked(const txn::Peeked& witness) override {
    if (watcher_ != nullptr) watcher_->on_witness(witness);
  }
  void on_observed(const txn::Member& member) override {
    if (watcher_ != nullptr) watcher_->on_member(member);
  }
  void expect_fresh(std::set<std::string> ids) { fresh_ = std::move(ids); }
  void watch_for(StatusWatcher* watcher) { watcher_ = watcher; }

 private:
  Reporter& reporter_;
  StatusWatcher* watcher_ = nullptr;
  std::set<std::string> fresh_;  ///< witnesses whose register was never made
};

Run::Run(const Environment& environment)
    : env_(environment),
      relay_(std::make_shared<Relay>(environment.reporter)),
      ports_(environment.cluster, environment.fleet, [this](const txn::Note& note) { return keep(note); }) {}

/// Registers are told apart by "run.n", so no two runs share an id.
std::string Run::next_id() {
  return runs_ == 0 ? env_.run : sha256_hex(env_.run + '.' + std::to_string(runs_)).substr(0, 32);
}

Result<txn::Settings> Run::settings() {
  txn::Settings settings;
  settings.cluster = env_.cluster.name;
  settings.run = next_id();
  settings.holder = env_.holder;
  settings.take_over = env_.take_over;
  settings.gateways = names_of(env_.cluster.gateways);
  settings.dns = names_of(env_.cluster.dns);
  settings.gateway_availability = env_.cluster.gateway_availability;
  settings.dns_availability = env_.cluster.dns_availability;
  settings.witnesses = env_.cluster.witnesses;
  K4T_ASSIGN(settings.highest_counter, env_.store.highest_counter());
  K4T_ASSIGN(const auto kept, env_.store.records());
  for (const auto& record : kept) settings.known_records.push_back(record.record);
  K4T_ASSIGN(const auto latest, env_.store.latest_decided());
  if (latest) {
    // The newest state that is known names the witnesses to ask; the configuration only names the first ones.
    K4T_ASSIGN(const auto entry, txn::read_record(*latest));
    settings.witnesses = entry->state.witnesses;
  }
  K4T_ASSIGN(const auto initialised, env_.store.initialised_witnesses());
  for (const auto& witness : env_.cluster.witnesses) {
    if (std::find(initialised.begin(), initialised.end(), witness.id) == initialised.end()) {
      settings.fresh_witnesses.insert(witness.id);
    }
  }
  return settings;
}

Result<void> Run::keep(const txn::Note& note) {
  return env_.store.atomically([&]() -> Result<void> {
    if (note.counter > 0) K4T_TRY(env_.store.raise_counter(note.counter));
    if (!note.initialised.empty()) K4T_TRY(env_.store.add_initialised_witnesses(note.initialised));
    if (note.entry == nullptr) return {};
    K4T_TRY(env_.store.put_record(note.entry->record, note.decided));
    if (!note.decided) return {};
    const auto& record = note.entry->record;
    return note_decision(env_.store, {record.version, record.txn, env_.now_s(),
                                      proposing_ ? env_.holder : std::string(), proposing_ ? operation_ : 0});
  });
}

Result<txn::Assessment> Run::look(StatusWatcher* watcher) {
  K4T_ASSIGN(auto with, settings());
  relay_->watch_for(watcher);
  Result<txn::Assessment> seen = txn::Runner(ports_, std::move(with), {.listener = relay_.get()}).inspect();
  relay_->watch_for(nullptr);
  return seen;
}

Result<txn::Assessment> Run::assess() {
  K4T_ASSIGN(auto assessment, look());
  if (assessment.silent_witnesses.empty()) K4T_TRY(check_beginning(assessment, env_.cluster.name));
  if (assessment.majority) return assessment;
  // Where all witnesses answer and none has ever voted, nothing was ever decided. Else too little is known.
  if (assessment.silent_witnesses.empty() && !assessment.best) return assessment;
  auto missing = assessment.silent_witnesses;
  missing.insert(missing.end(), assessment.blank_witnesses.begin(), assessment.blank_witnesses.end());
  return Error{k4t::Status::unavailable,
               "what is decided is not known, because no majority of the witnesses tells; without an answer or a " +
                   std::string("register: ") + listed(missing),
               {}};
}

Result<void> Run::begin() {
  if (ready()) return runner_->observe();
  K4T_ASSIGN(auto with, settings());
  ++runs_;
  relay_->expect_fresh(with.fresh_witnesses);
  runner_ = std::make_unique<txn::Runner>(ports_, std::move(with), txn::RunnerOptions{.listener = relay_.get()});
  return runner_->begin();
}

void Run::close() {
  if (runner_ == nullptr || runner_->coordinator().phase() == txn::Phase::created) return;
  const bool open = runner_->coordinator().phase() != txn::Phase::closed;
  runner_->close();
  if (!open) return;
  if (auto noted = note_contacts(env_.store, members(), env_.now_s()); !noted) relay_->on_note_failed(noted.error());
}

bool Run::ready() const { return runner_ != nullptr && runner_->coordinator().phase() == txn::Phase::ready; }

txn::EntryPtr Run::latest() const { return runner_ == nullptr ? nullptr : runner_->coordinator().latest(); }

std::vector<txn::Member> Run::members() const {
  return runner_ == nullptr ? std::vector<txn::Member>{} : runner_->coordinator().members();
}

Result<txn::Outcome> Run::propose(model::State state) {
  state.forced = latest() ? still_forced(*latest(), members(), acknowledges_) : std::nullopt;
  proposing_ = true;
  auto outcome = runner_->propose(state);
  proposing_ = false;
  return outcome;
}

Result<std::optional<model::WitnessRegister>> Run::peek(const model::Witness& witness) {
  K4T_ASSIGN(auto* port, ports_.witness(witness));
  return port->peek({peek_timeout, nullptr});
}

Result<txn::EntryPtr> Run::find_record(const std::string& txn, const std::vector<model::Witness>& witnesses) {
  K4T_ASSIGN(const auto kept, env_.store.records());
  for (const auto& record : kept) {
    if (record.record.txn != txn) continue;
    if (auto entry = txn::read_record(record.record)) return entry;
  }
  std::optional<Error> silent;
  for (const auto& witness : witnesses) {
    auto port = ports_.witness_itself(witness);
    auto record = port ? (*port)->fetch(txn, {peek_timeout, nullptr}) : Result<model::Record>(port.error());
    if (record && record->txn == txn) {
      if (auto entry = txn::read_record(*record)) return entry;
    } else if (!record && record.status() != k4t::Status::not_found && record.status() != k4t::Status::unsupported) {
      silent = record.error().within("witness " + witness.id);
    }
  }
  K4T_ASSIGN(auto* folders, ports_.records());
  if (auto record = folders->fetch(txn, {peek_timeout, nullptr})) {
    if (auto entry = txn::read_record(*record)) return entry;
  } else if (record.status() != k4t::Status::not_found) {
    silent = record.error();
  }
  if (silent) return Error{k4t::Status::unavailable, silent->message, silent->detail};
  return Error{k4t::Status::not_found, "no record " + txn + " is kept here or at a witness", {}};
}

std::optional<bool> Run::holds_record(const model::Witness& witness, const std::string& txn) {
  const auto port = ports_.witness_itself(witness);
  if (!port) return std::nullopt;
  const auto record = (*port)->fetch(txn, {peek_timeout, nullptr});
  if (record) return record->txn == txn;
  if (record.status() == k4t::Status::not_found || record.status() == k4t::Status::unsupported) return false;
  return std::nullopt;
}

Result<void> Run::begin_forced(const txn::EntryPtr& entry, std::uint64_t counter,
                               const std::vector<model::Witness>& signposts) {
  K4T_ASSIGN(auto with, settings());
  ++runs_;
  with.highest_counter = std::max(with.highest_counter, counter);
  with.take_over = true;
  with.witnesses = entry->state.witnesses;
  with.fresh_witnesses.clear();
  for (const auto& witness : with.witnesses) with.fresh_witnesses.insert(witness.id);
  with.forced = entry;
  relay_->expect_fresh(with.fresh_witnesses);
  runner_ = std::make_unique<txn::Runner>(ports_, std::move(with), txn::RunnerOptions{.listener = relay_.get()});
  proposing_ = true;
  auto begun = runner_->begin();
  proposing_ = false;
  K4T_TRY(begun);
  for (const auto& witness : signposts) {
    const auto port = ports_.witness(witness);
    if (!port) continue;
    platform::step("before signpost " + witness.id);
    const auto answer = (*port)->vote(runner_->coordinator().epoch(), entry->record, {peek_timeout, nullptr});
    platform::step("after signpost " + witness.id);
    if (answer && answer->granted) continue;
    env_.reporter.warning("witness " + witness.id + " of the old set does not point to the new one: " +
                          (answer ? "it has promised a later epoch" : answer.error().message));
  }
  return {};
}

std::vector<std::pair<std::string, std::optional<bool>>> Run::record_folders(const std::string& txn) {
  const auto folders = ports_.records();
  if (!folders) return {};
  return (*folders)->holders(txn, {peek_timeout, nullptr});
}

bool Run::single_copy() {
  if (runner_ == nullptr || latest() == nullptr) return false;
  const auto& outcome = runner_->coordinator().outcome();
  if (outcome.verdict != txn::Verdict::decided || outcome.txn != latest()->record.txn) return false;
  const auto folders = ports_.records();
  if (folders && (*folders)->kept_elsewhere(outcome.txn)) return false;
  const auto& set = latest()->state.witnesses;
  return std::none_of(set.begin(), set.end(), [&](const model::Witness& witness) {
    const bool holds = std::find(outcome.holders.begin(), outcome.holders.end(), witness.id) != outcome.holders.end();
    return holds && !witness.dns && witness.host != "local";
  });
}

Result<void> Run::catch_up(const txn::CatchUp& what) { return runner_->catch_up(what); }

Result<void> Run::require_not_overtaken() {
  const auto now = latest();
  for (const auto& witness : now == nullptr ? env_.cluster.witnesses : now->state.witnesses) {
    K4T_ASSIGN(auto* port, ports_.witness(witness));
    const auto shown = port->peek({peek_timeout, nullptr});
    if (!shown || !shown->has_value() || (*shown)->promised <= runner_->coordinator().epoch()) continue;
    return Error{k4t::Status::conflict,
                 "another run took over: " + txn::describe_holder((*shown)->holder) +
                     "; see `k4t status` once it has ended, and try again",
                 {}};
  }
  return {};
}

Result<void> Run::require_served() const {
  for (const auto group : {txn::Group::gateway, txn::Group::dns}) {
    bool any = false;
    bool served = false;
    for (const auto& member : members()) {
      if (member.who.group != group || !member.listed) continue;
      any = true;
      served = served || member.standing == Standing::current;
    }
    if (any && !served) {
      return Error{k4t::Status::unavailable,
                   "no " + std::string(to_string(group)) + " serves the latest version yet, so the old instances stay",
                   {}};
    }
  }
  return {};
}

Result<std::optional<plan::Routes>> Run::routed_by_laggards() const {
  std::set<std::string> txns;
  for (const auto& member : members()) {
    const bool older = member.standing == Standing::behind || member.standing == Standing::half;
    if (!member.listed || !older || !member.seen) continue;
    for (const auto& held : {member.seen->served, member.seen->stored}) {
      if (held && held->txn != latest()->record.txn) txns.insert(held->txn);
    }
  }
  plan::Routes routed;
  K4T_ASSIGN(const auto kept, env_.store.records());
  for (const auto& record : kept) {
    if (txns.erase(record.record.txn) == 0) continue;
    K4T_ASSIGN(const auto entry, txn::read_record(record.record));
    routed.add(entry->state);
  }
  if (!txns.empty()) return std::optional<plan::Routes>();
  return std::optional(std::move(routed));
}

}  // namespace k4t::operation
