#include <algorithm>
#include <utility>

#include "txn/runner.hpp"
#include "world.hpp"

namespace k4t::simulation {
namespace {

using txn::Action;

/// Reading, tidying up and notes: carried out at once where a search spends its steps on what can go wrong.
bool is_instant(const Action& action) {
  return !std::holds_alternative<txn::action::Claim>(action.what) &&
         !std::holds_alternative<txn::action::Vote>(action.what) &&
         !std::holds_alternative<txn::action::Prepare>(action.what) &&
         !std::holds_alternative<txn::action::Commit>(action.what);
}

std::chrono::milliseconds time_for(const Action& action) {
  const txn::Deadlines deadlines;
  if (std::holds_alternative<txn::action::Commit>(action.what)) return deadlines.commit;
  if (std::holds_alternative<txn::action::Observe>(action.what)) return deadlines.observe;
  const bool staging = std::holds_alternative<txn::action::Prepare>(action.what) ||
                       std::holds_alternative<txn::action::Abort>(action.what);
  return staging ? deadlines.prepare : deadlines.witness;
}

std::uint64_t mark_of(std::size_t run, const Action& action) {
  Hash hash;
  hash << run << action.what.index();
  std::visit(
      [&](const auto& what) {
        using What = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<What, txn::action::Claim>) {
          hash << what.at.id << what.request.epoch << what.request.take_over << what.request.initialise;
        } else if constexpr (std::is_same_v<What, txn::action::Vote>) {
          hash << what.at.id << what.epoch << what.entry->record.txn;
        } else if constexpr (requires { what.what.seen; }) {
          hash << what.at.name << what.what.seen << what.what.target;
        }
      },
      action.what);
  return hash.value();
}

}  // namespace

World::Run& World::run(std::size_t index) {
  auto& shared = runs_[index];
  if (shared.use_count() > 1) shared = std::make_shared<Run>(*shared);
  shared->mark.reset();
  return *shared;
}

std::string World::id_of(std::size_t index) const {
  if (config_.has(Mistake::runs_share_an_epoch)) return "a";
  const auto runs = static_cast<std::size_t>(config_.runs);
  // Of users' --force; they come in any order among the others.
  if (index >= runs) return (config_.ordered ? "z" : "A") + std::to_string(index - runs);
  const std::size_t rank = config_.ordered ? index : runs - 1 - index;
  return std::string(1, static_cast<char>('a' + rank));
}

txn::Settings World::settings_of(const Run& run, const std::string& id) const {
  txn::Settings settings;
  settings.cluster = kCluster;
  settings.run = id;
  settings.holder = "host" + std::to_string(run.host) + " run " + id;
  settings.witnesses = first_set_;
  for (const auto& server : servers_) {
    (server.who().group == txn::Group::gateway ? settings.gateways : settings.dns).push_back(server.who().name);
  }
  settings.gateway_availability = settings.dns_availability = config_.availability;
  if (!config_.stores) return settings;
  const Store& store = *hosts_[run.host].store;
  settings.highest_counter = store.counter;
  if (store.latest) settings.witnesses = store.latest->state.witnesses;
  if (store.latest) settings.known_records.push_back(store.latest->record);
  if (store.proposed && store.proposed != store.latest) settings.known_records.push_back(store.proposed->record);
  for (const auto& one : settings.witnesses) {
    if (!store.initialised.contains(one.id)) settings.fresh_witnesses.insert(one.id);
  }
  return settings;
}

std::vector<model::Witness> World::planned_set(const Run& run, std::size_t at) const {
  const auto& latest = run.coordinator->latest();
  const auto current = latest ? latest->state.witnesses : first_set_;
  const int plan = at < config_.set_plan.size() ? config_.set_plan[at] : 0;
  // The sets are of the first history.
  if (plan == 0 || (latest && watcher_.is_forced(latest->record.txn))) return current;
  std::vector<model::Witness> set;
  for (const int number : config_.sets.at(static_cast<std::size_t>(plan - 1))) {
    const Witness& one = witnesses_.at(static_cast<std::size_t>(number - 1));
    const bool known =
        std::any_of(current.begin(), current.end(), [&](const auto& has) { return has.id == one.at().id; });
    // What was lost returns under an id that was never used.
    if (one.wiped() && !known) return current;
    set.push_back(one.at());
  }
  return set;
}

model::State World::proposal_of(std::size_t index) const {
  const Run& run = *runs_[index];
  const std::size_t at = index * static_cast<std::size_t>(config_.proposals) + static_cast<std::size_t>(run.proposed);
  model::State state;
  // What tells the states of two runs apart.
  state.dns.suffix = "r" + std::to_string(index) + "p" + std::to_string(run.proposed);
  const auto settings = settings_of(run, "");
  state.gateway_members = settings.gateways;
  state.dns_members = settings.dns;
  const std::size_t left_out = at < config_.member_plan.size() ? static_cast<std::size_t>(config_.member_plan[at]) : 0;
  if (left_out > 0 && state.gateway_members.size() >= left_out) {
    state.gateway_members.erase(state.gateway_members.begin() + static_cast<std::ptrdiff_t>(left_out - 1));
  }
  state.witnesses = planned_set(run, at);
  if (const auto& latest = run.coordinator->latest()) {
    state.forced = operation::still_forced(*latest, run.coordinator->members(), false);
    if (state.forced && config_.has(Mistake::next_version_forgets_the_absent)) {
      state.forced->diverged_gateways.clear();
      state.forced->diverged_dns.clear();
    }
  }
  return state;
}

