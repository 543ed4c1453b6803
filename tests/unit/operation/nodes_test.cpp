#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "operation/node_set.hpp"
#include "operation/observed.hpp"
#include "unit/operation/lab.hpp"

/// Nodes as users know them: drained, lost, returned, seen.

namespace k4t::operation {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

const Error silent{k4t::Status::unavailable, "no route to host", {}};

class Nodes : public ::testing::Test {
 protected:
  Nodes() {
    model::Node third = lab_.cluster.nodes.back();
    third.name = "n3";
    third.address = "192.0.2.3";
    lab_.cluster.nodes.push_back(third);
    lab_.world.add_node("n3", third.address);
  }
  void TearDown() override {
    if (!died_) {
      EXPECT_THAT(lab_.world.broken_routes(), IsEmpty());
    }
  }

  void expect_ending(const Result<Report>& report, Ending ending) {
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(to_string(report->ending), to_string(ending)) << (report->why ? report->why->message : "");
  }
  void deploy(std::uint32_t replicas, std::uint64_t memory_bytes = 0) {
    auto service = Lab::web(replicas);
    service.memory_bytes = memory_bytes;
    expect_ending(lab_.apply({{service}, {}}), Ending::done);
  }
  Result<Report> drain(const std::string& node, const std::string& why = {}) {
    return lab_.master().drain({node}, why, {});
  }
  Result<Report> repair(const std::vector<std::string>& nodes = {}) { return lab_.master().repair(nodes, "fire", {}); }
  std::size_t on(const std::string& node) { return lab_.world.node(node).instances.size(); }
  /// "n1 draining", …
  std::vector<std::string> marks() {
    std::vector<std::string> all;
    const auto kept = lab_.store().marks();
    for (const auto& mark : *kept) all.push_back(mark.node + " " + std::string(to_string(mark.mark)));
    return all;
  }
  /// A machine that burns: nothing runs there any more, and nobody answers.
  void burn(const std::string& node) { lab_.world.node(node).faults.down = true; }
  auto& gateway(const std::string& name) { return lab_.world.gateway(name).member; }

