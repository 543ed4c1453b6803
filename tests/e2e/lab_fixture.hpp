#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "lab/cluster.hpp"

namespace k4t::testing::lab {

/// Cases about one cluster of machines. It is costly, so that all of a program share it; each case leaves every machine
/// on the wire and every member current.
class LabCluster : public ::testing::Test {
 protected:
  static void TearDownTestSuite() { shared.reset(); }

  void SetUp() override { set_up({}); }
  static void set_up(const ClusterOptions& options) {
    if (const auto why = Cluster::missing(options); !why.empty()) K4T_SKIP_OR_FAIL(why);
    if (shared == nullptr) shared = std::make_unique<Cluster>(options);
  }

  static Cluster& cluster() { return *shared; }
  static std::string gateway(unsigned number) { return cluster()["gw" + std::to_string(number)].address(); }

  /// Both gateways answer with that greeting.
  static void expect_greeting(const std::string& greeting) {
    for (const unsigned number : {1u, 2u}) EXPECT_EQ(cluster().ask(gateway(number), 80, "web", greeting), "") << number;
  }

  static void deploy(unsigned replicas, const std::string& greeting, int expected_exit_code = 0) {
    cluster().web(replicas, greeting);
    const auto applied = cluster().apply();
    EXPECT_EQ(applied.exit_code, expected_exit_code) << applied.out << applied.err;
  }
  /// Runs a command that must end so.
  static Cluster::Command k4t(const std::vector<std::string>& arguments, int expected_exit_code = 0) {
    auto command = cluster().k4t(arguments);
    EXPECT_EQ(command.exit_code, expected_exit_code) << arguments.front() << ' ' << arguments.back() << '\n'
                                                     << command.out << command.err;
    return command;
  }

  static inline std::unique_ptr<Cluster> shared;
};

}  // namespace k4t::testing::lab
