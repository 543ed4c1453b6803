#include "drivers/witness_rules.hpp"

#include <mutex>
#include <utility>

namespace k4t::drivers {
namespace {

/// How often a decision is made again because another master swapped first.
constexpr int kAttempts = 16;
/// Leaves room to count on: a damaged register must not use up all epochs.
constexpr std::uint64_t kHighestCounter = 1ULL << 62;

bool held_by_another_host(const model::WitnessRegister& now, const model::Epoch& epoch, const std::string& holder) {
  return now.open && now.promised.run != epoch.run && txn::holder_host(now.holder) != txn::holder_host(holder);
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

class RegisterWitness::Memory {
 public:
  [[nodiscard]] std::optional<Held> get() const {
    const std::scoped_lock lock(mutex_);
    return last_;
  }
  void set(Held held) {
    const std::scoped_lock lock(mutex_);
    last_ = std::move(held);
  }

 private:
  mutable std::mutex mutex_;
  std::optional<Held> last_;
};

RegisterWitness::RegisterWitness(std::string cluster, std::string id)
    : cluster_(std::move(cluster)), id_(std::move(id)), memory_(std::make_shared<Memory>()) {}

Error RegisterWitness::blank() const {
  return {
      Status::not_found, "there is no register at " + place() + ": this witness has forgotten what it promised", {}};
}

Result<RegisterWitness::Held> RegisterWitness::check(std::string text) const {
  K4T_ASSIGN(auto now, understand(text));
  if (now.cluster != cluster_ || now.id != id_ || now.promised.run.empty()) {
    return Error{Status::fatal,
                 place() + " is the register of witness '" + now.id + "' of cluster '" + now.cluster + "', not of '" +
                     id_ + "' of '" + cluster_ + "'",
                 {}};
  }
  if (now.promised.counter > kHighestCounter) {
    return Error{Status::fatal, place() + " promises an epoch that no run can have reached", {}};
  }
  return Held{std::move(text), std::move(now)};
}

Result<std::optional<RegisterWitness::Held>> RegisterWitness::look(const Patience& patience) {
  K4T_ASSIGN(auto text, read(patience));
  if (!text) return std::optional<Held>();
  K4T_ASSIGN(auto held, check(*std::move(text)));
  memory_->set(held);
  return std::optional<Held>(std::move(held));
}

Result<RegisterWitness::Decision> RegisterWitness::change(const Decide& decide, const Patience& patience) {
  std::optional<Held> held = memory_->get();
  bool is_fresh = !held;
  if (is_fresh) {
    K4T_ASSIGN(held, look(patience));
  }
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto decision = decide(held);
    if (!is_fresh && (!decision || !decision->writes)) {
      // Only a swap proves that what is remembered is still there.
      K4T_ASSIGN(held, look(patience));
      is_fresh = true;
      continue;
    }
    if (!decision || !decision->writes) return decision;
    auto swapped = swap(held, decision->now, decision->record, patience);
    if (swapped) {
      memory_->set({*std::move(swapped), decision->now});
      return decision;
    }
    if (swapped.status() != Status::conflict) return swapped.error();
    is_fresh = true;
    if (swapped.error().detail.empty()) {
      K4T_ASSIGN(held, look(patience));
    } else {
      K4T_ASSIGN(held, check(swapped.error().detail));
    }
  }
  return Error{Status::busy, "other masters keep changing " + place() + ": try again", {}};
}

Result<txn::WitnessAnswer> RegisterWitness::claim(const txn::ClaimRequest& request, const CallOptions& options) {
  const std::string holder = kept(request.holder);
  const auto decide = [&](const std::optional<Held>& held) -> Result<Decision> {
    if (!held && !request.initialise) return blank();
    Decision decision{true, true, {cluster_, id_, {}, {}, false, {}}, nullptr};
    if (held) decision.now = held->now;
    if (!request.take_over && held_by_another_host(decision.now, request.epoch, holder)) {
      return Error{Status::busy, "another host's claim is open: " + decision.now.holder + "; --take-over ends it", {}};
    }
    if (request.epoch < decision.now.promised) return Decision{false, false, decision.now, nullptr};
    decision.now.promised = request.epoch;
    decision.now.holder = holder;
    decision.now.open = true;
    return decision;
  };
  K4T_ASSIGN(const auto made, change(decide, Patience(options)));
  return txn::WitnessAnswer{made.granted, made.now};
}

Result<txn::WitnessAnswer> RegisterWitness::vote(const model::Epoch& epoch, const model::Record& record,
                                                 const CallOptions& options) {
  if (!is_txn(record.txn) || !model::is_authentic(record)) {
    return Error{Status::invalid_argument, "the record to vote for does not have the name of its content", {}};
  }
  const model::Vote vote{epoch, record.version, record.txn};
  const auto decide = [&](const std::optional<Held>& held) -> Result<Decision> {
    if (!held) return blank();
    Decision decision{true, true, held->now, &record};
    model::WitnessRegister& next = decision.now;
    const bool same_epoch = next.vote && next.vote->epoch == epoch;
    if (epoch < next.promised || (same_epoch && next.vote->version > vote.version)) {
      return Decision{false, false, next, nullptr};
    }
    if (same_epoch && next.vote->version == vote.version && next.vote->txn != vote.txn) {
      return Error{Status::fatal, "one run asked witness " + id_ + " to vote for two contents of one version", {}};
    }
    if (next.vote == vote) return Decision{true, false, next, nullptr};
    if (next.promised != epoch) {
      next.holder = kept("run " + epoch.run);  // it never claimed here, so that nobody said who it is
      next.open = false;
    }
    next.promised = epoch;
    next.vote = vote;
    return decision;
  };
  K4T_ASSIGN(const auto made, change(decide, Patience(options)));
  return txn::WitnessAnswer{made.granted, made.now};
}

Result<std::optional<model::WitnessRegister>> RegisterWitness::peek(const CallOptions& options) {
  K4T_ASSIGN(const auto held, look(Patience(options)));
  if (!held) return std::optional<model::WitnessRegister>();
  return std::optional<model::WitnessRegister>(held->now);
}

Result<void> RegisterWitness::close(const model::Epoch& epoch, const CallOptions& options) {
  const Patience patience(options);
  const auto decide = [&](const std::optional<Held>& held) -> Result<Decision> {
    if (!held) return blank();
    if (held->now.promised != epoch || !held->now.open) return Decision{false, false, held->now, nullptr};
    Decision decision{true, true, held->now, nullptr};
    decision.now.open = false;
    return decision;
  };
  K4T_ASSIGN(const auto made, change(decide, patience));
  if (made.writes) closed(made.now, patience);
  return {};
}

}  // namespace k4t::drivers
