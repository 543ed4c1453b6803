#include "lab_fixture.hpp"

#include <algorithm>
#include <set>
#include <sstream>

/// Machines with Docker are emptied, die and return, and services grow and shrink, while clients on another machine go
/// on asking through both gateways.

namespace k4t::testing::lab {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::SizeIs;

class LabNodes : public LabCluster {
 protected:
  /// What Docker itself says of containers on nodes, stopped ones included: id, when it was started last, its name.
  static std::vector<std::string> containers(const std::vector<std::string>& nodes) {
    std::vector<std::string> lines;
    for (const auto& node : nodes) {
      std::istringstream out(cluster()[node].must(
          {"sh", "-c",
           "docker ps --all --quiet | xargs -r docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.Name}}'"}));
      for (std::string line; std::getline(out, line);) lines.push_back(line);
    }
    return lines;
  }
  /// Of such lines the instances, as they call themselves.
  static std::set<std::string> instances(const std::vector<std::string>& lines) {
    std::set<std::string> all;
    for (const auto& line : lines) all.insert(line.substr(line.rfind('-') + 1));
    return all;
  }
  static std::string state(const std::string& node) {
    return k4t({"node", "show", node, "-o", "json"}).json().at("state");
  }
  /// Through each gateway, exactly these instances answer.
  static void expect_answering(const std::set<std::string>& expected) {
    for (const unsigned number : {1u, 2u}) {
      EXPECT_EQ(cluster().answering(gateway(number), 80, "web", 40), expected) << number;
    }
  }
};

TEST_F(LabNodes, ADrainLosesNoRequestAndNeverLeavesFewerInstancesThanWanted) {
  deploy(4, "drained");
  ASSERT_THAT(containers({"n2"}), Not(IsEmpty()));
  const auto load = cluster().load("web");
  const auto watch = cluster().watch("web", 4, {"n2", "n1", "n3"});
  const auto before = containers({"n1", "n3"});
  const auto drained = k4t({"node", "drain", "n2", "--yes", "--why", "new disks"});
  EXPECT_THAT(drained.out, HasSubstr("~ n2: draining (new disks)"));
  EXPECT_EQ(disturbance(load), "");
  EXPECT_EQ(disturbance(*watch), "");
  EXPECT_THAT(containers({"n2"}), IsEmpty());
  const auto after = containers({"n1", "n3"});
  EXPECT_THAT(after, SizeIs(4));
  EXPECT_THAT(after, IsSupersetOf(before)) << "none of those is started anew";
  EXPECT_EQ(state("n2"), "drained");
  expect_answering(instances(after));
  k4t({"node", "uncordon", "n2"});
  EXPECT_EQ(state("n2"), "ready");
}

TEST_F(LabNodes, ScalingUpAndDownLosesNoRequest) {
  deploy(3, "scaled");
  const auto load = cluster().load("web");
  const auto watch = cluster().watch("web", 3, {"n1", "n2", "n3"});
  const auto before = containers({"n1", "n2", "n3"});
  deploy(6, "scaled");
  const auto grown = containers({"n1", "n2", "n3"});
  EXPECT_THAT(grown, SizeIs(6));
  EXPECT_THAT(grown, IsSupersetOf(before));
  expect_answering(instances(grown));
  deploy(4, "scaled");
  const auto shrunk = containers({"n1", "n2", "n3"});
  EXPECT_THAT(shrunk, SizeIs(4));
  EXPECT_THAT(grown, IsSupersetOf(shrunk));
  expect_answering(instances(shrunk));
  EXPECT_EQ(disturbance(load), "");
  EXPECT_EQ(disturbance(*watch), "");
}

// n1 holds a witness too, so that the repair is decided by the others.
TEST_F(LabNodes, WhatAKilledNodeRanIsPlacedOnTheOthersAndTidiedUpWhenItReturns) {
  deploy(4, "repaired");
  const auto lost = instances(containers({"n1"}));
  ASSERT_THAT(lost, Not(IsEmpty()));
  const auto kept = containers({"n2", "n3"});
  const auto struck = cluster().load("web");
  cluster()["n1"].power_off();
  EXPECT_THAT(cluster().apply().out, HasSubstr("Nothing to do.")) << "unknown is never empty";
  for (const auto& client : struck) {
    client->end();
    EXPECT_LE(client->failed(), 1u) << "only what was under way there is lost: " << client->first_failure();
  }

  // Long before any repair the gateways have learnt to do without it.
  const auto load = cluster().load("web");
  const auto repaired = k4t({"repair", "--yes", "--why", "fire"});
  EXPECT_THAT(repaired.out, HasSubstr("(its node is lost)"));
  const auto after = containers({"n2", "n3"});
  EXPECT_THAT(after, SizeIs(4));
  EXPECT_THAT(after, IsSupersetOf(kept)) << "the healthy ones go on";
  expect_answering(instances(after));

  // Docker starts there again what it ran.
  cluster()["n1"].power_on();
  ASSERT_TRUE(eventually([&] { return cluster().k4t({"ps", "-o", "json"}).json().size() == 4 + lost.size(); }));
  expect_answering(instances(after));
  EXPECT_EQ(state("n1"), "returned");
  EXPECT_THAT(cluster().apply().out, HasSubstr("its node was lost and has returned"));
  EXPECT_THAT(containers({"n1"}), IsEmpty());
  EXPECT_EQ(containers({"n2", "n3"}), after) << "nothing is doubled, nothing is started anew";
  EXPECT_EQ(state("n1"), "ready");
  EXPECT_EQ(disturbance(load), "");
}

TEST_F(LabNodes, ANodeThatIsBackBeforeAnybodyActedGoesOnWithWhatItRan) {
  deploy(4, "back");
  const auto others = containers({"n1", "n3"});
  const auto its = instances(containers({"n2"}));
  ASSERT_THAT(its, Not(IsEmpty()));
  cluster()["n2"].power_off();
  cluster()["n2"].power_on();
  const auto runs = [](const Json& instance) { return instance.at("phase") == "running"; };
  ASSERT_TRUE(eventually([&] {
    const Json all = cluster().k4t({"ps", "-o", "json"}).json();
    return all.size() == 4 && std::all_of(all.begin(), all.end(), runs);
  }));
  EXPECT_THAT(cluster().apply().out, HasSubstr("Nothing to do."));
  EXPECT_EQ(instances(containers({"n2"})), its);
  EXPECT_EQ(containers({"n1", "n3"}), others);
  // Gateways that ask by themselves want to see it healthy first.
  std::set<std::string> expected = instances(others);
  expected.insert(its.begin(), its.end());
  for (const unsigned number : {1u, 2u}) {
    const auto answer = [&] { return cluster().answering(gateway(number), 80, "web", 40) == expected; };
    EXPECT_TRUE(eventually(answer, std::chrono::seconds(20))) << number;
  }
}

}  // namespace
}  // namespace k4t::testing::lab
