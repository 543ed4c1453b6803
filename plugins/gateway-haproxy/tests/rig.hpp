#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "haproxy_driver.hpp"
#include "support/haproxy_server.hpp"
#include "support/http_peers.hpp"

namespace k4t::haproxy::testing {

using k4t::testing::Answer;
using k4t::testing::ask;
using k4t::testing::Connection;
using k4t::testing::eventually;
using k4t::testing::free_port;
using k4t::testing::HaproxyServer;
using k4t::testing::Scratch;
using PeerEndpoint = k4t::testing::Endpoint;

/// The local machine, on which k4t's program does something else at one of its steps.
class SteppedHost;

void expect_at(const Result<Observation>& seen, const Register& at);

/// A HAProxy and a driver that is called the way the master does.
class Rig : public ::testing::Test {
 protected:
  void SetUp() override;

  [[nodiscard]] OpenRequest open_request() const;
  [[nodiscard]] Paths paths() const;
  /// The driver as a master that just started would open it.
  [[nodiscard]] std::unique_ptr<gateway::Driver> open() const;
  /// A driver whose program on the host runs this Perl code at the step of this name.
  [[nodiscard]] std::unique_ptr<gateway::Driver> open_with_step(const std::string& step, const std::string& code) const;

  /// The next target: a version and a txn of its own.
  Register next();
  /// One HTTP listener on port_, any host, any path.
  [[nodiscard]] gateway::State web(const std::vector<const PeerEndpoint*>& endpoints) const;

  Result<Nothing> prepare(const std::optional<Register>& seen, const Register& target, const gateway::State& state);
  Result<CommitReply> commit(const std::optional<Register>& seen, const Register& target);
  Result<Observation> observe();
  Result<Nothing> abort(const std::string& txn);
  std::uint64_t connections(const PeerEndpoint& endpoint);
  /// From what is stored to `state`, with every verb successful.
  Register deploy(const gateway::State& state);

  Scratch scratch_;
  HaproxyServer haproxy_{scratch_, "gateway"};
  std::uint16_t port_ = free_port();
  std::unique_ptr<gateway::Driver> driver_;
  std::optional<Register> seen_;

 private:
  std::uint64_t version_ = 0;
};

gateway::Endpoint endpoint_of(const PeerEndpoint& peer, const std::string& address = "127.0.0.1");

/// The message and the detail of a failure, or "ok".
template <class T>
std::string text_of(const Result<T>& result) {
  if (result) return "ok";
  return std::string(to_string(result.status())) + ": " + result.error().message + "\n" + result.error().detail;
}

#define EXPECT_OK(EXPR)                                                             \
  do {                                                                              \
    const auto k4t_outcome = (EXPR);                                                \
    EXPECT_TRUE(k4t_outcome.ok()) << ::k4t::haproxy::testing::text_of(k4t_outcome); \
  } while (false)

#define EXPECT_STATUS(EXPR, STATUS)                                                                          \
  do {                                                                                                       \
    const auto k4t_outcome = (EXPR);                                                                         \
    EXPECT_EQ(k4t_outcome.status(), ::k4t::Status::STATUS) << ::k4t::haproxy::testing::text_of(k4t_outcome); \
  } while (false)

}  // namespace k4t::haproxy::testing
