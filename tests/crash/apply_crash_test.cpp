#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <set>

#include "support/real_cluster.hpp"

/// Invariant 3: killed anywhere, the next command leaves either the state before or the state after.

namespace k4t::testing {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// What a cluster serves: the same for all members, or the test fails.
struct Served {
  int version = 0;
  std::string greeting;
};

class ApplyCrash : public ::testing::Test {
 protected:
  void SetUp() override {
    K4T_REQUIRE_CLUSTER();
    cluster_ = std::make_unique<RealCluster>();
    want("g0");
    const auto applied = cluster_->apply();
    ASSERT_EQ(applied.exit_code, 0) << applied.out << applied.err;
  }

  void want(const std::string& greeting) { cluster_->web(1, greeting); }

  Served served(const std::string& where) {
    std::set<int> versions;
    for (const auto& [member, version] : cluster_->served_versions()) versions.insert(version);
    EXPECT_EQ(versions.size(), 1u) << where << ": the members serve different versions";
    const auto nginx = cluster_->get(RealCluster::nginx_address, "web");
    const auto haproxy = cluster_->get(RealCluster::haproxy_address, "web");
    EXPECT_EQ(nginx.status, 200) << where;
    EXPECT_EQ(nginx.body, haproxy.body) << where;
    return {versions.empty() ? -1 : *versions.begin(), nginx.body.substr(0, nginx.body.find(' '))};
  }

  std::unique_ptr<RealCluster> cluster_;
};

TEST_F(ApplyCrash, KilledAtEveryStepTheNextStatusLeavesTheStateBeforeOrAfter) {
  // How many steps there are is counted in an apply of the same kind; every later one is killed at one of them.
  const auto steps_file = cluster_->folder() / "steps.txt";
  want("g1");
  ASSERT_EQ(cluster_->apply({{"K4T_STEPS_FILE", steps_file.string()}}).exit_code, 0);
  const auto steps = lines_of(Scratch::read(steps_file));
  ASSERT_GT(steps.size(), 20u) << "an apply has durable writes and driver calls";

  std::string before = "g1";
  int version = served("at the start").version;
  int befores = 0;
  int afters = 0;
  for (std::size_t at = 1; at <= steps.size(); ++at) {
    const std::string where = "killed at step " + std::to_string(at) + ", " + steps[at - 1];
    const std::string after = "k" + std::to_string(at);
    want(after);
    const auto killed = cluster_->apply({{"K4T_KILL_AT_STEP", std::to_string(at)}});
    ASSERT_EQ(killed.exit_code, 128 + SIGKILL) << where << killed.out << killed.err;
    const auto status = cluster_->k4t({"status"});
    EXPECT_EQ(status.exit_code, 0) << where << "\n" << status.out << status.err;
    const auto now = served(where);
    EXPECT_TRUE((now.greeting == before && now.version == version) ||
                (now.greeting == after && now.version == version + 1))
        << where << ": version " << now.version << " with " << now.greeting << " after version " << version << " with "
        << before;
    EXPECT_EQ(cluster_->k4t({"ps", "-o", "json"}).json().size(), 1u) << where << ": instances are left over or lost";
    ++(now.greeting == after ? afters : befores);
    before = now.greeting;
    version = now.version;
    if (HasFailure()) return;
  }
  std::printf("%zu steps killed: %d times the state before, %d times the state after\n", steps.size(), befores, afters);
  EXPECT_GT(befores, 0);
  EXPECT_GT(afters, 0);
}

}  // namespace
}  // namespace k4t::testing
