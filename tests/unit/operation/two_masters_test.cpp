#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "unit/operation/lab.hpp"

/// Two masters of one cluster, whatever became of either; and participants that return in whatever state. Whoever
/// loses changes nothing, and says who won.

namespace k4t::operation {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using txn::Standing;

namespace fs = std::filesystem;

class TwoMasters : public ::testing::Test {
 protected:
  void expect_ending(const Result<Report>& report, Ending ending) {
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(to_string(report->ending), to_string(ending))
        << (report->why ? report->why->message + "\n" + report->why->detail : "");
  }
  static Result<Report> want(Lab& master, const std::string& image) { return master.apply({{Lab::web(1, image)}, {}}); }
  auto& gateway(const std::string& name) { return alpha_.world.gateway(name).member; }
  auto& dns() { return alpha_.world.dns("ns1").member; }

  /// What one side of a partition cannot reach, for as long as this lives.
  class Cut {
   public:
    Cut(TwoMasters& test, std::vector<std::string> witnesses, std::vector<std::string> gateways)
        : test_(test), witnesses_(std::move(witnesses)), gateways_(std::move(gateways)) {
      for (const auto& id : witnesses_) {
        fs::rename(place(id), place(id + ".cut"));
        fs::create_symlink(id, place(id));  // to itself: nothing can be told of what is behind it
      }
      for (const auto& name : gateways_) test_.gateway(name).faults.down = true;
    }
    ~Cut() {
      for (const auto& id : witnesses_) {
        fs::remove(place(id));
        fs::rename(place(id + ".cut"), place(id));
      }
      for (const auto& name : gateways_) test_.gateway(name).faults.down = false;
    }
    Cut(const Cut&) = delete;
    Cut& operator=(const Cut&) = delete;

   private:
    [[nodiscard]] fs::path place(const std::string& id) const { return test_.scratch_.path() / id; }
    TwoMasters& test_;
    std::vector<std::string> witnesses_;
    std::vector<std::string> gateways_;
  };

