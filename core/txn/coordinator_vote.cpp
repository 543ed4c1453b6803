#include <algorithm>

#include "txn/coordinator_impl.hpp"

/// VOTE: from the first request on this run never proposes other content for the version; only a majority, a higher
/// epoch or silence ends it.

namespace k4t::txn {

void Coordinator::start_voting(Phase phase, const EntryPtr& entry) {
  phase_ = phase;
  voting_ = Voting{entry, {}, {}, {}};
  note_entry(entry, false);
  std::set<std::string> asked;
  for (const auto& set : deciding_sets(entry->state)) {
    for (const auto& witness : set) {
      if (!asked.insert(witness.id).second) continue;
      // Known under its first address in this run, where the set names a newer one.
      const auto known = witnesses_.find(witness.id);
      act(Pending{Pending::Kind::vote, witness.id, {}, entry->record.txn},
          action::Vote{known == witnesses_.end() ? witness : known->second.at, epoch_, entry});
    }
  }
}

void Coordinator::on_vote(const Pending& pending, const Event& event) {
  if (!voting_.entry || voting_.entry->record.txn != pending.txn) return;
  if (const auto* answer = std::get_if<WitnessAnswer>(&event.reply)) {
    if (answer->granted) {
      voting_.yes.insert(pending.witness);
      if (outcome_.txn == pending.txn) outcome_.holders.assign(voting_.yes.begin(), voting_.yes.end());
    } else if (answer->now.promised > epoch_) {
      if (!voting_.winner || voting_.winner->promised < answer->now.promised) voting_.winner = answer->now;
    }
  } else {
    const Error* error = error_of(event);
    voting_.errors[pending.witness] = error != nullptr ? *error : wrong_answer();
  }
  if (phase_ == Phase::voting || phase_ == Phase::finishing) settle_voting();
}

void Coordinator::settle_voting() {
  const auto sets = deciding_sets(voting_.entry->state);
  const bool decided = std::all_of(sets.begin(), sets.end(), [this](const auto& set) {
    return majority_of(set, [this](const std::string& id) { return voting_.yes.contains(id); });
  });
  if (decided) {
    decide();
    return;
  }
  if (waits_for(Pending::Kind::vote)) return;
  const std::string version = "version " + std::to_string(voting_.entry->record.version);
  if (voting_.winner) {
    stop(Phase::lost, {Status::conflict,
                       "another run took over: " + describe_holder(voting_.winner->holder) + "; " + version +
                           " is finished or replaced by that run: see `k4t status` once it has ended, and try again",
                       {}});
    return;
  }
  std::string reasons;
  for (const auto& [id, error] : voting_.errors) reasons += (reasons.empty() ? "" : "\n") + id + ": " + error.message;
  stop(Phase::unknown, {Status::unavailable,
                        "whether " + version + " is decided is not known, because no majority of the witnesses " +
                            "confirmed it; the next run settles it",
                        reasons});
}

void Coordinator::decide() {
  latest_ = voting_.entry;
  entries_[latest_->record.txn] = latest_;
  outcome_.verdict = Verdict::decided;
  note_entry(latest_, true);
  if (phase_ == Phase::finishing) {
    observe_all();
    return;
  }
  phase_ = Phase::committing;
  for (auto& [who, track] : members_) {
    if (track.entry != latest_ || track.answer != Track::Answer::yes) continue;
    track.goal = Track::Goal::commit;
    send_commit(who, track);
  }
  settle_members();
}

void Coordinator::drop(Error why) {
  outcome_.verdict = Verdict::dropped;
  outcome_.why = std::move(why);
  proposal_ = nullptr;
  abort_all();
  settle_members();
}

}  // namespace k4t::txn
