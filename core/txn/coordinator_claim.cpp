#include <algorithm>
#include <cassert>

#include "txn/coordinator_impl.hpp"

/// CLAIM and FINISH: a majority promises the epoch; the highest vote that it shows says what was or may have been
/// decided.

namespace k4t::txn {
namespace {

/// How often a refused run raises its epoch. Two runs that raise each other end with one of them giving up.
constexpr unsigned kRaises = 3;

/// Far above every counter that a lost register may have promised unseen by the others: a run raises what it knows by
/// one.
constexpr std::uint64_t kLeap = std::uint64_t{1} << 20U;

std::string listed(const std::vector<std::string>& ids) {
  std::string text;
  for (const auto& id : ids) text += (text.empty() ? "" : ", ") + id;
  return text;
}

}  // namespace

void Coordinator::ask_claim(WitnessTrack& track, bool take_over, bool initialise) {
  track.claim = WitnessTrack::Claim::asked;
  track.why.reset();
  act(Pending{Pending::Kind::claim, track.at.id, {}, {}},
      action::Claim{track.at, ClaimRequest{epoch_, settings_.holder, take_over, initialise}});
}

bool Coordinator::granted(const std::string& id) const {
  const auto found = witnesses_.find(id);
  return found != witnesses_.end() && found->second.claim == WitnessTrack::Claim::granted;
}

void Coordinator::on_claim(WitnessTrack& track, const Event& event) {
  using Claim = WitnessTrack::Claim;
  if (const auto* answer = std::get_if<WitnessAnswer>(&event.reply)) {
    track.shown = answer->now;
    track.claim = answer->granted ? Claim::granted : Claim::refused;
  } else {
    const Error* error = error_of(event);
    track.why = error != nullptr ? *error : wrong_answer();
    track.claim = track.why->status == Status::not_found ? Claim::blank
                  : track.why->status == Status::busy    ? Claim::busy
                                                         : Claim::failed;
  }
  if (waits_for(Pending::Kind::claim)) return;
  if (phase_ == Phase::claiming) settle_claims();
  if (phase_ == Phase::joining) settle_joining();
}

void Coordinator::settle_claims() {
  if (raise_epoch() || initialise_blanks() || take_over_minority()) return;
  choose_best();
}

bool Coordinator::raise_epoch() {
  std::uint64_t highest = 0;
  for (const auto& [id, track] : witnesses_) {
    if (track.claim == WitnessTrack::Claim::refused) highest = std::max(highest, track.shown->promised.counter);
  }
  if (highest == 0 || raises_ == kRaises) return false;
  ++raises_;
  epoch_.counter = std::max(highest, epoch_.counter) + 1;
  for (auto& [id, track] : witnesses_) {
    // Who did not answer is not waited for again.
    const bool asks = track.claim == WitnessTrack::Claim::refused || track.claim == WitnessTrack::Claim::granted;
    if (asks) ask_claim(track, settings_.take_over || track.taken_over, false);
  }
  return true;
}

// A register may be made only where none was ever made. The master's store says so for each id, and because that store
// can be lost together with a minority of the registers, the witnesses must agree: all answer and none has ever voted.
bool Coordinator::initialise_blanks() {
  using Claim = WitnessTrack::Claim;
  bool any = false;
  bool others = false;
  for (const auto& [id, track] : witnesses_) {
    others = others || track.claim == Claim::granted;
    if (track.claim == Claim::blank) {
      if (track.initialised || !settings_.fresh_witnesses.contains(id)) return false;
      any = true;
    } else if (track.claim != Claim::granted || track.shown->vote) {
      return false;
    }
  }
  if (!any) return false;
  if (others && !leapt_) {
    leap();
    return true;
  }
  for (auto& [id, track] : witnesses_) {
    if (track.claim != Claim::blank) continue;
    track.initialised = true;
    ask_claim(track, settings_.take_over, true);
  }
  return true;
}

// A register that was lost may have promised an epoch to a run that is still at work and would take the new register's
// votes for those of the old one. Such a run needs another witness too: one that has promised more than that epoch, and
// shows it, before the register is made again.
void Coordinator::leap() {
  leapt_ = true;
  epoch_.counter += kLeap;
  for (auto& [id, track] : witnesses_) ask_claim(track, settings_.take_over || track.taken_over, false);
}

// A claim that another host left open at a minority only is either dead or will be refused elsewhere: courtesy ends
// there.
bool Coordinator::take_over_minority() {
  const bool majority = majority_of(settings_.witnesses, [this](const std::string& id) { return granted(id); });
  bool asked = false;
  for (auto& [id, track] : witnesses_) {
    if (!majority || track.claim != WitnessTrack::Claim::busy || track.taken_over) continue;
    track.taken_over = true;
    ask_claim(track, true, false);
    asked = true;
  }
  return asked;
}

std::optional<model::Vote> Coordinator::best_vote() const {
  std::optional<model::Vote> best;
  for (const auto& [id, track] : witnesses_) {
    if (!granted(id) || !track.shown->vote) continue;
    if (!best || *best < *track.shown->vote) best = track.shown->vote;
  }
  return best;
}

void Coordinator::choose_best() {
  const auto best = best_vote();
  if (!best) {
    best_ = nullptr;
    conclude_claim();
    return;
  }
  if (const auto known = entries_.find(best->txn); known != entries_.end()) {
    best_ = known->second;
    adopt_best();
    return;
  }
  phase_ = Phase::fetching;
  fetch_tried_.clear();
  fetch_reasons_.clear();
  fetch_best();
}

void Coordinator::fetch_best() {
  const auto best = best_vote();
  assert(best);
  std::vector<std::string> holders;
  for (const auto& [id, track] : witnesses_) {
    if (!granted(id) || !track.shown->vote || track.shown->vote->txn != best->txn) continue;
    holders.push_back(id);
    if (!fetch_tried_.insert(id).second) continue;
    act(Pending{Pending::Kind::fetch, id, {}, best->txn}, action::Fetch{track.at, best->txn});
    return;
  }
  stop(Phase::failed,
       {Status::unavailable,
        "the record of version " + std::to_string(best->version) +
            " cannot be read from any witness that voted for it (" + listed(holders) + "): bring one of them back",
        fetch_reasons_});
}

void Coordinator::on_fetch(const std::string& witness, const Event& event) {
  if (phase_ != Phase::fetching) return;
  Result<EntryPtr> entry = wrong_answer();
  if (const auto* record = std::get_if<model::Record>(&event.reply)) entry = read_record(*record);
  if (const Error* error = error_of(event)) entry = *error;
  const auto best = best_vote();
  if (!entry || (*entry)->record.txn != best->txn || (*entry)->record.version != best->version) {
    const std::string reason = entry ? "it showed another record than it voted for" : entry.error().message;
    fetch_reasons_ += (fetch_reasons_.empty() ? "" : "\n") + witness + ": " + reason;
    fetch_best();
    return;
  }
  entries_[best->txn] = *entry;
  best_ = *entry;
  adopt_best();
}

// The best vote's record names the witnesses that decide. Any of them that was not asked yet is claimed, and then the
// choice is made again, because they may know a newer version.
void Coordinator::adopt_best() {
  phase_ = Phase::claiming;
  bool asked = false;
  for (const auto& set : deciding_sets(best_->state)) {
    for (const auto& witness : set) {
      if (witnesses_.contains(witness.id)) continue;
      WitnessTrack& track = witnesses_[witness.id];
      track.at = witness;
      ask_claim(track, settings_.take_over, false);
      asked = true;
    }
  }
  if (!asked) conclude_claim();
}

void Coordinator::conclude_claim() {
  auto sets = best_ ? deciding_sets(best_->state) : std::vector<std::vector<model::Witness>>{settings_.witnesses};
  for (const auto& set : sets) {
    if (!majority_of(set, [this](const std::string& id) { return granted(id); })) {
      refuse_run(set);
      return;
    }
  }
  if (!best_ && !all_granted()) return;
  if (settings_.forced) {
    if (best_) {
      stop(Phase::failed,
           {Status::conflict, "a witness of the new history has voted before: give each an id never used", {}});
      return;
    }
    best_ = settings_.forced;
  }
  Note note{epoch_.counter, {}, nullptr, false};
  for (const auto& [id, track] : witnesses_) {
    if (granted(id) && settings_.fresh_witnesses.contains(id)) note.initialised.push_back(id);
  }
  // Awaited only where something hangs on it.
  const auto kind = note.initialised.empty() ? Pending::Kind::note : Pending::Kind::initialised;
  act(Pending{kind, {}, {}, {}}, note);
  if (kind == Pending::Kind::note) go_on_from_claim();
}

// Where no vote is seen, a majority is not enough. A register that was lost may be made again by a claim that is still
// under way, and would promise less than the lost one had: two runs could each find a majority with it. When every run
// that begins the history has claimed all registers, any majority that votes holds one that was never lost, and that
// one shows the vote, or refuses it.
bool Coordinator::all_granted() {
  for (const auto& witness : settings_.witnesses) {
    if (granted(witness.id)) continue;
    const WitnessTrack& track = witnesses_.at(witness.id);
    stop(Phase::failed,
         {Status::unavailable,
          "witness " + witness.id + " cannot be asked; until the first version is decided every witness is needed: " +
              "bring it back, or take its table out of k4t.toml",
          track.why ? track.why->message : std::string()});
    return false;
  }
  return true;
}

void Coordinator::on_initialised(const Event& event) {
  if (const Error* error = error_of(event)) {
    const Error why = error->within("the master could not note which witnesses it has initialised");
    if (phase_ == Phase::joining) {
      drop(why);
    } else {
      stop(Phase::failed, why);
    }
  } else if (phase_ == Phase::joining) {
    start_preparing();
  } else {
    go_on_from_claim();
  }
}

void Coordinator::go_on_from_claim() {
  if (!best_) {
    observe_all();
    return;
  }
  const auto vote = best_vote();
  const auto sets = deciding_sets(best_->state);
  const bool decided = vote && std::all_of(sets.begin(), sets.end(), [&](const auto& set) {
                         return majority_of(set, [&](const std::string& id) {
                           return granted(id) && witnesses_.at(id).shown->vote == vote;
                         });
                       });
  if (!decided) {
    outcome_ = Outcome{Verdict::none, best_->record.version, best_->record.txn, {}, {}};
    start_voting(Phase::finishing, best_);
    return;
  }
  latest_ = best_;
  note_entry(latest_, true);
  observe_all();
}

void Coordinator::refuse_run(const std::vector<model::Witness>& set) {
  using Claim = WitnessTrack::Claim;
  std::vector<std::string> missing;
  std::string reasons;
  const WitnessTrack* winner = nullptr;
  const WitnessTrack* busy = nullptr;
  for (const auto& witness : set) {
    const WitnessTrack& track = witnesses_.at(witness.id);
    if (track.claim == Claim::granted) continue;
    missing.push_back(witness.id);
    if (track.why) reasons += (reasons.empty() ? "" : "\n") + witness.id + ": " + track.why->message;
    if (track.claim == Claim::refused && (!winner || winner->shown->promised < track.shown->promised)) winner = &track;
    if (track.claim == Claim::busy) busy = &track;
  }
  if (winner != nullptr) {
    stop(Phase::lost, {Status::conflict,
                       "another run is at work: " + describe_holder(winner->shown->holder) +
                           "; wait until it has ended and try again, or let `k4t status` tell what became of it",
                       reasons});
  } else if (busy != nullptr) {
    stop(Phase::failed, *busy->why);
  } else {
    stop(Phase::failed, {Status::unavailable,
                         "no majority of the " + std::to_string(set.size()) +
                             " witnesses can be asked; without an answer: " + listed(missing),
                         reasons});
  }
}

// New witnesses must all answer before they are named in a version: a wrong address must block nothing.
void Coordinator::settle_joining() {
  if (waits_for(Pending::Kind::claim)) return;
  Note note{epoch_.counter, {}, nullptr, false};
  std::optional<Error> objection;
  for (const auto& id : joining_) {
    const WitnessTrack& track = witnesses_.at(id);
    if (!granted(id)) {
      objection = Error{Status::unavailable, "the new witness " + id + " cannot be asked",
                        track.why ? track.why->message : std::string()};
    } else if (track.shown->vote) {
      objection = Error{Status::conflict, "the new witness " + id + " has voted before: give it an id never used", {}};
    }
    note.initialised.push_back(id);
  }
  if (objection) {
    for (const auto& id : joining_) {
      if (!granted(id)) witnesses_.erase(id);
    }
    drop(*objection);
  } else if (joining_.empty()) {
    start_preparing();
  } else {
    act(Pending{Pending::Kind::initialised, {}, {}, {}}, note);
  }
}

}  // namespace k4t::txn