  k4t::testing::Scratch scratch_;
  Lab alpha_{scratch_.path()};
};

TEST_F(TwoMasters, OnTheTwoSidesOfAPartitionOneSideCommitsAndTheOtherChangesNothing) {
  expect_ending(want(alpha_, "app:1"), Ending::done);
  Lab beta(scratch_.path() / "beta", alpha_);
  {
    const Cut majority_side(*this, {"w3"}, {"gw2"});
    expect_ending(want(alpha_, "app:2"), Ending::lagging);
  }
  {
    const Cut minority_side(*this, {"w1", "w2"}, {"gw1"});
    EXPECT_EQ(want(beta, "app:3").status(), k4t::Status::unavailable);
    EXPECT_EQ(gateway("gw2").held->version, 1U);
  }
  expect_ending(want(beta, "app:3"), Ending::done);
  EXPECT_EQ(gateway("gw1").held->version, 3U);
  EXPECT_EQ(gateway("gw2").state, gateway("gw1").state);
}

TEST_F(TwoMasters, AVoteOnOneSideIsFinishedByTheOtherNeverReplaced) {
  expect_ending(want(alpha_, "app:1"), Ending::done);
  {
    std::unique_ptr<Cut> cut;
    alpha_.told.watch_stage = [&](const std::string& stage) {
      if (stage.find("Change gateways") != std::string::npos)
        cut = std::make_unique<Cut>(*this, std::vector<std::string>{"w2", "w3"}, std::vector<std::string>{});
    };
    expect_ending(want(alpha_, "app:2"), Ending::unfinished);
    alpha_.told.watch_stage = nullptr;
  }
  Lab beta(scratch_.path() / "beta", alpha_);
  beta.take_over = true;
  expect_ending(beta.transactions().recover(), Ending::done);
  EXPECT_EQ(gateway("gw1").held->version, 2U);
  expect_ending(alpha_.master().recover(), Ending::done);
  EXPECT_EQ(alpha_.store().services()->front().image, "app:2");
}

TEST_F(TwoMasters, AnOpenClaimOfAnotherHostIsRespectedUntilItIsTakenOver) {
  expect_ending(want(alpha_, "app:1"), Ending::done);
  Lab beta(scratch_.path() / "beta", alpha_);
  alpha_.told.watch_stage = [&](const std::string& stage) {
    if (stage.find("Change gateways") == std::string::npos) return;
    const auto refused = want(beta, "app:3");
    expect_ending(refused, Ending::failed);
    EXPECT_THAT(refused->why->message, HasSubstr("--take-over"));
  };
  expect_ending(want(alpha_, "app:2"), Ending::done);
}

TEST_F(TwoMasters, ACloneThatTakesOverWinsAndTheLoserNamesItAndWhatToDo) {
  expect_ending(want(alpha_, "app:1"), Ending::done);
  alpha_.copy_store_to(scratch_.path() / "clone");
  Lab clone(scratch_.path() / "clone", alpha_);
  clone.holder = "beta admin 2026-01-31T12:00:00Z apply";
  clone.take_over = true;
  alpha_.told.watch_stage = [&](const std::string& stage) {
    if (stage.find("Change gateways") != std::string::npos) expect_ending(want(clone, "app:3"), Ending::done);
  };
  const auto lost = want(alpha_, "app:2");
  alpha_.told.watch_stage = nullptr;
  expect_ending(lost, Ending::unfinished);
  EXPECT_THAT(lost->why->message, HasSubstr("another run took over: admin on beta (2026-01-31T12:00:00Z, apply)"));
  EXPECT_THAT(lost->why->message, HasSubstr("k4t status"));
  const auto served = gateway("gw1").state;
  ASSERT_TRUE(alpha_.master().recover());
  EXPECT_THAT(alpha_.unfinished(), IsEmpty());
  EXPECT_EQ(gateway("gw1").state, served) << "what the winner decided stays";
  EXPECT_EQ(gateway("gw1").held->version, 2U);
}

TEST_F(TwoMasters, AMasterRestoredFromAnOldCopyBuildsOnWhatWasDecidedSince) {
  expect_ending(want(alpha_, "app:1"), Ending::done);
  alpha_.copy_store_to(scratch_.path() / "restored");
  expect_ending(want(alpha_, "app:2"), Ending::done);
  expect_ending(want(alpha_, "app:3"), Ending::done);
  Lab restored(scratch_.path() / "restored", alpha_);
  expect_ending(want(restored, "app:4"), Ending::done);
  EXPECT_EQ(gateway("gw1").held->version, 4U);
  const auto log = restored.transactions().log();
  ASSERT_TRUE(log);
  ASSERT_THAT(log->lines, SizeIs(3)) << "what it was not there for it learns as far as it needs it";
  EXPECT_EQ(log->lines[0].base, log->lines[1].txn);
  expect_ending(want(alpha_, "app:5"), Ending::done);
  EXPECT_EQ(gateway("gw1").held->version, 5U) << "and the first one builds on that";
}

TEST_F(TwoMasters, ARunThatWakesUpAfterItsDecisionCannotTurnAnythingBack) {
  expect_ending(want(alpha_, "app:1"), Ending::done);
  Lab beta(scratch_.path() / "beta", alpha_);
  beta.take_over = true;
  bool slept = false;
  alpha_.told.watch = [&](const Happening& happening) {
    if (slept || happening.subject != "gateway gw1" || happening.state != "committing") return;
    slept = true;  // while the other master finishes this version and decides two more
    ASSERT_TRUE(want(beta, "app:3"));
    ASSERT_TRUE(want(beta, "app:4"));
    EXPECT_EQ(gateway("gw1").held->version, 4U);
  };
  ASSERT_TRUE(want(alpha_, "app:2"));
  EXPECT_TRUE(slept);
  EXPECT_EQ(gateway("gw1").held->version, 4U);
  EXPECT_EQ(gateway("gw2").held->version, 4U);
  EXPECT_EQ(dns().held->version, 4U);
}

TEST_F(TwoMasters, AClockThatIsADayOffChangesOnlyWhatPeopleRead) {
  expect_ending(want(alpha_, "app:1"), Ending::done);
  Lab beta(scratch_.path() / "beta", alpha_);
  for (const store::Seconds now : {86400 + 1, 1 - 86400}) {
    beta.now_s = now;
    expect_ending(want(beta, "app:" + std::to_string(now)), Ending::done);
    expect_ending(want(alpha_, "app:a" + std::to_string(now)), Ending::done);
  }
  EXPECT_EQ(gateway("gw1").held->version, 5U);
}

// ---- participants that return -----------------------------------------------------------------------------------

class Returning : public TwoMasters {
 protected:
  Standing standing(const std::string& name) {
    const auto status = alpha_.master().status();
    if (!status) return Standing::unknown;
    for (const auto& member : status->assessment.members) {
      if (member.who.name == name) return member.standing;
    }
    return Standing::unknown;
  }
  void SetUp() override {
    expect_ending(want(alpha_, "app:1"), Ending::done);
    first_ = gateway("gw2").held;
    first_state_ = gateway("gw2").state;
    expect_ending(want(alpha_, "app:2"), Ending::done);
  }
  void expect_mended_by_sync() {
    expect_ending(alpha_.master().sync(false), Ending::done);
    EXPECT_EQ(standing("gw2"), Standing::current);
    EXPECT_EQ(gateway("gw2").state, gateway("gw1").state);
  }
  std::optional<Register> first_;
  gateway::State first_state_;
};

TEST_F(Returning, BlankItGetsEverything) {
  gateway("gw2").held.reset();
  gateway("gw2").state = {};
  EXPECT_EQ(standing("gw2"), Standing::blank);
  expect_mended_by_sync();
}

TEST_F(Returning, FromAnOldBackupItIsBroughtForward) {
  gateway("gw2").held = first_;
  gateway("gw2").state = first_state_;
  EXPECT_EQ(standing("gw2"), Standing::behind);
  expect_mended_by_sync();
}

TEST_F(Returning, AfterFiftyVersionsItIsBroughtToTheLatestAtOnce) {
  gateway("gw2").faults.down = true;
  for (int i = 0; i < 50; ++i) {
    auto service = Lab::web(1, "app:2");
    service.txt = {std::to_string(i)};
    expect_ending(alpha_.apply({{service}, {}}), Ending::lagging);
  }
  gateway("gw2").faults.down = false;
  const auto status = alpha_.master().status();
  ASSERT_TRUE(status);
  for (const auto& member : status->assessment.members) {
    if (member.who.name != "gw2") continue;
    const auto lag = lag_of(member, *status->assessment.latest, status->decisions);
    ASSERT_TRUE(lag);
    EXPECT_EQ(lag->versions, 50U);
    EXPECT_EQ(lag->since_s, 1);
  }
  expect_mended_by_sync();
}

TEST_F(Returning, WithAHandEditedFileItIsReportedAndRepairedOnRequestOnly) {
  gateway("gw2").drifted = true;
  EXPECT_EQ(standing("gw2"), Standing::drifted);
  expect_ending(alpha_.master().sync(false), Ending::lagging);
  EXPECT_EQ(standing("gw2"), Standing::drifted);
  expect_ending(alpha_.master().sync(true), Ending::done);
  EXPECT_EQ(standing("gw2"), Standing::current);
}

TEST_F(Returning, WithANewerVersionThanTheLogKnowsItStopsEverything) {
  gateway("gw2").held = Register{"demo", 99, std::string(32, 'f'), "x.1"};
  EXPECT_EQ(standing("gw2"), Standing::ahead);
  const auto refused = want(alpha_, "app:3");
  expect_ending(refused, Ending::failed);
  EXPECT_THAT(refused->why->message, HasSubstr("gateway gw2"));
  EXPECT_EQ(gateway("gw1").held->version, 2U);
}

TEST_F(Returning, OfAnotherHistoryItIsOverwrittenOnRequestOnly) {
  gateway("gw2").held = Register{"demo", 2, std::string(32, 'f'), "x.1"};
  EXPECT_EQ(standing("gw2"), Standing::diverged);
  expect_ending(alpha_.master().sync(true), Ending::lagging);
  EXPECT_EQ(gateway("gw2").held->txn, std::string(32, 'f'));
  expect_ending(alpha_.transactions().overwrite({{txn::Group::gateway, "gw2"}}), Ending::done);
  EXPECT_EQ(standing("gw2"), Standing::current);
}

TEST_F(Returning, WithAvailabilityAllNothingChangesWithoutIt) {
  alpha_.cluster.gateway_availability = model::Availability::all;
  gateway("gw2").faults.down = true;
  expect_ending(want(alpha_, "app:3"), Ending::failed);
  EXPECT_EQ(gateway("gw1").held->version, 2U);
  gateway("gw2").faults.down = false;
  expect_ending(want(alpha_, "app:3"), Ending::done);
}

}  // namespace
}  // namespace k4t::operation
