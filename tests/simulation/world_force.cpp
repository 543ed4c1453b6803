#include <algorithm>
#include <utility>

#include "world.hpp"

/// A user's --force: the product's own choice, from what answers at one moment, and a run that carries it out.

namespace k4t::simulation {
namespace {

using Kind = Choice::Kind;

/// Who answers a user's --force: every second participant may be silent, and of the old witnesses a minority may
/// answer.
constexpr std::size_t kAllParticipants = 1;
constexpr std::size_t kSomeWitnesses = 2;

void add(std::vector<txn::EntryPtr>& records, const txn::EntryPtr& entry) {
  if (entry && std::find(records.begin(), records.end(), entry) == records.end()) records.push_back(entry);
}

}  // namespace

void World::force_choices(std::vector<Choice>& all) const {
  for (std::size_t host = 0; host < hosts_.size(); ++host) {
    for (std::size_t who = 0; who <= kAllParticipants + kSomeWitnesses; ++who) all.push_back({Kind::force, host, who});
  }
}

// As `k4t txn recover --force` does it: look, choose, claim and vote at the new witnesses, point the old ones there,
// overwrite whoever answered.
void World::force(std::size_t host, std::size_t who_answers) {
  Run run;
  run.host = host;
  const auto evidence = evidence_at(run, who_answers);
  const std::size_t index = runs_.size();
  const std::string id = id_of(index);
  const operation::Force force{"host" + std::to_string(host) + " run " + id, "gone", id, fresh_set(id)};
  const auto forcing = operation::choose_forced(evidence, force);
  if (!forcing) return;
  const auto entry = mistaken_force(*forcing);
  std::set<txn::Participant> silent;
  for (const auto& member : evidence.members) {
    if (!member.seen) silent.insert(member.who);
  }
  watcher_.forces(entry->record.txn, std::move(silent));
  run.proposed = config_.proposals;
  run.repairs = true;
  run.overwrite = forcing->overwritten;
  for (const auto& one : evidence.witnesses) {
    if (one.shown && one.shown->has_value()) run.signposts.push_back(one.at);
  }
  txn::Settings settings = settings_of(run, id);
  settings.highest_counter = std::max(settings.highest_counter, forcing->counter);
  settings.take_over = true;
  settings.witnesses = entry->state.witnesses;
  settings.fresh_witnesses.clear();
  for (const auto& one : settings.witnesses) settings.fresh_witnesses.insert(one.id);
  settings.forced = entry;
  run.began_with = settings.witnesses;
  run.coordinator.emplace(std::move(settings));
  runs_.push_back(std::make_shared<Run>(std::move(run)));
  send(index, this->run(index).coordinator->begin());
}

operation::Evidence World::evidence_at(const Run& run, std::size_t who_answers) const {
  operation::Evidence evidence;
  evidence.cluster = kCluster;
  const auto settings = settings_of(run, "");
  evidence.highest_counter = settings.highest_counter;
  // Most of them are gone for good, as far as this user can see.
  std::size_t left = (who_answers & kSomeWitnesses) != 0 ? (settings.witnesses.size() - 1) / 2 : 0;
  for (const auto& at : settings.witnesses) {
    const auto found = std::find_if(witnesses_.begin(), witnesses_.end(),
                                    [&](const Witness& one) { return one.at().path == at.path; });
    const bool answers = left > 0 && found->held();
    if (answers) --left;
    evidence.witnesses.push_back({at, answers ? Result<std::optional<model::WitnessRegister>>(found->held())
                                              : Result<std::optional<model::WitnessRegister>>(no_answer())});
  }
  for (std::size_t at = 0; at < servers_.size(); ++at) {
    const Server& server = servers_[at];
    const bool silent = server.away || ((who_answers & kAllParticipants) == 0 && at % 2 == 0);
    txn::Member member{server.who(), true, txn::Standing::unknown, {}, {}};
    if (!silent) member.seen = std::get<Observation>(server.observe(nullptr));
    evidence.members.push_back(std::move(member));
  }
  evidence.records = records_at(run, evidence);
  const Store& store = *hosts_[run.host].store;
  if (config_.stores && store.latest) evidence.decided.insert(store.latest->record.txn);
  return evidence;
}

/// All that the store and the witnesses that answer hold of what is voted for or served.
std::vector<txn::EntryPtr> World::records_at(const Run& run, const operation::Evidence& evidence) const {
  std::vector<txn::EntryPtr> records;
  const Store& store = *hosts_[run.host].store;
  if (config_.stores) {
    add(records, store.latest);
    add(records, store.proposed);
  }
  std::set<std::string> txns;
  for (const auto& one : evidence.witnesses) {
    if (one.shown && (*one.shown)->vote) txns.insert((*one.shown)->vote->txn);
  }
  for (const auto& member : evidence.members) {
    if (member.seen && member.seen->served) txns.insert(member.seen->served->txn);
  }
  for (const auto& one : evidence.witnesses) {
    if (!one.shown) continue;
    const auto at = std::find_if(witnesses_.begin(), witnesses_.end(),
                                 [&](const Witness& has) { return has.at().path == one.at.path; });
    for (const auto& txn : txns) {
      if (at->holds_record(txn)) add(records, watcher_.voted_for().at(txn));
    }
  }
  return records;
}

std::vector<model::Witness> World::fresh_set(const std::string& id) {
  std::vector<model::Witness> set;
  for (int n = 1; n <= config_.forced_set; ++n) {
    const std::string number = std::to_string(n);
    const std::string name = config_.has(Mistake::force_reuses_witness_ids) ? "w" + number : "f" + id + number;
    set.push_back({name, "local", "/f" + id + number});
    witnesses_.emplace_back(set.back(), false);
  }
  return set;
}

// Every witness of the old history that answers votes for the new version, so that whoever asks it finds the new set.
txn::Actions World::pointing_to_new_witnesses(Run& run) {
  txn::Actions votes;
  // No coordinator waits for an answer to action 0.
  for (const auto& at : std::exchange(run.signposts, {})) {
    votes.push_back({0, txn::action::Vote{at, run.coordinator->epoch(), run.coordinator->latest()}});
  }
  return votes;
}

txn::EntryPtr World::mistaken_force(const operation::Forcing& forcing) const {
  const txn::EntryPtr& right = forcing.entry;
  model::State state = right->state;
  if (config_.has(Mistake::force_reuses_a_version)) state.forced->version = forcing.chosen->record.version + 1;
  if (config_.has(Mistake::force_takes_the_next_version)) state.forced->version -= operation::forced_leap - 1;
  if (config_.has(Mistake::force_forgets_the_absent)) {
    state.forced->diverged_gateways.clear();
    state.forced->diverged_dns.clear();
  }
  const auto record = model::make_record(right->record.base, state.forced->version, state);
  return std::make_shared<const txn::Entry>(txn::Entry{record, std::move(state)});
}

}  // namespace k4t::simulation
