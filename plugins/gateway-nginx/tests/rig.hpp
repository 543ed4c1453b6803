#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "nginx_driver.hpp"
#include "raw_client.hpp"
#include "support/nginx_server.hpp"

namespace k4t::nginx::testing {

using k4t::testing::eventually;
using k4t::testing::free_port;
using k4t::testing::NginxServer;
using k4t::testing::Scratch;

/// A gateway nginx, an nginx whose servers are the endpoints, and a driver that is called the way the master does.
class Rig : public ::testing::Test {
 protected:
  void SetUp() override;

  /// The driver as a master that just started would open it.
  std::unique_ptr<gateway::Driver> open(Json more_options = Json::object()) const;

  /// An endpoint that answers `body` (nginx variables allowed) to every request.
  gateway::Endpoint serve(const std::string& body);

  /// The next target: a version and a txn of its own.
  Register next();

  /// One HTTP listener on port_, any host, any path.
  [[nodiscard]] gateway::State web(const std::vector<gateway::Endpoint>& endpoints) const;

  Result<Nothing> prepare(const std::optional<Register>& seen, const Register& target, const gateway::State& state);
  Result<CommitReply> commit(const std::optional<Register>& seen, const Register& target);
  Result<Observation> observe();
  /// From what is stored to `state`, with every verb successful.
  Register deploy(const gateway::State& state);

  Scratch scratch_;
  NginxServer nginx_{scratch_, "gateway"};
  NginxServer endpoints_{scratch_, "endpoints"};
  std::uint16_t port_ = free_port();
  std::uint16_t status_port_ = free_port();
  std::unique_ptr<gateway::Driver> driver_;
  std::optional<Register> seen_;

 private:
  std::string endpoint_servers_;
  std::uint64_t version_ = 0;
};

/// The message and the detail of a failure, or "ok".
template <class T>
std::string text_of(const Result<T>& result) {
  return result
             ? "ok"
             : std::string(to_string(result.status())) + ": " + result.error().message + "\n" + result.error().detail;
}

#define EXPECT_OK(EXPR)                                                           \
  do {                                                                            \
    const auto k4t_outcome = (EXPR);                                              \
    EXPECT_TRUE(k4t_outcome.ok()) << ::k4t::nginx::testing::text_of(k4t_outcome); \
  } while (false)

}  // namespace k4t::nginx::testing
