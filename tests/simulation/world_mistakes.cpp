#include <algorithm>
#include <utility>

#include "world.hpp"

/// Mistakes of the coordinator. Each changes an action on its way out or an answer on its way in, so that the
/// coordinator behaves as one would that had made the mistake itself.

namespace k4t::simulation {
namespace {

using txn::Action;
using txn::Event;
using txn::WitnessAnswer;

bool names(const std::vector<model::Witness>& set, const std::string& id) {
  return std::any_of(set.begin(), set.end(), [&](const model::Witness& one) { return one.id == id; });
}

WitnessAnswer forged(const std::string& id, const model::Epoch& epoch) {
  return {true, model::WitnessRegister{kCluster, id, epoch, "", false, {}}};
}

/// Whether a claim's answer is looked at only together with its whole round. The coordinator waits for the round
/// anyway, so holding answers back until then changes nothing but what the mistake changes.
bool looks_at_rounds(Mistake mistake) {
  return mistake == Mistake::minority_votes_are_dropped || mistake == Mistake::visible_vote_counts_as_decided ||
         mistake == Mistake::oldest_vote_is_finished || mistake == Mistake::store_outranks_the_witnesses;
}

/// What such a mistake makes of one vote in a round.
bool counts_as_given(Mistake mistake, const txn::action::Vote& vote, const Reply& reply) {
  const model::State& state = vote.entry->state;
  const auto& former = state.former_witnesses;
  switch (mistake) {
    case Mistake::silence_counts_as_a_vote: return std::holds_alternative<Error>(reply);
    case Mistake::refusal_counts_as_a_vote: return std::holds_alternative<WitnessAnswer>(reply);
    case Mistake::new_set_decides_alone: return former && !names(state.witnesses, vote.at.id);
    case Mistake::old_set_decides_alone: return former && !names(*former, vote.at.id);
    default: return false;
  }
}

}  // namespace

Action World::mistaken(Action action) const {
  auto* claim = std::get_if<txn::action::Claim>(&action.what);
  if (claim != nullptr && config_.has(Mistake::every_claim_makes_registers)) claim->request.initialise = true;
  return action;
}

// Only the witnesses that the run began with are asked.
bool World::intercept(std::size_t index, const Action& action) {
  if (!config_.has(Mistake::named_set_is_not_claimed)) return false;
  const auto* claim = std::get_if<txn::action::Claim>(&action.what);
  const bool claiming = claim != nullptr && runs_[index]->coordinator->phase() == txn::Phase::claiming;
  if (!claiming || names(runs_[index]->began_with, claim->at.id)) return false;
  hear(index, {action.id, forged(claim->at.id, claim->request.epoch)});
  return true;
}

void World::hear_mistaken(std::size_t index, const Message& message, Reply reply) {
  const Action& action = *message.action;
  if (const auto* claim = std::get_if<txn::action::Claim>(&action.what)) {
    const bool silent = std::holds_alternative<Error>(reply);
    if (silent && config_.has(Mistake::silence_counts_as_a_promise)) {
      reply = forged(claim->at.id, claim->request.epoch);
    }
    if (looks_at_rounds(config_.mistake) && runs_[index]->coordinator->phase() == txn::Phase::claiming) {
      hold_claim(index, message, std::move(reply));
      return;
    }
  }
  if (auto* seen = std::get_if<Observation>(&reply); seen != nullptr && seen->content == Content::drifted) {
    if (config_.has(Mistake::drift_counts_as_clean)) seen->content = Content::clean;
  }
  if (const auto* vote = std::get_if<txn::action::Vote>(&action.what)) {
    if (counts_as_given(config_.mistake, *vote, reply)) reply = forged(vote->at.id, vote->epoch);
    hear_vote(index, *vote, {action.id, std::move(reply)});
    return;
  }
  hear(index, {action.id, std::move(reply)});
}

void World::hold_claim(std::size_t index, const Message& message, Reply reply) {
  run(index).held.push_back({message.action, std::move(reply)});
  const bool more = std::any_of(messages_.begin(), messages_.end(), [&](const Message& other) {
    return other.run == index && !other.late && std::holds_alternative<txn::action::Claim>(other.action->what);
  });
  if (more) return;
  std::vector<HeldAnswer> round;
  round.swap(run(index).held);
  change_votes(*runs_[index], round);
  for (auto& one : round) hear(index, {one.action->id, std::move(one.reply)});
}

void World::change_votes(const Run& run, std::vector<HeldAnswer>& round) const {
  std::map<model::Vote, std::size_t> seen;
  for (const auto& one : round) {
    const auto* answer = std::get_if<WitnessAnswer>(&one.reply);
    if (answer != nullptr && answer->granted && answer->now.vote) ++seen[*answer->now.vote];
  }
  for (auto& one : round) {
    auto* answer = std::get_if<WitnessAnswer>(&one.reply);
    if (answer == nullptr || !answer->granted) continue;
    auto& vote = answer->now.vote;
    if (config_.has(Mistake::minority_votes_are_dropped) && vote && 2 * seen[*vote] <= round.size()) vote.reset();
    if (config_.has(Mistake::visible_vote_counts_as_decided) && !seen.empty()) vote = seen.rbegin()->first;
    if (config_.has(Mistake::oldest_vote_is_finished) && vote && *vote != seen.begin()->first) vote.reset();
    const auto& known = hosts_[run.host].store->latest;
    if (config_.has(Mistake::store_outranks_the_witnesses) && known) {
      vote = model::Vote{answer->now.promised, known->record.version, known->record.txn};
    }
  }
}

void World::hear_vote(std::size_t index, const txn::action::Vote& vote, Event event) {
  const auto* answer = std::get_if<WitnessAnswer>(&event.reply);
  const bool granted = answer != nullptr && answer->granted;
  const bool enough_is_wrong = config_.has(Mistake::one_vote_is_enough) || config_.has(Mistake::half_is_enough);
  if (!granted || !enough_is_wrong || vote.entry->state.former_witnesses) {
    hear(index, event);
    return;
  }
  const std::size_t votes = ++run(index).votes;
  const bool enough = config_.has(Mistake::one_vote_is_enough) || 2 * votes >= vote.entry->state.witnesses.size();
  std::vector<Event> others;
  for (auto& message : messages_) {
    const auto* other = std::get_if<txn::action::Vote>(&message.action->what);
    if (!enough || message.run != index || message.late || other == nullptr) continue;
    message.late = true;
    others.push_back({message.action->id, forged(other->at.id, other->epoch)});
  }
  if (enough) run(index).votes = 0;
  hear(index, event);
  for (const auto& other : others) hear(index, other);
}

}  // namespace k4t::simulation
