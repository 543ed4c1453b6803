#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "fakes/faults.hpp"
#include "k4t/dns.hpp"
#include "k4t/gateway.hpp"

namespace k4t::fakes {

/// A participant in memory that obeys the contract of k4t/participant.hpp. Thread-safe through the world's mutex.
template <class State>
class Participant {
 public:
  /// `mutex` and `changed` are the world's; `changed` is called with the mutex held after every effect.
  Participant(std::mutex& mutex, std::function<void()> changed) : mutex_(mutex), changed_(std::move(changed)) {}

  Faults faults;

  Result<Observation> observe(const k4t::ObserveRequest<State>& request, Call& call) {
    return faults.serve("observe", call, [&]() -> Result<Observation> {
      const std::scoped_lock lock(mutex_);
      Observation seen{held, held, Content::unknown, false, {}, {}};
      if (held) seen.content = drifted ? Content::drifted : Content::clean;
      if (request.expected && held && held->txn == request.expected->at.txn && !(state == request.expected->state)) {
        seen.content = Content::drifted;
      }
      for (const auto& [txn, content] : staged) seen.staged.push_back(txn);
      return seen;
    });
  }

  Result<Nothing> prepare(const k4t::PrepareRequest<State>& request, Call& call) {
    return faults.serve("prepare", call, [&]() -> Result<Nothing> {
      const std::scoped_lock lock(mutex_);
      if (held != request.seen) return Error{Status::conflict, "another register", {}};
      staged[request.target.txn] = request.state;
      changed_();
      return Nothing{};
    });
  }

  Result<CommitReply> commit(const CommitRequest& request, Call& call) {
    return faults.serve("commit", call, [&]() -> Result<CommitReply> {
      const std::scoped_lock lock(mutex_);
      if (held && held->txn == request.target.txn && !drifted) return CommitReply{"served before"};
      if (held != request.seen) return Error{Status::conflict, "another register", {}};
      const auto found = staged.find(request.target.txn);
      if (found == staged.end()) return Error{Status::not_found, "not staged", {}};
      held = request.target;
      state = std::move(found->second);
      staged.clear();
      drifted = false;
      changed_();
      return CommitReply{"served"};
    });
  }

  Result<Nothing> abort(const AbortRequest& request, Call& call) {
    return faults.serve("abort", call, [&]() -> Result<Nothing> {
      const std::scoped_lock lock(mutex_);
      staged.erase(request.txn);
      changed_();
      return Nothing{};
    });
  }

  [[nodiscard]] Json saved() const { return Json{{"held", held ? Json(*held) : Json()}, {"state", state}}; }
  void load(const Json& json) {
    held.reset();
    if (!json.at("held").is_null()) held = *decode<Register>(json.at("held"));
    state = *decode<State>(json.at("state"));
  }

  // Behind the world's mutex while calls go on.
  std::optional<Register> held;
  State state;
  bool drifted = false;
  std::map<std::string, State> staged;

 private:
  std::mutex& mutex_;
  std::function<void()> changed_;
};

class Gateway final : public gateway::Driver {
 public:
  Gateway(std::mutex& mutex, std::function<void()> changed) : mutex_(mutex), member(mutex, std::move(changed)) {}
  Result<Observation> observe(const gateway::ObserveRequest& request, Call& call) override {
    return member.observe(request, call);
  }
  Result<Nothing> prepare(const gateway::PrepareRequest& request, Call& call) override {
    return member.prepare(request, call);
  }
  Result<CommitReply> commit(const CommitRequest& request, Call& call) override { return member.commit(request, call); }
  Result<Nothing> abort(const AbortRequest& request, Call& call) override { return member.abort(request, call); }
  Result<gateway::ConnectionsReply> connections(const gateway::ConnectionsRequest& request, Call& call) override {
    return member.faults.serve("connections", call, [&]() -> Result<gateway::ConnectionsReply> {
      const std::scoped_lock lock(mutex_);
      gateway::ConnectionsReply reply;
      for (const auto& endpoint : request.endpoints) reply.counts.push_back({endpoint, held_connections});
      if (held_connections > 0 && looks_until_idle > 0 && --looks_until_idle == 0) held_connections = 0;
      return reply;
    });
  }

 private:
  std::mutex& mutex_;

 public:
  Participant<gateway::State> member;
  std::uint64_t held_connections = 0;  ///< to each endpoint
  unsigned looks_until_idle = 0;       ///< how often they are still counted; 0: they stay
};

class Dns final : public dns::Driver {
 public:
  Dns(std::mutex& mutex, std::function<void()> changed) : mutex_(mutex), member(mutex, std::move(changed)) {}
  Result<Observation> observe(const dns::ObserveRequest& request, Call& call) override {
    return member.observe(request, call);
  }
  Result<Nothing> prepare(const dns::PrepareRequest& request, Call& call) override {
    return member.prepare(request, call);
  }
  Result<CommitReply> commit(const CommitRequest& request, Call& call) override { return member.commit(request, call); }
  Result<Nothing> abort(const AbortRequest& request, Call& call) override { return member.abort(request, call); }

  Result<dns::WitnessValue> witness_read(const dns::WitnessReadRequest& request, Call& call) override {
    return member.faults.serve("witness_read", call, [&]() -> Result<dns::WitnessValue> {
      const std::scoped_lock lock(mutex_);
      const auto found = witness_texts.find(request.id);
      return dns::WitnessValue{found == witness_texts.end() ? std::nullopt : std::optional(found->second)};
    });
  }
  Result<Nothing> witness_swap(const dns::WitnessSwapRequest& request, Call& call) override {
    return member.faults.serve("witness_swap", call, [&]() -> Result<Nothing> {
      const std::scoped_lock lock(mutex_);
      const auto found = witness_texts.find(request.id);
      const auto now = found == witness_texts.end() ? std::nullopt : std::optional(found->second);
      if (now != request.expected) return Error{Status::conflict, "another text", {}};
      witness_texts[request.id] = request.text.value();
      return Nothing{};
    });
  }

 private:
  std::mutex& mutex_;

 public:
  Participant<dns::State> member;
  std::map<std::string, std::string> witness_texts;  ///< by witness id; behind the world's mutex while calls go on
};

}  // namespace k4t::fakes
