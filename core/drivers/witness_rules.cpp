#include "drivers/witness_rules.hpp"

#include <algorithm>
#include <utility>

namespace k4t::drivers {
namespace {

/// How often a decision is made again because another master swapped first.
constexpr int kAttempts = 16;
/// Leaves room to count on: a damaged register must not use up all epochs.
constexpr std::uint64_t kHighestCounter = 1ULL << 62;

bool held_by_another_host(const model::WitnessRegister& now, const txn::ClaimRequest& request) {
  return now.open && now.promised.run != request.epoch.run &&
         txn::holder_host(now.holder) != txn::holder_host(request.holder);
}

}  // namespace

std::chrono::milliseconds Patience::left() const {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

transport::Limits Patience::limits() const {
  transport::Limits limits;
  limits.timeout = left();
  if (sink_ != nullptr) limits.cancelled = [sink = sink_] { return sink->cancelled(); };
  return limits;
}

Result<void> Patience::check(const std::string& place) const {
  if (std::chrono::steady_clock::now() < until_ && (sink_ == nullptr || !sink_->cancelled())) return {};
  return Error{Status::deadline, "no time was left for the witness at " + place, {}};
}

Error RegisterWitness::blank() const {
  return {
      Status::not_found, "there is no register at " + place() + ": this witness has forgotten what it promised", {}};
}

Error RegisterWitness::out_of_attempts() const {
  return {Status::busy, "other masters keep changing " + place() + ": try again", {}};
}

Result<std::optional<RegisterWitness::Held>> RegisterWitness::read_own(const Patience& patience) {
  K4T_ASSIGN(auto held, read(patience));
  if (!held) return held;
  const auto& now = held->now;
  if (now.cluster != cluster_ || now.id != id_ || now.promised.run.empty()) {
    return Error{Status::fatal,
                 place() + " is the register of witness '" + now.id + "' of cluster '" + now.cluster + "', not of '" +
                     id_ + "' of '" + cluster_ + "'",
                 {}};
  }
  if (now.promised.counter > kHighestCounter) {
    return Error{Status::fatal, place() + " promises an epoch that no run can have reached", {}};
  }
  return held;
}

Result<txn::WitnessAnswer> RegisterWitness::claim(const txn::ClaimRequest& request, const CallOptions& options) {
  const Patience patience(options);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    K4T_ASSIGN(const auto held, read_own(patience));
    if (!held && !request.initialise) return blank();
    model::WitnessRegister next{cluster_, id_, {}, {}, false, {}};
    if (held) {
      next = held->now;
      if (!request.take_over && held_by_another_host(next, request)) {
        return Error{Status::busy, "another host's claim is open: " + next.holder + "; --take-over ends it", {}};
      }
      if (request.epoch < next.promised) return txn::WitnessAnswer{false, next};
    }
    next.promised = request.epoch;
    next.holder = request.holder;
    next.open = true;
    const auto swapped = swap(held, next, nullptr, patience);
    if (swapped) return txn::WitnessAnswer{true, next};
    if (swapped.status() != Status::conflict) return swapped.error();
  }
  return out_of_attempts();
}

Result<txn::WitnessAnswer> RegisterWitness::vote(const model::Epoch& epoch, const model::Record& record,
                                                 const CallOptions& options) {
  const Patience patience(options);
  if (!is_txn(record.txn) || !model::is_authentic(record)) {
    return Error{Status::invalid_argument, "the record to vote for does not have the name of its content", {}};
  }
  const model::Vote vote{epoch, record.version, record.txn};
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    K4T_ASSIGN(const auto held, read_own(patience));
    if (!held) return blank();
    model::WitnessRegister next = held->now;
    const bool same_epoch = next.vote && next.vote->epoch == epoch;
    if (epoch < next.promised || (same_epoch && next.vote->version > vote.version)) {
      return txn::WitnessAnswer{false, next};
    }
    if (same_epoch && next.vote->version == vote.version && next.vote->txn != vote.txn) {
      return Error{Status::fatal, "one run asked witness " + id_ + " to vote for two contents of one version", {}};
    }
    if (next.vote == vote) return txn::WitnessAnswer{true, next};
    if (next.promised != epoch) {
      next.holder = "run " + epoch.run;  // it never claimed here, so that nobody said who it is
      next.open = false;
    }
    next.promised = epoch;
    next.vote = vote;
    const auto swapped = swap(held, next, &record, patience);
    if (swapped) return txn::WitnessAnswer{true, next};
    if (swapped.status() != Status::conflict) return swapped.error();
  }
  return out_of_attempts();
}

Result<std::optional<model::WitnessRegister>> RegisterWitness::peek(const CallOptions& options) {
  K4T_ASSIGN(const auto held, read_own(Patience(options)));
  if (!held) return std::optional<model::WitnessRegister>();
  return std::optional<model::WitnessRegister>(held->now);
}

Result<void> RegisterWitness::close(const model::Epoch& epoch, const CallOptions& options) {
  const Patience patience(options);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    K4T_ASSIGN(const auto held, read_own(patience));
    if (!held) return blank();
    if (held->now.promised != epoch || !held->now.open) return {};
    model::WitnessRegister next = held->now;
    next.open = false;
    const auto swapped = swap(held, next, nullptr, patience);
    if (swapped) {
      closed(next, patience);
      return {};
    }
    if (swapped.status() != Status::conflict) return swapped.error();
  }
  return out_of_attempts();
}

}  // namespace k4t::drivers
