#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "unit/operation/lab.hpp"

namespace k4t::operation {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class Apply : public ::testing::Test {
 protected:
  /// After everything that a test does: no gateway that was up ever led to an instance that did not run.
  void TearDown() override { EXPECT_THAT(lab_.world.broken_routes(), IsEmpty()); }

  void expect_ending(const Result<Report>& report, Ending ending) {
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(to_string(report->ending), to_string(ending)) << (report->why ? report->why->message : "");
  }
  void deploy(std::uint32_t replicas = 2, const std::string& image = "app:1") {
    expect_ending(lab_.apply({{Lab::web(replicas, image)}, {}}), Ending::done);
  }
  void expect_untouched(const std::vector<std::string>& instances) {
    EXPECT_EQ(lab_.world.instances(), instances) << "what was made is removed again, and nothing else";
    EXPECT_THAT(lab_.unfinished(), IsEmpty());
  }
  auto& gateway(const std::string& name) { return lab_.world.gateway(name).member; }
  std::uint64_t version(const std::string& name) { return gateway(name).held ? gateway(name).held->version : 0; }

  k4t::testing::Scratch scratch_;
  Lab lab_{scratch_.path()};
};

TEST_F(Apply, ANewServiceRunsAndIsServedByAll) {
  deploy();
  EXPECT_THAT(lab_.world.instances(), SizeIs(2));
  EXPECT_THAT(lab_.routes("gw1"), ElementsAre("192.0.2.1:20000", "192.0.2.2:20000"));
  EXPECT_EQ(lab_.routes("gw2"), lab_.routes("gw1"));
  EXPECT_EQ(lab_.world.dns("ns1").member.held->version, 1U);
  EXPECT_THAT(*lab_.store().services(), SizeIs(1));
  EXPECT_THAT(lab_.unfinished(), IsEmpty());
}

TEST_F(Apply, ASecondTimeWritesNothingAndClaimsNothing) {
  deploy();
  const auto before = lab_.witness_files();
  expect_ending(lab_.apply({{Lab::web(2)}, {}}), Ending::unchanged);
  EXPECT_EQ(lab_.witness_files(), before);
  EXPECT_THAT(*lab_.store().operations(9), SizeIs(1));
}

TEST_F(Apply, OneMasterServesOneCommandAfterTheOther) {
  auto& master = lab_.master();
  for (std::uint32_t replicas = 1; replicas <= 3; ++replicas) {
    expect_ending(master.apply({{Lab::web(replicas)}, {}}, {}), Ending::done);
    EXPECT_THAT(lab_.routes("gw1"), SizeIs(replicas));
  }
}

TEST_F(Apply, ScalingAndUpdatingAndDeletingLeaveExactlyWhatIsWanted) {
  deploy(3);
  expect_ending(lab_.apply({{Lab::web(2)}, {}}), Ending::done);
  EXPECT_THAT(lab_.world.instances(), SizeIs(2));
  const auto old = lab_.world.instances();
  deploy(2, "app:2");
  EXPECT_THAT(lab_.world.instances(), SizeIs(2));
  for (const auto& name : old) EXPECT_THAT(lab_.world.instances(), Not(Contains(name)));
  expect_ending(lab_.apply({{}, {"web"}}), Ending::done);
  EXPECT_THAT(lab_.world.instances(), IsEmpty());
  EXPECT_THAT(lab_.routes("gw2"), IsEmpty());
  EXPECT_THAT(*lab_.store().services(), IsEmpty());
}

TEST_F(Apply, APreviewOfANewClusterChangesNothing) {
  const auto preview = lab_.master().preview({{Lab::web(2)}, {}});
  ASSERT_TRUE(preview) << preview.error().message;
  EXPECT_THAT(preview->plan.creations, SizeIs(2));
  EXPECT_FALSE(preview->nothing_to_do());
  EXPECT_EQ(lab_.witness_files(), "");
  EXPECT_THAT(lab_.world.instances(), IsEmpty());
  EXPECT_THAT(*lab_.store().operations(9), IsEmpty());
}

TEST_F(Apply, WithoutWitnessesNothingIsSaidToBeUnchanged) {
  deploy();
  const auto preview_of_nothing = [&] { return lab_.master().preview({{Lab::web(2)}, {}}); };
  for (const char* id : {"w1", "w2"}) {
    std::filesystem::remove_all(scratch_.path() / id);
    std::ofstream(scratch_.path() / id) << "no folder";
  }
  EXPECT_EQ(preview_of_nothing().status(), k4t::Status::unavailable);
  EXPECT_EQ(lab_.master().sync(false).status(), k4t::Status::unavailable);
  EXPECT_EQ(lab_.apply({{Lab::web(3)}, {}}).status(), k4t::Status::unavailable);
  EXPECT_THAT(lab_.world.instances(), SizeIs(2));
}

TEST_F(Apply, CapabilitiesThatADriverLacksAreWarnedOf) {
  lab_.capabilities = {"http"};
  const auto preview = lab_.master().preview({{Lab::web(1)}, {}});
  ASSERT_TRUE(preview);
  EXPECT_THAT(preview->plan.warnings, Contains(HasSubstr("lacks health.active")));
}

TEST_F(Apply, APlanThatRemovesTooMuchNeedsForce) {
  deploy(4);
  const auto before = lab_.world.instances();
  expect_ending(lab_.apply({{Lab::web(1)}, {}}), Ending::failed);
  expect_untouched(before);
  expect_ending(lab_.apply({{Lab::web(1)}, {}}, true), Ending::done);
  EXPECT_THAT(lab_.world.instances(), SizeIs(1));
}

TEST_F(Apply, WhatTheUserDoesNotConfirmIsNotDone) {
  ApplyOptions options;
  options.confirm = [](const Preview&) { return false; };
  expect_ending(lab_.master().apply({{Lab::web(1)}, {}}, options), Ending::failed);
  EXPECT_EQ(lab_.witness_files(), "");
  expect_untouched({});
}

// ---- faults before the decision ---------------------------------------------------------------------------------

TEST_F(Apply, EachFaultBeforeTheDecisionLeavesTheStateBefore) {
  deploy();
  const auto before = lab_.world.instances();
  const Error broken{k4t::Status::unavailable, "it broke", {}};
  for (const char* verb : {"ensure_image", "create", "start"}) {
    for (const bool done : {false, true}) {
      SCOPED_TRACE(std::string(verb) + (done ? ", reply lost" : ""));
      lab_.world.node("n2").faults.fail(verb, broken, 1, done);
      expect_ending(lab_.apply({{Lab::web(2, "app:2")}, {}}), Ending::failed);
      expect_untouched(before);
    }
  }
  for (const char* who : {"gw1", "gw2"}) {
    SCOPED_TRACE(who);
    gateway(who).faults.fail("prepare", {k4t::Status::invalid_argument, "port 80 is taken", {}}, 1);
    const auto report = lab_.apply({{Lab::web(2, "app:2")}, {}});
    expect_ending(report, Ending::failed);
    EXPECT_THAT(report->why->message, HasSubstr("port 80 is taken"));
    expect_untouched(before);
  }
  lab_.world.dns("ns1").member.faults.down = true;
  expect_ending(lab_.apply({{Lab::web(2, "app:2")}, {}}), Ending::failed);
  expect_untouched(before);
  EXPECT_EQ(version("gw1"), 1U);
  lab_.world.dns("ns1").member.faults.down = false;
  deploy(2, "app:2");
}

TEST_F(Apply, WhatNeverBecomesHealthyIsUndoneWithItsLastWords) {
  deploy();
  const auto before = lab_.world.instances();
  lab_.world.node("n1").images_that_never_run = {"app:2"};
  const auto report = lab_.apply({{Lab::web(2, "app:2")}, {}});
  expect_ending(report, Ending::failed);
  EXPECT_THAT(report->why->detail, HasSubstr("says goodbye"));
  expect_untouched(before);
  lab_.healthy = false;
  expect_ending(lab_.apply({{Lab::web(2, "app:3")}, {}}), Ending::failed);
  expect_untouched(before);
}

TEST_F(Apply, APortThatSomebodyElseTookIsAvoided) {
  lab_.world.node("n1").squatted = {20000, 20001};
  deploy();
  EXPECT_THAT(lab_.routes("gw1"), ElementsAre("192.0.2.1:20002", "192.0.2.2:20000"));
  EXPECT_THAT(lab_.world.instances(), SizeIs(2));
  EXPECT_TRUE(lab_.told.warned("trying another port"));
}

TEST_F(Apply, ForeignInstancesOfAConflictingNameAreLeftAlone) {
  lab_.world.node("n1").faults.fail("create", {k4t::Status::conflict, "the name is taken", {}}, 1);
  auto& theirs = lab_.world.node("n1").instances["theirs"];
  theirs.name = "theirs";
  deploy();
  EXPECT_THAT(lab_.world.instances(), Contains("theirs"));
}

TEST_F(Apply, AnInterruptionBeforeTheDecisionUndoes) {
  deploy();
  const auto before = lab_.world.instances();
  lab_.told.watch = [&](const Happening& happening) {
    if (happening.state == "healthy") lab_.interrupted = true;
  };
  expect_ending(lab_.apply({{Lab::web(2, "app:2")}, {}}), Ending::failed);
  expect_untouched(before);
}

TEST_F(Apply, ANodeThatDiesBeforeUndoingIsUndoneLaterAndStopsNobodyMeanwhile) {
  deploy(1);
  lab_.told.watch = [&](const Happening& happening) {
    if (happening.state == "healthy") lab_.world.node("n2").faults.down = true;
  };
  gateway("gw1").faults.fail("prepare", {k4t::Status::invalid_argument, "no", {}}, 1);
  expect_ending(lab_.apply({{Lab::web(2)}, {}}), Ending::unfinished);
  EXPECT_THAT(lab_.world.instances(), SizeIs(2));

  lab_.told.watch = nullptr;
  auto other = Lab::web(1);
  other.name = "other";
  expect_ending(lab_.apply({{other}, {}}), Ending::done);
  EXPECT_THAT(lab_.unfinished(), SizeIs(1)) << "what is left on n2 is not forgotten";

  lab_.world.node("n2").faults.down = false;
  expect_ending(lab_.master().recover(), Ending::done);
  EXPECT_THAT(lab_.world.instances(), SizeIs(2)) << "web and other";
  EXPECT_THAT(lab_.unfinished(), IsEmpty());
}

TEST_F(Apply, AnUnreadableNodeThatWasNotTouchedHoldsNothingUp) {
  deploy();
  lab_.world.node("n2").faults.down = true;
  gateway("gw1").faults.fail("prepare", {k4t::Status::invalid_argument, "no", {}}, 1);
  expect_ending(lab_.apply({{Lab::web(3)}, {}}), Ending::failed);
  EXPECT_THAT(lab_.unfinished(), IsEmpty());
  deploy(3);
  EXPECT_THAT(lab_.routes("gw1"), Contains("192.0.2.2:20000")) << "its instance is still routed to";
}

}  // namespace
}  // namespace k4t::operation
