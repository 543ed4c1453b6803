#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "k4t/dns.hpp"

/// What the tests of all DNS drivers need: a driver as the core uses it, and states for the domain k4t.example.net.

namespace k4t::testing {

/// A driver handle: JSON in, JSON out.
class DnsHandle {
 public:
  using Open = Result<std::unique_ptr<dns::Driver>>(const OpenRequest&, Call&);

  /// Throws std::runtime_error with the driver's message where it refuses to open.
  DnsHandle(Open& open, const std::string& address, const Json& options) {
    const OpenRequest request{"test", suffix, "dns1", address, options};
    const HostCall host{CallOptions{}};
    Call call(*host.raw());
    auto opened = open(request, call);
    if (!opened) throw std::runtime_error(opened.error().message);
    driver_ = std::move(opened).value();
    callee_ = std::make_unique<DirectCallee<dns::Kind>>(*driver_);
  }

  template <class M>
  Result<typename M::Reply> call(const typename M::Request& request, CallSink* sink = nullptr) {
    return invoke<M>(*callee_, request, CallOptions{std::chrono::seconds(20), sink});
  }

  Result<Observation> observe(const std::optional<Expected<dns::State>>& expected = {}) {
    return call<dns::method::Observe>({expected});
  }
  Result<Nothing> prepare(const std::optional<Register>& seen, const Register& target, const dns::State& state,
                          const std::optional<dns::State>& base = {}) {
    return call<dns::method::Prepare>({seen, target, state, base});
  }
  Result<CommitReply> commit(const std::optional<Register>& seen, const Register& target, CallSink* sink = nullptr) {
    return call<dns::method::Commit>({seen, target}, sink);
  }
  Result<Nothing> abort(const std::string& txn) { return call<dns::method::Abort>({txn}); }

  /// Prepare and commit, both of which must succeed.
  void put(const std::optional<Register>& seen, const Register& target, const dns::State& state,
           const std::optional<dns::State>& base = {}) {
    const auto prepared = prepare(seen, target, state, base);
    ASSERT_TRUE(prepared) << prepared.error().message << " / " << prepared.error().detail;
    const auto committed = commit(seen, target);
    ASSERT_TRUE(committed) << committed.error().message << " / " << committed.error().detail;
  }

  [[nodiscard]] Callee& callee() const { return *callee_; }

  static constexpr const char* suffix = "k4t.example.net";

 private:
  std::unique_ptr<dns::Driver> driver_;
  std::unique_ptr<Callee> callee_;
};

/// A handle behind the interface that the conformance suite asks for.
template <class Handle>
class OwningCallee final : public Callee {
 public:
  explicit OwningCallee(Handle handle) : handle_(std::move(handle)) {}
  Result<Json> call(std::string_view method, const JsonText& request, const CallOptions& options) override {
    return handle_.callee().call(method, request, options);
  }

 private:
  Handle handle_;
};

/// Gives up after so many messages of a commit, as if the process had died there.
class DiesAfter final : public CallSink {
 public:
  explicit DiesAfter(int messages) : messages_left_(messages) {}
  bool cancelled() override { return messages_left_ <= 0; }
  void progress(const Progress& progress) override {
    total = progress.total;
    --messages_left_;
  }
  std::uint64_t total = 0;

 private:
  int messages_left_;
};

inline Register at_version(std::uint64_t version, const std::string& writer = "run0.1") {
  std::string txn = std::to_string(version);
  txn.insert(0, 32 - txn.size(), 'a');
  return {"test", version, txn, writer};
}

inline dns::RecordSet a_record(const std::string& label, std::vector<std::string> addresses, std::uint32_t ttl_s = 5) {
  return {label + "." + DnsHandle::suffix, dns::Type::a, ttl_s, std::move(addresses)};
}

inline dns::State state_of(std::vector<dns::RecordSet> records) { return {DnsHandle::suffix, std::move(records)}; }

/// So many names, all of which differ between two versions of different parity; half of them also in whether they
/// exist.
inline dns::State large_state(std::uint64_t version, int names = 1000) {
  std::vector<dns::RecordSet> records;
  for (int i = 0; i < names; ++i) {
    const std::string label = (i % 2 == 0 ? "h" : version % 2 == 0 ? "x" : "y") + std::to_string(1000 + i);
    records.push_back(a_record(label, {"192.0.2." + std::to_string(version % 200)}));
  }
  std::sort(records.begin(), records.end());
  return state_of(std::move(records));
}

}  // namespace k4t::testing
