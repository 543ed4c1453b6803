#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "unit/operation/lab.hpp"

/// Faults after the decision, and what the next command makes of what an earlier one left.

namespace k4t::operation {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class Recovery : public ::testing::Test {
 protected:
  void TearDown() override {
    if (!stale_) {
      EXPECT_THAT(lab_.world.broken_routes(), IsEmpty());
    }
  }

  void expect_ending(const Result<Report>& report, Ending ending) {
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(to_string(report->ending), to_string(ending)) << (report->why ? report->why->message : "");
  }
  Result<Report> want(std::uint32_t replicas, const std::string& image) {
    return lab_.apply({{Lab::web(replicas, image)}, {}});
  }
  /// Runs `what` when the operation comes to this stage.
  void at_stage(const std::string& stage, std::function<void()> what) {
    lab_.told.watch_stage = [stage, what = std::move(what)](const std::string& now) {
      if (now.find(stage) != std::string::npos) what();
    };
  }
  auto& gateway(const std::string& name) { return lab_.world.gateway(name).member; }

  bool stale_ = false;  ///< a gateway comes back with routes of a time when it was off: only its health checks help
  k4t::testing::Scratch scratch_;
  Lab lab_{scratch_.path()};
};

TEST_F(Recovery, NothingLeftIsUnchanged) { expect_ending(lab_.master().recover(), Ending::unchanged); }

TEST_F(Recovery, AGatewayThatIsDownLagsAndCatchesUp) {
  stale_ = true;
  expect_ending(want(1, "app:1"), Ending::done);
  gateway("gw1").faults.down = true;
  expect_ending(want(1, "app:2"), Ending::lagging);
  EXPECT_THAT(*lab_.store().reservations(), Not(IsEmpty())) << "gw1 may come back with its old routes";
  gateway("gw1").faults.down = false;
  expect_ending(lab_.master().sync(false), Ending::done);
  EXPECT_EQ(gateway("gw1").held->version, 2U);
  EXPECT_THAT(*lab_.store().reservations(), IsEmpty());
}

TEST_F(Recovery, OldInstancesStayWhileAGatewayThatAnswersStillServesThem) {
  expect_ending(want(1, "app:1"), Ending::done);
  gateway("gw2").faults.fail("commit", {k4t::Status::unavailable, "the reload failed", {}});
  const auto report = want(1, "app:2");
  expect_ending(report, Ending::unfinished);
  EXPECT_THAT(report->why->message, HasSubstr("1 old instances stay"));
  EXPECT_THAT(lab_.world.instances(), SizeIs(2));
  gateway("gw2").faults.heal("commit");
  expect_ending(lab_.master().recover(), Ending::done);
  EXPECT_THAT(lab_.world.instances(), SizeIs(1));
  EXPECT_THAT(lab_.unfinished(), IsEmpty());
}

TEST_F(Recovery, AnOperationThatCannotBeFinishedDoesNotStopTheNextOne) {
  expect_ending(want(1, "app:1"), Ending::done);
  gateway("gw2").faults.fail("commit", {k4t::Status::unavailable, "the reload failed", {}});
  expect_ending(want(1, "app:2"), Ending::unfinished);
  expect_ending(want(1, "app:3"), Ending::unfinished);
  EXPECT_EQ(gateway("gw1").held->version, 3U);
  gateway("gw2").faults.heal("commit");
  expect_ending(want(1, "app:3"), Ending::unchanged);
  EXPECT_THAT(lab_.unfinished(), IsEmpty());
  EXPECT_THAT(lab_.world.instances(), SizeIs(1));
  EXPECT_EQ(lab_.store().services()->front().image, "app:3") << "the older one is not done after the newer one";
}

TEST_F(Recovery, AGatewayThatGoesAwayBeforeItPreparesHoldsNoOldInstances) {
  stale_ = true;
  expect_ending(want(1, "app:1"), Ending::done);
  at_stage("Change gateways", [&] { gateway("gw2").faults.down = true; });
  expect_ending(want(1, "app:2"), Ending::lagging);
  EXPECT_THAT(lab_.world.instances(), SizeIs(1));
}

TEST_F(Recovery, AWholeGroupThatDiesAfterTheDecisionIsAwaited) {
  expect_ending(want(1, "app:1"), Ending::done);
  at_stage("Change gateways", [&] {
    for (const char* name : {"gw1", "gw2"}) gateway(name).faults.fail("commit", {k4t::Status::unavailable, "no", {}});
  });
  expect_ending(want(1, "app:2"), Ending::unfinished);
  EXPECT_THAT(lab_.world.instances(), SizeIs(2));
  for (const char* name : {"gw1", "gw2"}) gateway(name).faults.heal("commit");
  expect_ending(lab_.master().recover(), Ending::done);
  EXPECT_THAT(lab_.world.instances(), SizeIs(1));
}

TEST_F(Recovery, AnInterruptionAfterTheDecisionCutsNoConnections) {
  expect_ending(want(1, "app:1"), Ending::done);
  lab_.world.gateway("gw1").held_connections = 3;
  at_stage("Drain", [&] { lab_.interrupted = true; });
  expect_ending(want(1, "app:2"), Ending::unfinished);
  EXPECT_THAT(lab_.world.instances(), SizeIs(2));
  lab_.interrupted = false;
  lab_.told.watch_stage = nullptr;
  lab_.world.gateway("gw1").held_connections = 0;
  expect_ending(lab_.master().recover(), Ending::done);
  EXPECT_THAT(lab_.world.instances(), SizeIs(1));
}

TEST_F(Recovery, DrainingWaitsForTheLastConnectionAndAtMostItsTimeOut) {
  expect_ending(want(1, "app:1"), Ending::done);
  lab_.world.gateway("gw1").held_connections = 3;
  lab_.world.gateway("gw1").looks_until_idle = 5;
  expect_ending(want(1, "app:2"), Ending::done);
  EXPECT_EQ(lab_.world.gateway("gw1").held_connections, 0U) << "it was asked until none was left";
  EXPECT_FALSE(lab_.told.warned("they are cut"));
  lab_.world.gateway("gw2").held_connections = 2;
  expect_ending(want(1, "app:3"), Ending::done);
  EXPECT_TRUE(lab_.told.warned("2 connections after its drain time-out of 1 s"));
}

TEST_F(Recovery, AGatewayThatDoesNotTellItsConnectionsIsNotTakenToHaveNone) {
  expect_ending(want(1, "app:1"), Ending::done);
  gateway("gw1").faults.fail("connections", {k4t::Status::unavailable, "busy", {}});
  expect_ending(want(1, "app:2"), Ending::done);
  EXPECT_TRUE(lab_.told.warned("an unknown number of connections"));
}

TEST_F(Recovery, ALostReplyOfACommitIsSettledByLooking) {
  expect_ending(want(1, "app:1"), Ending::done);
  gateway("gw1").faults.fail("commit", {k4t::Status::deadline, "no reply", {}}, 1, true);
  expect_ending(want(1, "app:2"), Ending::done);
}

TEST_F(Recovery, AnInstanceThatCannotBeRemovedIsRemovedByTheNextCommand) {
  expect_ending(want(2, "app:1"), Ending::done);
  lab_.world.node("n1").faults.fail("stop", {k4t::Status::deadline, "it hangs", {}}, 1);
  expect_ending(want(2, "app:2"), Ending::unfinished);
  EXPECT_THAT(lab_.world.instances(), SizeIs(3)) << "the others are removed all the same";
  expect_ending(want(2, "app:2"), Ending::unchanged);
  EXPECT_THAT(lab_.world.instances(), SizeIs(2));
}

TEST_F(Recovery, WithoutAVerdictTheNextRunSettlesIt) {
  expect_ending(want(1, "app:1"), Ending::done);
  const auto folder = [&](const char* id) { return scratch_.path() / id; };
  const auto away = [&](const char* id) { return scratch_.path() / (std::string(id) + ".away"); };
  // The witnesses vanish between the claim and the vote.
  at_stage("Change gateways", [&] {
    for (const char* id : {"w1", "w2"}) {
      std::filesystem::rename(folder(id), away(id));
      std::ofstream(folder(id)) << "no folder";
    }
  });
  expect_ending(want(1, "app:2"), Ending::unfinished);
  EXPECT_THAT(lab_.world.instances(), SizeIs(2)) << "it may be decided: nothing is undone";
  lab_.told.watch_stage = nullptr;
  expect_ending(lab_.master().recover(), Ending::unfinished);
  for (const char* id : {"w1", "w2"}) {
    std::filesystem::remove(folder(id));
    std::filesystem::rename(away(id), folder(id));
  }
  expect_ending(lab_.master().recover(), Ending::done);
  EXPECT_EQ(gateway("gw1").held->version, 2U) << "the one vote that was seen is finished";
  EXPECT_THAT(lab_.world.instances(), SizeIs(1));
  EXPECT_EQ(lab_.store().services()->front().image, "app:2");
}

TEST_F(Recovery, OfSeveralDecidedOperationsTheNewestIsFinished) {
  expect_ending(want(1, "app:1"), Ending::done);
  const auto run = std::string(32, 'a');
  const auto left = [&](const std::string& image, const std::string& phase) {
    const Json arguments{{"wanted", std::vector{Lab::web(1, image)}}, {"former", Json::array()}, {"run", run}};
    return *lab_.store().begin_operation("apply", arguments, phase, 1);
  };
  left("app:2", "decided");
  left("app:3", "decided");
  left("app:4", "started");
  expect_ending(lab_.master().recover(), Ending::done);
  EXPECT_EQ(lab_.store().services()->front().image, "app:3");
  EXPECT_THAT(lab_.unfinished(), IsEmpty());
  EXPECT_THAT(lab_.world.instances(), SizeIs(1));
}

TEST_F(Recovery, ADamagedJournalNeverMeansThatNothingIsWanted) {
  expect_ending(want(2, "app:1"), Ending::done);
  ASSERT_TRUE(
      lab_.store().begin_operation("apply", Json{{"run", std::string(32, 'a')}, {"wanted", "?"}}, "decided", 1));
  expect_ending(lab_.master().recover(), Ending::unfinished);
  EXPECT_THAT(lab_.world.instances(), SizeIs(2));
  expect_ending(want(3, "app:1"), Ending::done);
  EXPECT_THAT(lab_.unfinished(), IsEmpty()) << "a newer operation takes its place";
}

TEST_F(Recovery, AMasterWithOldMetadataTurnsNothingBack) {
  expect_ending(want(1, "app:1"), Ending::done);
  gateway("gw2").faults.fail("commit", {k4t::Status::unavailable, "the reload failed", {}});
  expect_ending(want(1, "app:2"), Ending::unfinished);
  gateway("gw2").faults.heal("commit");
  const auto kept = scratch_.path() / "kept";
  std::filesystem::create_directories(kept);
  Lab other(kept);  // a second master of the same machines and witnesses, which knows nothing
  other.cluster.witnesses = lab_.cluster.witnesses;
  drivers::Fleet fleet(lab_.cluster, [&](const std::string&, const std::string& kind, const OpenRequest& request) {
    return lab_.world.open(kind, request.name);
  });
  Environment environment{lab_.cluster, other.store(), fleet, other.told, other.interrupted};
  environment.run = std::string(32, 'b');
  environment.holder = "beta root";
  environment.take_over = true;
  environment.draw_id = [] { return std::string("beta01"); };
  environment.probe = [](const gateway::Endpoint&, const gateway::Health&) { return Result<void>(); };
  environment.capabilities = [](const std::string&, const std::string&) { return std::vector<std::string>{}; };
  environment.now_s = [] { return store::Seconds{1}; };
  environment.pause = [](std::chrono::milliseconds) {};
  {
    Master master(environment);
    expect_ending(master.apply({{Lab::web(1, "app:9")}, {}}, {}), Ending::done);
  }
  EXPECT_EQ(gateway("gw1").held->version, 3U);
  ASSERT_TRUE(lab_.master().recover());
  EXPECT_EQ(gateway("gw1").held->version, 3U) << "what the other master decided stays";
  EXPECT_TRUE(lab_.told.warned("perhaps by another master"));
  EXPECT_THAT(lab_.unfinished(), IsEmpty());
}

TEST_F(Recovery, AGatewayThatIsNoLongerConfiguredIsLeftOutWithAWarning) {
  expect_ending(want(1, "app:1"), Ending::done);
  lab_.cluster.gateways.pop_back();
  expect_ending(want(2, "app:1"), Ending::done);
  EXPECT_TRUE(lab_.told.warned("gateway 'gw2' is not in k4t.toml any more"));
  EXPECT_EQ(gateway("gw1").held->version, 2U);
  EXPECT_EQ(gateway("gw2").held->version, 1U);
}

TEST_F(Recovery, WithoutGatewaysTheNamesAreWaitedForAndWhatTheyNameIsNotUndone) {
  lab_.cluster.gateways.clear();
  lab_.cluster.dns_ttl_s = 1;
  expect_ending(want(1, "app:1"), Ending::done);
  bool waited = false;
  lab_.told.watch = [&](const Happening& happening) { waited = waited || happening.state == "waiting for the TTL"; };
  at_stage("Drain", [&] { lab_.interrupted = true; });
  expect_ending(want(1, "app:2"), Ending::unfinished);
  EXPECT_THAT(lab_.world.instances(), SizeIs(2));
  lab_.interrupted = false;
  lab_.told.watch_stage = nullptr;
  waited = false;
  expect_ending(lab_.master().recover(), Ending::done);
  EXPECT_TRUE(waited) << "the wait was cut short, so it is done again";
  EXPECT_THAT(lab_.world.instances(), SizeIs(1));
}

TEST_F(Recovery, AnswersAreWaitedForAsLongAsTheyWereMadeToLast) {
  lab_.cluster.gateways.clear();
  lab_.cluster.dns_ttl_s = 2;
  expect_ending(want(1, "app:1"), Ending::done);
  lab_.cluster.dns_ttl_s = 1;
  std::string waited;
  lab_.told.watch = [&](const Happening& happening) {
    if (happening.state == "waiting for the TTL") waited = happening.detail;
  };
  expect_ending(want(1, "app:2"), Ending::done);
  EXPECT_EQ(waited, "2 s");
}

TEST_F(Recovery, AServiceThatLeavesItsInstancesForGatewaysIsStillKnownToClientsAtThem) {
  lab_.cluster.dns_ttl_s = 1;
  lab_.cluster.reach = model::Reach::instances;
  expect_ending(want(1, "app:1"), Ending::done);
  lab_.cluster.reach = model::Reach::gateways;
  bool waited = false;
  lab_.told.watch = [&](const Happening& happening) { waited = waited || happening.state == "waiting for the TTL"; };
  expect_ending(want(1, "app:2"), Ending::done);
  EXPECT_TRUE(waited);
  waited = false;
  expect_ending(want(1, "app:3"), Ending::done);
  EXPECT_FALSE(waited) << "by now it is not";
}

TEST_F(Recovery, ANodeThatVanishesAfterTheDecisionIsJudgedByWhatIsDecided) {
  expect_ending(want(2, "app:1"), Ending::done);
  at_stage("Drain", [&] {
    lab_.interrupted = true;
    lab_.world.node("n2").faults.down = true;
  });
  expect_ending(want(2, "app:2"), Ending::unfinished);
  lab_.interrupted = false;
  lab_.told.watch_stage = nullptr;
  const auto routes = lab_.routes("gw1");
  ASSERT_TRUE(lab_.master().recover());
  EXPECT_EQ(lab_.routes("gw1"), routes) << "the new instance there is still routed to, and no old one is again";
}

}  // namespace
}  // namespace k4t::operation