  bool died_ = false;  ///< an instance did, so that routes led to nothing before any command could help
  k4t::testing::Scratch scratch_;
  Lab lab_{scratch_.path()};
};

TEST_F(Nodes, ADrainMovesEverythingMakeBeforeBreak) {
  deploy(3);
  std::size_t fewest = 9;
  lab_.told.watch = [&](const Happening& happening) {
    if (happening.state == "drained" || happening.state == "removed")
      fewest = std::min(fewest, lab_.world.instances().size());
  };
  expect_ending(drain("n2", "new disks"), Ending::done);
  EXPECT_EQ(on("n2"), 0U);
  EXPECT_THAT(lab_.world.instances(), SizeIs(3));
  EXPECT_GE(fewest, 3U);
  EXPECT_EQ(gateway("gw1").held->version, 2U) << "one transaction";
  EXPECT_THAT(lab_.routes("gw1"), Each(Not(StartsWith("192.0.2.2"))));
  EXPECT_EQ(lab_.store().marks()->front().why, "new disks");
  EXPECT_EQ(lab_.store().marks()->front().by, "alpha root");
  EXPECT_EQ(lab_.store().operations(1)->front().kind, "drain");
  expect_ending(drain("n2"), Ending::unchanged);
}

TEST_F(Nodes, ADrainedNodeGetsNothingUntilItIsUncordoned) {
  deploy(2);
  expect_ending(drain("n2"), Ending::done);
  deploy(6);
  EXPECT_EQ(on("n2"), 0U);
  ASSERT_TRUE(uncordon(lab_.environment(), {"n2"}));
  deploy(9);
  EXPECT_GT(on("n2"), 0U);
}

TEST_F(Nodes, WhatCannotMoveStaysIsSaidAndKeepsServing) {
  deploy(6, std::uint64_t{2} << 30);  // two fill a node
  const auto before = lab_.world.instances();
  const auto report = drain("n2");
  expect_ending(report, Ending::done);
  ASSERT_THAT(report->left_undone, SizeIs(1));
  EXPECT_THAT(report->left_undone[0], StartsWith("web: 2 instances stay on n2: n1: needs 2048 MiB of memory"));
  EXPECT_EQ(lab_.world.instances(), before);
  EXPECT_THAT(marks(), ElementsAre("n2 draining"));
  // Once there is room, the next change moves them.
  lab_.world.node("n1").memory_bytes = std::uint64_t{16} << 30;
  const auto again = drain("n2");
  expect_ending(again, Ending::done);
  EXPECT_THAT(again->left_undone, IsEmpty());
  EXPECT_EQ(on("n2"), 0U);
}

TEST_F(Nodes, ADrainOfAnEmptyNodeClaimsNothing) {
  deploy(1);
  const auto witnesses = lab_.witness_files();
  const std::string empty = on("n2") == 0 ? "n2" : "n3";
  expect_ending(drain(empty), Ending::done);
  EXPECT_EQ(lab_.witness_files(), witnesses);
  EXPECT_THAT(marks(), ElementsAre(empty + " draining"));
}

TEST_F(Nodes, ADrainThatFailsLeavesTheNodeAsItWas) {
  deploy(3);
  const auto before = lab_.world.instances();
  ASSERT_TRUE(cordon(lab_.environment(), {"n2"}, "later"));
  lab_.healthy = false;
  expect_ending(drain("n2"), Ending::failed);
  EXPECT_EQ(lab_.world.instances(), before);
  EXPECT_THAT(marks(), ElementsAre("n2 cordoned"));
  EXPECT_EQ(lab_.store().marks()->front().why, "later");
  EXPECT_THAT(lab_.unfinished(), IsEmpty());
}

TEST_F(Nodes, ADrainThatIsNotConfirmedChangesNothing) {
  deploy(3);
  ApplyOptions options;
  std::vector<std::string> causes;
  options.confirm = [&](const Preview& preview) {
    for (const auto& removal : preview.plan.removals) causes.emplace_back(to_string(removal.cause));
    return false;
  };
  expect_ending(lab_.master().drain({"n2"}, "", options), Ending::failed);
  EXPECT_THAT(causes, ElementsAre("its node is drained"));
  EXPECT_THAT(marks(), IsEmpty());
  EXPECT_EQ(on("n2"), 1U);
}

TEST_F(Nodes, OneThatCannotBeReadIsNotDrained) {
  deploy(3);
  burn("n2");
  const auto report = drain("n2");
  ASSERT_FALSE(report);
  EXPECT_EQ(report.status(), k4t::Status::unavailable);
  EXPECT_THAT(report.error().message, HasSubstr("`k4t repair n2`"));
  EXPECT_THAT(marks(), IsEmpty());
  EXPECT_EQ(drain("n9").status(), k4t::Status::invalid_argument);
}

TEST_F(Nodes, ARepairReplacesWhatDiedAndTouchesNothingElse) {
  deploy(3);
  const auto before = lab_.world.instances();
  auto& dead = lab_.world.node("n1").instances.begin()->second;
  const std::string name = dead.name;
  dead.phase = runtime::Phase::exited;
  died_ = true;
  expect_ending(repair(), Ending::done);
  const auto after = lab_.world.instances();
  EXPECT_THAT(after, SizeIs(3));
  EXPECT_THAT(after, Not(Contains(name)));
  for (const auto& one : before) {
    if (one == name) continue;
    EXPECT_THAT(after, Contains(one));
  }
  expect_ending(repair(), Ending::unchanged);
}

TEST_F(Nodes, ARepairCatchesUpMembersThatLag) {
  deploy(1);
  gateway("gw2").faults.fail("commit", {k4t::Status::unavailable, "no", {}});
  ASSERT_TRUE(lab_.apply({{Lab::web(3)}, {}}));
  EXPECT_EQ(gateway("gw2").held->version, 1U);
  gateway("gw2").faults.heal("commit");
  ASSERT_TRUE(repair());
  EXPECT_EQ(gateway("gw2").held->version, gateway("gw1").held->version);
}

TEST_F(Nodes, ApplyKeepsWhatAnUnreadableNodeRanAndRepairPlacesItAnew) {
  deploy(3);
  burn("n2");
  expect_ending(lab_.apply({{Lab::web(3)}, {}}), Ending::unchanged);
  EXPECT_THAT(lab_.routes("gw1"), Contains(StartsWith("192.0.2.2")));
  expect_ending(repair(), Ending::done);
  EXPECT_THAT(lab_.routes("gw1"), SizeIs(3));
  EXPECT_THAT(lab_.routes("gw1"), Each(Not(StartsWith("192.0.2.2"))));
  EXPECT_THAT(marks(), ElementsAre("n2 lost"));
  expect_ending(lab_.apply({{Lab::web(3)}, {}}), Ending::unchanged);

  lab_.world.node("n2").faults.down = false;
  const auto routes = lab_.routes("gw1");
  EXPECT_EQ(on("n2"), 1U);
  expect_ending(lab_.apply({{Lab::web(3)}, {}}), Ending::done);
  EXPECT_EQ(on("n2"), 0U) << "what it still ran is tidied up";
  EXPECT_EQ(lab_.routes("gw1"), routes);
  EXPECT_THAT(marks(), IsEmpty()) << "it is a node like any other again";
  expect_ending(lab_.apply({{Lab::web(3)}, {}}), Ending::unchanged);
}

TEST_F(Nodes, ALostNodesEndpointsAreNotGivenOutWhileAGatewayMayUseThem) {
  deploy(3);
  burn("n2");
  gateway("gw2").faults.down = true;
  expect_ending(repair(), Ending::lagging);
  const auto reserved = *lab_.store().reservations();
  EXPECT_TRUE(std::any_of(reserved.begin(), reserved.end(), [](const auto& one) {
    return one.address == "192.0.2.2" && one.port == 20000 && one.removed_in;
  }));
}

TEST_F(Nodes, OneThatFailsToAnswerOnceIsNotLost) {
  deploy(3);
  lab_.world.node("n2").faults.fail("info", silent, 1);
  expect_ending(repair(), Ending::unchanged);
  EXPECT_THAT(marks(), IsEmpty());
  EXPECT_EQ(on("n2"), 1U);
}

TEST_F(Nodes, AStoreThatWasLostTakesNoHealthyInstanceForUndeclared) {
  deploy(3);
  const auto before = lab_.world.instances();
  Lab lost(scratch_.path() / "other", lab_);
  for (const auto& report : {lost.master().repair({}, "", {}), lost.master().drain({"n2"}, "", {})}) {
    ASSERT_FALSE(report);
    EXPECT_EQ(report.status(), k4t::Status::conflict);
  }
  EXPECT_EQ(lab_.world.instances(), before);
}

TEST_F(Nodes, OneThatAnswersCannotBeDeclaredLost) {
  deploy(3);
  const auto report = repair({"n2"});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.status(), k4t::Status::conflict);
  EXPECT_THAT(report.error().message, HasSubstr("`k4t node drain n2`"));
}