void World::start(std::size_t index, std::size_t host) {
  Run& begun = run(index);
  begun.host = host;
  txn::Settings settings = settings_of(begun, id_of(index));
  // Somebody may insist; who does not is stopped by another host's open claim.
  settings.take_over = index % 2 == 1;
  begun.repairs = index % 3 == 0;
  begun.began_with = settings.witnesses;
  begun.coordinator.emplace(std::move(settings));
  send(index, begun.coordinator->begin());
}

void World::send(std::size_t index, txn::Actions actions) {
  std::vector<Message> instant;
  for (auto& action : actions) {
    if (intercept(index, action)) continue;
    const bool travels = config_.everything_travels || !is_instant(action);
    const auto deadline = now_ + time_for(action);
    auto sent = std::make_shared<const Action>(mistaken(std::move(action)));
    const std::uint64_t mark = config_.hashed ? simulation::mark_of(index, *sent) : 0;
    const auto* commit = std::get_if<txn::action::Commit>(&sent->what);
    const bool saw_drift = commit != nullptr && run(index).saw_drift.contains(commit->at);
    (travels ? messages_ : instant).push_back(Message{index, sent, deadline, false, nullptr, mark, saw_drift});
  }
  for (auto& message : instant) {
    Reply reply = execute(message, {});
    answer(message, std::move(reply));
  }
  watch(run(index));
  go_on(index);
}

void World::answer(const Message& message, Reply reply) {
  if (runs_[message.run]->dead) return;
  hear_mistaken(message.run, message, std::move(reply));
}

void World::hear(std::size_t index, const txn::Event& event) { send(index, run(index).coordinator->on(event)); }

void World::watch(Run& run) {
  const txn::Coordinator& coordinator = *run.coordinator;
  const txn::Outcome& outcome = coordinator.outcome();
  if (outcome.verdict != txn::Verdict::none && outcome.txn != run.told) {
    run.told = outcome.txn;
    watcher_.concluded(outcome);
  }
  if (!run.believed && coordinator.phase() == txn::Phase::ready) {
    run.believed = true;
    watcher_.believes(coordinator.latest());
  }
}

// What a run does when it rests: propose, catch up, end.
void World::go_on(std::size_t index) {
  Run& resting = run(index);
  txn::Coordinator& coordinator = *resting.coordinator;
  const auto phase = coordinator.phase();
  if (phase == txn::Phase::ready && !resting.signposts.empty()) {
    send(index, pointing_to_new_witnesses(resting));
  } else if (phase == txn::Phase::ready && resting.proposed < config_.proposals) {
    model::State state = proposal_of(index);
    ++resting.proposed;
    send(index, coordinator.propose(std::move(state)));
  } else if (phase == txn::Phase::ready && !resting.caught_up) {
    resting.caught_up = true;
    txn::CatchUp what{resting.repairs, resting.overwrite};
    if (config_.has(Mistake::every_run_repairs)) what.repair = true;
    if (config_.has(Mistake::absent_ones_are_caught_up)) {
      for (const auto& server : servers_) what.overwrite.insert(server.who());
    }
    send(index, coordinator.catch_up(std::move(what)));
  } else if (phase == txn::Phase::ready ||
             (config_.courtesy && coordinator.resting() && phase != txn::Phase::closed && phase != txn::Phase::lost)) {
    send(index, coordinator.close());
  }
}

std::uint64_t World::mark_of(const Run& run) const {
  if (run.mark) return *run.mark;
  Hash hash;
  hash << run.dead << run.caught_up << run.proposed << run.host << run.votes << run.held.size() << run.signposts.size();
  for (const auto& held : run.held) hash << simulation::mark_of(0, *held.action) << held.reply.index();
  // A dead run is heard of no more; its messages speak for themselves.
  if (run.coordinator && !run.dead) hash << run.coordinator->fingerprint();
  run.mark = hash.value();
  return *run.mark;
}

std::uint64_t World::fingerprint() const {
  Hash hash;
  hash << config_.faults << config_.crashes << config_.wipes << config_.cuts << config_.replacements << config_.forces
       << config_.drifts;
  for (const auto& one : witnesses_) one.hash_into(hash);
  for (const auto& server : servers_) server.hash_into(hash);
  for (const auto& shared : runs_) hash << mark_of(*shared);
  // The order in which messages were sent means nothing.
  std::uint64_t messages = 0;
  for (const auto& message : messages_) {
    Hash one;
    one << message.mark << message.late << (message.step ? message.step->chunk : 0);
    if (message.step && message.step->expected.at) one << *message.step->expected.at;
    messages += one.value();
  }
  hash << messages;
  watcher_.hash_into(hash);
  return hash.value();
}

}  // namespace k4t::simulation
