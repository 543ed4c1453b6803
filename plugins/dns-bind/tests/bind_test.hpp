#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "bind_driver.hpp"
#include "support/bind_server.hpp"

namespace k4t::dns_bind {

/// A driver handle as the core uses it: JSON in, JSON out.
class Handle {
 public:
  Handle(const std::string& address, std::uint16_t port, const Json& options) {
    OpenRequest request{"test", suffix, "dns1", address, {{"port", port}, {"zone", "example.net"}}};
    request.options.update(options);
    HostCall host{CallOptions{}};
    Call call(*host.raw());
    auto opened = open(request, call);
    if (!opened) throw std::runtime_error(opened.error().message);
    driver_ = std::move(opened).value();
    callee_ = std::make_unique<DirectCallee<dns::Kind>>(*driver_);
  }

  explicit Handle(const testing::BindServer& server, const Json& options = Json::object())
      : Handle(server.address(), server.port(), with_key(options, server.key_file())) {}

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
  static Json with_key(Json options, const std::string& file) {
    if (!options.contains("key_file")) options["key_file"] = file;
    return options;
  }

  std::unique_ptr<dns::Driver> driver_;
  std::unique_ptr<Callee> callee_;
};

inline Register at_version(std::uint64_t version, const std::string& writer = "run0.1") {
  std::string txn = std::to_string(version);
  txn.insert(0, 32 - txn.size(), 'a');
  return {"test", version, txn, writer};
}

inline dns::RecordSet a_record(const std::string& label, std::vector<std::string> addresses, std::uint32_t ttl_s = 5) {
  return {label + "." + Handle::suffix, dns::Type::a, ttl_s, std::move(addresses)};
}

inline dns::State state_of(std::vector<dns::RecordSet> records) { return {Handle::suffix, std::move(records)}; }

}  // namespace k4t::dns_bind