TEST_F(Nodes, OnlyNamedOnesAreDeclaredLost) {
  deploy(3);
  burn("n2");
  burn("n3");
  expect_ending(repair({"n3"}), Ending::done);
  EXPECT_THAT(marks(), ElementsAre("n3 lost"));
  EXPECT_THAT(lab_.routes("gw1"), Contains(StartsWith("192.0.2.2"))) << "of n2 nothing is known";
  EXPECT_THAT(lab_.routes("gw1"), Each(Not(StartsWith("192.0.2.3"))));
}

TEST_F(Nodes, ARepairThatIsUndoneLeavesTheNodesInstancesCounted) {
  deploy(3);
  burn("n2");
  lab_.healthy = false;
  expect_ending(repair(), Ending::failed);
  EXPECT_THAT(marks(), IsEmpty());
  lab_.healthy = true;
  expect_ending(lab_.apply({{Lab::web(3)}, {}}), Ending::unchanged);
}

TEST_F(Nodes, ARepairDroppedAfterItsPlanWasRememberedLeavesTheNodesInstancesCounted) {
  deploy(3);
  burn("n2");
  for (const char* gw : {"gw1", "gw2"}) gateway(gw).faults.fail("prepare", {k4t::Status::invalid_argument, "no", {}});
  expect_ending(repair(), Ending::failed);
  EXPECT_THAT(marks(), IsEmpty());
  for (const char* gw : {"gw1", "gw2"}) gateway(gw).faults.heal("prepare");
  expect_ending(lab_.apply({{Lab::web(3)}, {}}), Ending::unchanged);
}

TEST_F(Nodes, ARepairGoesAsFarAsThereIsRoom) {
  deploy(5, std::uint64_t{2} << 30);  // two fill a node, so that one more fits on the two that are left
  burn("n2");
  const std::size_t lost = on("n2");
  const auto report = repair();
  expect_ending(report, Ending::done);
  EXPECT_EQ(lab_.routes("gw1").size(), 4U) << "what there is room for, of " << lost << " that were lost";
  ASSERT_THAT(report->left_undone, SizeIs(1));
  EXPECT_THAT(report->left_undone[0], StartsWith("service 'web' lacks room for 1 of its 5 instances"));
}

