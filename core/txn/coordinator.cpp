#include "txn/coordinator.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "txn/coordinator_impl.hpp"

namespace k4t::txn {

K4T_JSON_ENUM_DEFINE(Phase)
K4T_JSON_ENUM_DEFINE(Verdict)
namespace {

bool same_ids(const std::vector<model::Witness>& a, const std::vector<model::Witness>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const model::Witness& x, const model::Witness& y) { return x.id == y.id; });
}

void sort_by_id(std::vector<model::Witness>& witnesses) {
  std::sort(witnesses.begin(), witnesses.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
}

}  // namespace

Coordinator::Coordinator(Settings settings) : settings_(std::move(settings)) {
  sort_by_id(settings_.witnesses);
  for (const auto& name : settings_.gateways) members_[{Group::gateway, name}];
  for (const auto& name : settings_.dns) members_[{Group::dns, name}];
  for (const auto& record : settings_.known_records) {
    // A damaged cache is no cache.
    if (auto entry = read_record(record)) entries_[record.txn] = *entry;
  }
}

bool Coordinator::resting() const {
  switch (phase_) {
    case Phase::created:
    case Phase::ready:
    case Phase::closed:
    case Phase::lost:
    case Phase::unknown:
    case Phase::failed: return true;
    default: return false;
  }
}

std::vector<Member> Coordinator::members() const {
  std::vector<Member> result;
  for (const auto& [who, track] : members_) {
    Member member{who, false, Standing::unknown, track.seen, track.why};
    if (latest_) {
      const auto& names = who.group == Group::gateway ? latest_->state.gateway_members : latest_->state.dns_members;
      member.listed = std::find(names.begin(), names.end(), who.name) != names.end();
    }
    if (track.seen) member.standing = standing_of(settings_.cluster, latest_.get(), who, *track.seen);
    result.push_back(std::move(member));
  }
  return result;
}

std::vector<std::string> Coordinator::blank_witnesses() const {
  std::vector<std::string> result;
  for (const auto& [id, track] : witnesses_) {
    if (track.claim == WitnessTrack::Claim::blank) result.push_back(id);
  }
  return result;
}

Actions Coordinator::begin() {
  assert(phase_ == Phase::created);
  phase_ = Phase::claiming;
  epoch_ = {settings_.highest_counter + 1, settings_.run};
  for (const auto& witness : settings_.witnesses) witnesses_[witness.id].at = witness;
  for (auto& [id, track] : witnesses_) ask_claim(track, settings_.take_over, false);
  if (witnesses_.empty()) {
    stop(Phase::failed, {Status::invalid_argument, "no witness is configured: name at least one [[witness]]", {}});
  }
  return flush();
}

Actions Coordinator::observe() {
  assert(phase_ == Phase::ready);
  observe_all();
  return flush();
}

Actions Coordinator::propose(model::State state) {
  assert(phase_ == Phase::ready);
  std::sort(state.gateway_members.begin(), state.gateway_members.end());
  std::sort(state.dns_members.begin(), state.dns_members.end());
  sort_by_id(state.witnesses);
  state.former_witnesses.reset();
  const auto current = current_witnesses();
  if (!same_ids(current, state.witnesses)) state.former_witnesses = current;

  const model::Record record = latest_ ? model::make_record(latest_->record.txn, latest_->record.version + 1, state)
                                       : model::make_record({}, 1, state);
  outcome_ = Outcome{Verdict::none, record.version, record.txn, {}, {}};
  proposal_ = std::make_shared<const Entry>(Entry{record, std::move(state)});
  if (proposal_->state.witnesses.empty()) {
    drop({Status::invalid_argument, "a version needs at least one witness", {}});
    return flush();
  }
  phase_ = Phase::joining;
  joining_.clear();
  for (const auto& witness : proposal_->state.witnesses) {
    if (witnesses_.contains(witness.id)) continue;
    WitnessTrack& track = witnesses_[witness.id];
    track.at = witness;
    joining_.insert(witness.id);
    ask_claim(track, settings_.take_over, true);
  }
  settle_joining();
  return flush();
}

Actions Coordinator::catch_up(CatchUp what) {
  assert(phase_ == Phase::ready);
  if (!latest_) return {};
  phase_ = Phase::committing;
  for (const Member& member : members()) {
    const bool overwrite = what.overwrite.contains(member.who);
    const bool wanted = overwrite || member.standing == Standing::unknown || member.standing == Standing::blank ||
                        member.standing == Standing::behind || member.standing == Standing::half ||
                        (what.repair && member.standing == Standing::drifted);
    if (!member.listed || !wanted) continue;
    start_member(member.who, Track::Goal::commit, latest_);
    Track& track = members_.at(member.who);
    track.overwrite = overwrite;
    track.repair = what.repair;
    work(member.who, track);
  }
  settle_members();
  return flush();
}

Actions Coordinator::close() {
  assert(resting());
  // A run that was overtaken sends nothing more; its promise is gone anyway.
  if (phase_ == Phase::lost || phase_ == Phase::closed) return {};
  phase_ = Phase::closing;
  for (const auto& [id, track] : witnesses_) {
    if (granted(id)) act(Pending{Pending::Kind::close, id, {}, {}}, action::Close{track.at, epoch_});
  }
  if (!waits_for(Pending::Kind::close)) phase_ = Phase::closed;
  return flush();
}

Actions Coordinator::on(const Event& event) {
  const auto found = pending_.find(event.id);
  if (found == pending_.end()) return {};
  const Pending pending = found->second;
  pending_.erase(found);
  switch (pending.kind) {
    case Pending::Kind::claim: on_claim(witnesses_.at(pending.witness), event); break;
    case Pending::Kind::fetch: on_fetch(pending.witness, event); break;
    case Pending::Kind::vote: on_vote(pending, event); break;
    case Pending::Kind::member: on_member(pending.member, event); break;
    case Pending::Kind::initialised: on_initialised(event); break;
    case Pending::Kind::close:
      if (!waits_for(Pending::Kind::close)) phase_ = Phase::closed;
      break;
    case Pending::Kind::note: break;
  }
  return flush();
}

Actions Coordinator::flush() { return std::exchange(actions_, {}); }

bool Coordinator::waits_for(Pending::Kind kind) const {
  return std::any_of(pending_.begin(), pending_.end(), [&](const auto& one) { return one.second.kind == kind; });
}

void Coordinator::stop(Phase phase, Error why) {
  phase_ = phase;
  why_ = why;
  if (outcome_.verdict == Verdict::none && !outcome_.txn.empty()) {
    outcome_.verdict = phase == Phase::lost      ? Verdict::lost
                       : phase == Phase::unknown ? Verdict::unknown
                                                 : Verdict::dropped;
    outcome_.why = std::move(why);
  }
}

void Coordinator::note_entry(const EntryPtr& entry, bool decided) {
  act(Pending{}, Note{epoch_.counter, {}, entry, decided});
}

std::vector<model::Witness> Coordinator::current_witnesses() const {
  return latest_ ? latest_->state.witnesses : settings_.witnesses;
}

}  // namespace k4t::txn
