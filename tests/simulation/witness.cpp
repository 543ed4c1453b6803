#include "witness.hpp"

#include <utility>

namespace k4t::simulation {

using txn::WitnessAnswer;

Witness::Witness(model::Witness at, bool made) : at_(std::move(at)) {
  if (made) make();
}

void Witness::make() {
  if (!held_) held_ = model::WitnessRegister{kCluster, at_.id, {0, "-"}, "", false, {}};
}

void Witness::restart() {
  if (unsynced_) held_ = synced_;
  unsynced_ = false;
}

void Witness::wipe() {
  held_.reset();
  if (!at_.dns) records_.clear();
  unsynced_ = false;
  wiped_ = true;
}

void Witness::store(const Config& config, const model::WitnessRegister& next, const txn::EntryPtr& record, bool cut) {
  const bool record_last = config.has(Mistake::record_after_vote);
  // A file brings its record with the register: a cut takes both or none. What is in DNS has its record elsewhere
  // before.
  const bool comes = at_.dns ? !config.has(Mistake::record_is_left_to_dns) : !cut;
  if (record && !record_last && comes) records_[record->record.txn] = record;
  if (config.has(Mistake::witness_answers_before_sync)) {
    synced_ = held_;
    unsynced_ = true;
  }
  if (!cut || record_last) held_ = next;
  if (cut && config.has(Mistake::witness_writes_in_place)) {
    held_ = next;
    held_->vote.reset();
  }
  if (record && record_last && !cut) records_[record->record.txn] = record;
}

Reply Witness::claim(const Config& config, const txn::ClaimRequest& request, bool cut) {
  if (!held_ && !request.initialise && !config.has(Mistake::blank_counts_as_fresh)) {
    return Error{Status::not_found, "blank", {}};
  }
  const bool was_blank = !held_;
  make();
  const bool foreign = held_->open && held_->promised.run != request.epoch.run &&
                       txn::holder_host(held_->holder) != txn::holder_host(request.holder);
  if (config.courtesy && foreign && !request.take_over) return Error{Status::busy, "another host's claim is open", {}};
  const bool refuses = request.epoch < held_->promised && !config.has(Mistake::promise_goes_back);
  if (refuses) return WitnessAnswer{false, *held_};
  model::WitnessRegister next = *held_;
  next.promised = request.epoch;
  next.holder = request.holder;
  next.open = config.courtesy;
  if (!config.has(Mistake::claim_is_not_kept)) {
    store(config, next, nullptr, cut);
    // A register that was being made when the power went is not there.
    if (cut && was_blank) held_.reset();
  }
  if (config.has(Mistake::claim_hides_the_vote)) next.vote.reset();
  return WitnessAnswer{true, next};
}

Reply Witness::vote(const Config& config, const model::Epoch& epoch, const txn::EntryPtr& entry, bool cut) {
  const model::Record& record = entry->record;
  if (!held_ && !config.has(Mistake::blank_counts_as_fresh)) return Error{Status::not_found, "blank", {}};
  make();
  const bool careless = config.has(Mistake::late_vote_overwrites);
  if (!careless && epoch < held_->promised) return WitnessAnswer{false, *held_};
  if (!careless && held_->vote && held_->vote->epoch == epoch) {
    const bool older = held_->vote->version > record.version && !config.has(Mistake::repeated_vote_overwrites);
    if (older) return WitnessAnswer{false, *held_};
    const bool twice = held_->vote->version == record.version && held_->vote->txn != record.txn;
    // With a shared epoch this very check is what saves a single witness; the clones meet at different ones.
    if (twice) return Error{Status::fatal, "two contents of one version", {}};
  }
  model::WitnessRegister next = *held_;
  if (next.promised != epoch) next.open = false;  // it never claimed here
  if (!config.has(Mistake::vote_does_not_promise)) next.promised = std::max(next.promised, epoch);
  if (!config.has(Mistake::witness_keeps_epoch_only)) next.vote = model::Vote{epoch, record.version, record.txn};
  store(config, next, entry, cut);
  return WitnessAnswer{true, next};
}

Reply Witness::fetch(const std::string& txn) const {
  const auto found = records_.find(txn);
  if (found == records_.end()) return Error{Status::not_found, "no such record", {}};
  return found->second->record;
}

Reply Witness::close(const Config& config, const model::Epoch& epoch, bool cut) {
  if (!held_) return Error{Status::not_found, "blank", {}};
  if (held_->promised != epoch || !held_->open) return txn::Done{};
  model::WitnessRegister next = *held_;
  next.open = false;
  store(config, next, nullptr, cut);
  return txn::Done{};
}

void Witness::hash_into(Hash& hash) const {
  hash << held_ << wiped_ << unsynced_;
  if (unsynced_) hash << synced_;
  for (const auto& [txn, entry] : records_) hash << txn;
}

}  // namespace k4t::simulation