TEST_F(Nodes, AWordAboutAnUnknownNodeIsRefusedAndOneOfAGoneNodeForgotten) {
  EXPECT_EQ(cordon(lab_.environment(), {"n1", "n9"}, "").status(), k4t::Status::invalid_argument);
  EXPECT_THAT(marks(), IsEmpty());
  ASSERT_TRUE(cordon(lab_.environment(), {"n1", "n3"}, ""));
  lab_.cluster.nodes.pop_back();
  ASSERT_TRUE(forget_strangers(lab_.store(), lab_.cluster));
  EXPECT_THAT(marks(), ElementsAre("n1 cordoned"));
}

TEST_F(Nodes, ANewOneIsDistinctByNameAndByAddressAndPorts) {
  model::Node node = lab_.cluster.nodes.front();
  EXPECT_EQ(check_distinct(lab_.cluster, node).status(), k4t::Status::conflict);
  node.name = "n4";
  EXPECT_THAT(check_distinct(lab_.cluster, node).error().message,
              HasSubstr("node 'n1' has the address 192.0.2.1 and ports 20000-20009"));
  node.first_port = 20010;
  node.last_port = 20019;
  EXPECT_TRUE(check_distinct(lab_.cluster, node));
  node.address = "192.0.2.4";
  node.first_port = 20000;
  EXPECT_TRUE(check_distinct(lab_.cluster, node));
  node.subnet = "2001:db8:0:1::/64";
  EXPECT_TRUE(check_distinct(lab_.cluster, node));
  lab_.cluster.nodes[0].subnet = "2001:db8::/48";
  EXPECT_THAT(check_distinct(lab_.cluster, node).error().message, HasSubstr("has the subnet 2001:db8::/48"));
}

TEST_F(Nodes, OnlyAnEmptyOneThatAnswersMayBeRemoved) {
  deploy(3);
  EXPECT_EQ(check_empty(lab_.environment(), "n2").status(), k4t::Status::conflict);
  lab_.world.node("n2").instances.clear();
  EXPECT_TRUE(check_empty(lab_.environment(), "n2"));
  burn("n2");
  EXPECT_EQ(check_empty(lab_.environment(), "n2").status(), k4t::Status::unavailable);
}

TEST_F(Nodes, UsageIsKnownOfThoseThatTellIt) {
  lab_.world.node("n1").in_use.memory_used_bytes = 4096;
  auto nodes = look_at_nodes(lab_.environment(), false);
  ASSERT_TRUE(nodes) << nodes.error().message;
  lab_.world.node("n2").faults.fail("usage", {k4t::Status::unavailable, "no", {}}, 1);
  look_at_usage(lab_.environment(), *nodes);
  ASSERT_TRUE(nodes->at(0).usage);
  EXPECT_EQ(nodes->at(0).usage->memory_used_bytes, 4096U);
  EXPECT_FALSE(nodes->at(1).usage) << "unknown is not zero";
}

TEST_F(Nodes, OneThatCannotBeReadIsShownAsItWasLastKnown) {
  deploy(3);
  lab_.now_s = 100;
  ASSERT_TRUE(look_at_nodes(lab_.environment(), true));
  burn("n2");
  lab_.now_s = 160;
  const auto nodes = look_at_nodes(lab_.environment(), true);
  ASSERT_TRUE(nodes) << nodes.error().message;
  const auto& seen = nodes->at(1);
  EXPECT_EQ(seen.config.name, "n2");
  EXPECT_TRUE(seen.view.problem);
  EXPECT_THAT(seen.instances, SizeIs(1));
  ASSERT_TRUE(seen.last);
  EXPECT_EQ(seen.last->at_s, 100);
  EXPECT_EQ(seen.last->info.cpus, 4U);
  EXPECT_FALSE(nodes->at(0).last);
}

TEST_F(Nodes, ASilentOneCostsItsOwnDeadlineOnly) {
  // Each answers only once all of them are being asked.
  constexpr int many = 200;
  std::mutex mutex;
  std::condition_variable all_asked;
  int asked = 0;
  const auto wait_for_all = [&] {
    std::unique_lock lock(mutex);
    if (++asked >= many) all_asked.notify_all();
    all_asked.wait_for(lock, std::chrono::seconds(30), [&] { return asked >= many; });
  };
  for (int i = 0; i < many; ++i) {
    model::Node node = lab_.cluster.nodes.back();
    node.name = "slow" + std::to_string(i);
    node.address = "198.51.100." + std::to_string(i);
    lab_.cluster.nodes.push_back(node);
    lab_.world.add_node(node.name, node.address).faults.before = wait_for_all;
  }
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(look_at_nodes(lab_.environment(), false));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(30));
}

}  // namespace
}  // namespace k4t::operation
