#include <algorithm>

#include "txn/coordinator_impl.hpp"

/// Participants: each goes its own way (observe, prepare, commit, observe again where the answer was lost) towards the
/// phase's goal, and the phase ends when all rest.

namespace k4t::txn {
namespace {

Error not_served(const std::string& why) { return {Status::conflict, why, {}}; }

bool serves(const Observation& seen, const std::string& txn) {
  return !seen.half && seen.stored && seen.stored == seen.served && seen.served->txn == txn &&
         seen.content != Content::drifted;
}

}  // namespace

void Coordinator::start_member(const Participant& who, Track::Goal goal, const EntryPtr& entry) {
  Track& track = members_[who];
  std::optional<Observation> seen = std::move(track.seen);
  track = Track{};
  track.seen = std::move(seen);
  track.goal = goal;
  track.entry = entry;
}

void Coordinator::observe_all() {
  phase_ = Phase::observing;
  if (latest_) {
    for (const auto& name : latest_->state.gateway_members) members_[{Group::gateway, name}];
    for (const auto& name : latest_->state.dns_members) members_[{Group::dns, name}];
  }
  for (auto& [who, track] : members_) {
    start_member(who, Track::Goal::observe, latest_);
    send_observe(who, track, Track::Step::observing);
  }
  settle_members();
}

void Coordinator::start_preparing() {
  phase_ = Phase::preparing;
  // What an earlier transaction left in tracks of members that this one does not name must not count.
  for (auto& [who, track] : members_) track.entry = nullptr;
  const auto start = [this](Group group, const std::vector<std::string>& names) {
    for (const auto& name : names) {
      const Participant who{group, name};
      start_member(who, Track::Goal::prepare, proposal_);
      work(who, members_.at(who));
    }
  };
  start(Group::gateway, proposal_->state.gateway_members);
  start(Group::dns, proposal_->state.dns_members);
  settle_members();
}

// The next step towards prepare or commit: what is not known is observed first.
void Coordinator::work(const Participant& who, Track& track) {
  if (!track.seen) {
    send_observe(who, track, Track::Step::observing);
    return;
  }
  const Standing standing = standing_of(settings_.cluster, latest_.get(), who, *track.seen);
  // Catching up may find that nothing is left to do, or only what was not asked for.
  const bool settled = standing == Standing::current || (standing == Standing::drifted && !track.repair);
  if (track.goal == Track::Goal::commit && settled) {
    track.step = Track::Step::resting;
    return;
  }
  const bool barred = standing == Standing::ahead || (standing == Standing::diverged && !track.overwrite);
  if (!barred) {
    send_prepare(who, track);
    return;
  }
  track.step = Track::Step::resting;
  track.answer = Track::Answer::absent;
  track.why = not_served(describe(Member{who, true, standing, track.seen, {}}, latest_.get()));
}

void Coordinator::send_observe(const Participant& who, Track& track, Track::Step step) {
  track.step = step;
  const EntryPtr expected = step == Track::Step::settling ? track.entry : latest_;
  act(Pending{Pending::Kind::member, {}, who, {}}, action::Observe{who, expected});
}

void Coordinator::send_prepare(const Participant& who, Track& track) {
  track.step = Track::Step::preparing;
  track.asked = true;
  track.target = register_of(settings_.cluster, *track.entry, settings_.run + "." + std::to_string(++writes_));
  Preparation what{track.seen->stored, track.target, track.entry, nullptr};
  if (latest_ && track.seen->content == Content::clean && serves(*track.seen, latest_->record.txn)) what.base = latest_;
  act(Pending{Pending::Kind::member, {}, who, {}}, action::Prepare{who, std::move(what)});
}

void Coordinator::send_commit(const Participant& who, Track& track) {
  track.step = Track::Step::committing;
  act(Pending{Pending::Kind::member, {}, who, {}},
      action::Commit{who, CommitRequest{track.seen->stored, track.target}});
}

void Coordinator::abort_all() {
  phase_ = Phase::aborting;
  for (auto& [who, track] : members_) {
    if (!track.asked || !track.entry || track.entry == latest_) continue;
    track.step = Track::Step::aborting;
    act(Pending{Pending::Kind::member, {}, who, {}}, action::Abort{who, track.entry->record.txn});
  }
}

void Coordinator::on_member(const Participant& who, const Event& event) {
  Track& track = members_.at(who);
  const Error* error = error_of(event);
  switch (track.step) {
    case Track::Step::observing:
    case Track::Step::settling:
      track.seen.reset();
      if (const auto* seen = std::get_if<Observation>(&event.reply)) {
        track.seen = *seen;
      } else if (!track.why || track.step == Track::Step::observing) {
        track.why = error != nullptr ? *error : wrong_answer();
      }
      on_observed(who, track);
      break;
    case Track::Step::preparing: on_prepared(who, track, error); break;
    case Track::Step::committing: on_committed(who, track, error); break;
    case Track::Step::aborting: track.step = Track::Step::resting; break;
    case Track::Step::resting: break;
  }
  settle_members();
}

void Coordinator::on_observed(const Participant& who, Track& track) {
  const bool settling = track.step == Track::Step::settling;
  track.step = Track::Step::resting;
  if (settling) {
    if (track.seen && serves(*track.seen, track.entry->record.txn)) track.why.reset();
    return;
  }
  if (track.seen) track.why.reset();
  if (track.goal == Track::Goal::observe) return;
  if (track.seen) {
    work(who, track);
  } else {
    track.answer = Track::Answer::absent;
  }
}

void Coordinator::on_prepared(const Participant& who, Track& track, const Error* error) {
  track.step = Track::Step::resting;
  if (error == nullptr) {
    track.answer = Track::Answer::yes;
    track.why.reset();
    if (track.goal == Track::Goal::commit) send_commit(who, track);
    return;
  }
  track.why = *error;
  if (error->status == Status::conflict && !track.prepared_again) {
    // The register moved since it was observed, e.g. by a late commit of the run before.
    track.prepared_again = true;
    send_observe(who, track, Track::Step::observing);
    return;
  }
  const bool never = error->status == Status::invalid_argument || error->status == Status::unsupported;
  track.answer = never ? Track::Answer::invalid : Track::Answer::absent;
}

void Coordinator::on_committed(const Participant& who, Track& track, const Error* error) {
  track.step = Track::Step::resting;
  if (error == nullptr) {
    track.why.reset();
    track.seen = Observation{track.target, track.target, Content::clean, false, {}, {}};
    return;
  }
  track.why = *error;
  if (error->status == Status::not_found && !track.committed_again) {
    // The stage was lost; nothing has changed there.
    track.committed_again = true;
    track.goal = Track::Goal::commit;
    send_prepare(who, track);
    return;
  }
  send_observe(who, track, Track::Step::settling);
}

void Coordinator::settle_members() {
  const bool rest = std::all_of(members_.begin(), members_.end(),
                                [](const auto& one) { return one.second.step == Track::Step::resting; });
  if (!rest) return;
  switch (phase_) {
    case Phase::observing: end_observing(); break;
    case Phase::preparing: end_preparing(); break;
    case Phase::aborting:
    case Phase::committing: phase_ = Phase::ready; break;
    default: break;
  }
}

void Coordinator::end_observing() {
  for (const Member& member : members()) {
    if (member.standing != Standing::ahead) continue;
    stop(Phase::failed, {Status::conflict,
                         to_string(member.who) + " " + describe(member, latest_.get()) +
                             ": either another run has just taken over, or the witnesses were rewound or replaced",
                         {}});
    return;
  }
  phase_ = Phase::ready;
}

void Coordinator::end_preparing() {
  if (auto why = objection()) {
    drop(*std::move(why));
  } else {
    start_voting(Phase::voting, proposal_);
  }
}

std::optional<Error> Coordinator::objection() const {
  for (const auto& [who, track] : members_) {
    if (track.entry == proposal_ && track.answer == Track::Answer::invalid) return track.why->within(to_string(who));
  }
  auto why = objection(Group::gateway, proposal_->state.gateway_members, settings_.gateway_availability);
  return why ? why : objection(Group::dns, proposal_->state.dns_members, settings_.dns_availability);
}

std::optional<Error> Coordinator::objection(Group group, const std::vector<std::string>& names,
                                            model::Availability availability) const {
  std::size_t yes = 0;
  std::string reasons;
  for (const auto& name : names) {
    const Track& track = members_.at({group, name});
    if (track.answer == Track::Answer::yes) {
      ++yes;
    } else if (track.why) {
      reasons += (reasons.empty() ? "" : "\n") + name + ": " + track.why->message;
    }
  }
  const std::size_t needed =
      availability == model::Availability::all ? names.size() : std::min<std::size_t>(1, names.size());
  if (yes >= needed) return {};
  return Error{Status::unavailable,
               std::to_string(yes) + " of " + std::to_string(names.size()) + " " + std::string(to_string(group)) +
                   " members can take the change, " + std::to_string(needed) + " must: nothing was changed",
               reasons};
}

}  // namespace k4t::txn
