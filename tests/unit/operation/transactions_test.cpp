#include "operation/transactions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "operation/force.hpp"
#include "unit/operation/lab.hpp"

/// The redo log as people see it, differences, and the set of witnesses.

namespace k4t::operation {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using txn::Standing;

namespace fs = std::filesystem;

class TransactionsTest : public ::testing::Test {
 protected:
  void expect_ending(const Result<Report>& report, Ending ending) {
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(to_string(report->ending), to_string(ending))
        << (report->why ? report->why->message + "\n" + report->why->detail : "");
  }
  void deploy(const std::string& image, Ending ending = Ending::done) {
    expect_ending(lab_.apply({{Lab::web(1, image)}, {}}), ending);
  }
  auto& gateway(const std::string& name) { return lab_.world.gateway(name).member; }

  /// A witness's machine is gone: nothing can be read there.
  void lose(const std::string& id) {
    fs::rename(scratch_.path() / id, scratch_.path() / (id + ".away"));
    fs::create_symlink(id, scratch_.path() / id);  // to itself: nothing can be told of what is behind it
  }
  void bring_back(const std::string& id) {
    fs::remove(scratch_.path() / id);
    fs::rename(scratch_.path() / (id + ".away"), scratch_.path() / id);
  }
  /// A witness's disk is new.
  void make_blank(const std::string& id) { fs::remove_all(scratch_.path() / id); }
  void configure(const std::vector<std::string>& ids) {
    lab_.cluster.witnesses.clear();
    for (const auto& id : ids) lab_.cluster.witnesses.push_back({id, "local", (scratch_.path() / id).string()});
  }

  std::vector<std::string> decided_ids() {
    const auto status = lab_.transactions().look();
    std::vector<std::string> ids;
    if (!status || status->assessment.latest == nullptr) return ids;
    for (const auto& one : status->assessment.latest->state.witnesses) ids.push_back(one.id);
    return ids;
  }
  MemberDifference of(const Difference& difference, const std::string& name) {
    for (const auto& one : difference.members) {
      if (one.member.who.name == name) return one;
    }
    ADD_FAILURE() << name;
    return {};
  }

  k4t::testing::Scratch scratch_;
  Lab lab_{scratch_.path()};
};

TEST_F(TransactionsTest, TheLogTellsWhenAndByWhomEachVersionWasDecidedAndWhoLags) {
  deploy("app:1");
  gateway("gw2").faults.down = true;
  lab_.now_s = 7;
  lab_.holder = "beta admin 2026-01-31T12:00:00Z apply";
  deploy("app:2", Ending::lagging);
  const auto log = lab_.transactions().log();
  ASSERT_TRUE(log) << log.error().message;
  ASSERT_THAT(log->lines, SizeIs(2));
  const auto& newest = log->lines.front();
  EXPECT_EQ(newest.version, 2U);
  EXPECT_TRUE(newest.decided);
  ASSERT_TRUE(newest.decision);
  EXPECT_EQ(newest.decision->at_s, 7);
  EXPECT_EQ(newest.decision->by, "beta admin 2026-01-31T12:00:00Z apply");
  EXPECT_EQ(newest.decision->operation, 2);
  EXPECT_THAT(newest.voters, ElementsAre("w1", "w2", "w3"));
  EXPECT_THAT(newest.unknown, ElementsAre("gateway gw2"));
  EXPECT_THAT(newest.lagging, IsEmpty()) << "who does not answer is not known to lag";
  gateway("gw2").faults.down = false;
  const auto again = lab_.transactions().log();
  EXPECT_THAT(again->lines.front().lagging, ElementsAre("gateway gw2"));
  EXPECT_THAT(again->lines.back().lagging, IsEmpty()) << "it has reached the older one";
}

TEST_F(TransactionsTest, AVersionIsShownByItsNumberOrTheBeginningOfItsTxn) {
  deploy("app:1");
  deploy("app:2");
  const auto by_number = lab_.transactions().show("2");
  ASSERT_TRUE(by_number) << by_number.error().message;
  EXPECT_THAT(by_number->difference, Contains(HasSubstr("endpoint web-http-80")));
  EXPECT_THAT(by_number->holders, ElementsAre("w1", "w2", "w3"));
  EXPECT_TRUE(by_number->kept_here);
  const auto by_txn = lab_.transactions().show(by_number->line.txn.substr(0, 6));
  ASSERT_TRUE(by_txn);
  EXPECT_EQ(by_txn->line.version, 2U);
  EXPECT_EQ(lab_.transactions().show("9").status(), k4t::Status::not_found);
  EXPECT_EQ(lab_.transactions().show("zzzz").status(), k4t::Status::not_found);
}

TEST_F(TransactionsTest, ARecordThatOnlyASilentWitnessMayHoldIsUnknownNotAbsent) {
  deploy("app:1");
  lose("w2");
  const auto shown = lab_.transactions().show("1");
  ASSERT_TRUE(shown);
  EXPECT_THAT(shown->silent, ElementsAre("w2"));
  EXPECT_THAT(shown->holders, ElementsAre("w1", "w3"));
}

TEST_F(TransactionsTest, RecoverDoesNothingWhereNothingIsLeft) {
  deploy("app:1");
  const auto before = lab_.witness_files();
  expect_ending(lab_.transactions().recover(), Ending::unchanged);
  EXPECT_EQ(lab_.witness_files(), before);
}

TEST_F(TransactionsTest, RecoverFinishesAVoteAndCatchesUpButLeavesOperationsAlone) {
  deploy("app:1");
  lab_.told.watch_stage = [this](const std::string& stage) {
    if (stage.find("Change gateways") == std::string::npos) return;
    lose("w1");
    lose("w2");
  };
  deploy("app:2", Ending::unfinished);
  lab_.told.watch_stage = nullptr;
  bring_back("w1");
  bring_back("w2");
  expect_ending(lab_.transactions().recover(), Ending::done);
  EXPECT_EQ(gateway("gw1").held->version, 2U);
  EXPECT_THAT(lab_.unfinished(), SizeIs(1));
  EXPECT_THAT(lab_.world.instances(), SizeIs(2)) << "instances are another command's";
  EXPECT_TRUE(lab_.told.warned("was cut short"));
}

TEST_F(TransactionsTest, ThereIsNoDifferenceWhereAllServeWhatIsDecided) {
  deploy("app:1");
  const auto difference = lab_.transactions().difference({});
  ASSERT_TRUE(difference);
  EXPECT_FALSE(difference->any());
  EXPECT_FALSE(difference->unknown());
}

TEST_F(TransactionsTest, HandEditsLagsAndSilenceAreToldApart) {
  deploy("app:1");
  gateway("gw2").faults.down = true;
  deploy("app:2", Ending::lagging);
  gateway("gw1").drifted = true;
  lab_.world.dns("ns1").member.faults.down = true;
  gateway("gw2").faults.down = false;
  const auto difference = lab_.transactions().difference({});
  ASSERT_TRUE(difference);
  EXPECT_TRUE(difference->any());
  EXPECT_TRUE(difference->unknown());
  EXPECT_TRUE(of(*difference, "gw1").hand_edits);
  EXPECT_THAT(*of(*difference, "gw1").lines, IsEmpty());
  EXPECT_THAT(*of(*difference, "gw2").lines, Contains(HasSubstr("endpoint web-http-80")));
  EXPECT_FALSE(of(*difference, "ns1").lines) << "unknown is never empty";
  EXPECT_NE(of(*difference, "ns1").unknown, "");
  const auto of_another = lab_.transactions().difference({"api"});
  EXPECT_THAT(*of(*of_another, "gw2").lines, IsEmpty()) << "it differs in what concerns other services";
}

// ---- witnesses --------------------------------------------------------------------------------------------------

TEST_F(TransactionsTest, ABlankWitnessIsReplacedUnderANewId) {
  deploy("app:1");
  make_blank("w3");
  EXPECT_THAT(lab_.transactions().look()->assessment.blank_witnesses, ElementsAre("w3"));
  expect_ending(lab_.transactions().change_witnesses({{}, {}, {"w3"}}), Ending::done);
  const auto ids = decided_ids();
  ASSERT_THAT(ids, SizeIs(3));
  EXPECT_EQ(witness_base(ids[2]), "w3");
  EXPECT_NE(ids[2], "w3");
  lose("w1");
  deploy("app:2");
  bring_back("w1");
  EXPECT_EQ(decided_ids(), ids) << "k4t.toml still says w3, and that is this one";
}

TEST_F(TransactionsTest, AWitnessJoinsAndLeavesAsTheFileSays) {
  deploy("app:1");
  EXPECT_EQ(lab_.transactions().change_witnesses({{"w4"}, {}, {}}).status(), k4t::Status::invalid_argument);
  configure({"w1", "w2", "w3", "w4", "w5"});
  expect_ending(lab_.transactions().change_witnesses({{"w4", "w5"}, {}, {}}), Ending::done);
  EXPECT_THAT(decided_ids(), SizeIs(5));
  const auto refused = lab_.transactions().change_witnesses({{}, {"w1"}, {}});
  EXPECT_EQ(refused.status(), k4t::Status::invalid_argument);
  EXPECT_THAT(refused.error().message, HasSubstr("take the table out first"));
  configure({"w2", "w3", "w4"});
  expect_ending(lab_.transactions().change_witnesses({{}, {"w1", "w5"}, {}}), Ending::done);
  EXPECT_THAT(decided_ids(), ElementsAre("w2", "w3", ::testing::StartsWith("w4-x")));
}

TEST_F(TransactionsTest, AChangeThatLeavesNoMajorityReachableIsRefused) {
  deploy("app:1");
  configure({"w1", "w3"});
  lose("w1");
  const auto refused = lab_.transactions().change_witnesses({{}, {"w2"}, {}});
  EXPECT_EQ(refused.status(), k4t::Status::unavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("too few answer"));
  bring_back("w1");
  expect_ending(lab_.transactions().change_witnesses({{}, {"w2"}, {}}), Ending::done);
}

TEST_F(TransactionsTest, ANewWitnessThatDoesNotAnswerChangesNothing) {
  deploy("app:1");
  configure({"w1", "w2", "w3", "w4"});
  std::ofstream(scratch_.path() / "w4") << "no folder";
  const auto report = lab_.transactions().change_witnesses({{"w4"}, {}, {}});
  expect_ending(report, Ending::failed);
  EXPECT_THAT(decided_ids(), ElementsAre("w1", "w2", "w3"));
}

TEST_F(TransactionsTest, ApplyFollowsTheFileInAVersionOfItsOwn) {
  deploy("app:1");
  configure({"w1", "w2", "w4"});
  const auto preview = lab_.master().preview({{Lab::web(1, "app:2")}, {}});
  EXPECT_THAT(preview->witnesses, ElementsAre(HasSubstr("- witness w3"), HasSubstr("+ witness w4-x")));
  EXPECT_THAT(preview->differences, Not(Contains(HasSubstr("witness"))));
  deploy("app:2");
  EXPECT_THAT(decided_ids(), ElementsAre("w1", "w2", ::testing::StartsWith("w4-x")));
  EXPECT_EQ(gateway("gw1").held->version, 4U) << "one by both sets, one by the new one alone";
  configure({"w1", "w2", "w4", "w6", "w7"});
  deploy("app:2");
  EXPECT_THAT(decided_ids(), SizeIs(5)) << "also where nothing else is to be done";
  expect_ending(lab_.apply({{Lab::web(1, "app:2")}, {}}), Ending::unchanged);
}

TEST_F(TransactionsTest, AWrongAddressOfAWitnessStopsNoDeploy) {
  deploy("app:1");
  configure({"w1", "w2", "w3", "w4"});
  std::ofstream(scratch_.path() / "w4") << "no folder";
  deploy("app:2");
  EXPECT_TRUE(lab_.told.warned("the witnesses stay as they were"));
  EXPECT_THAT(decided_ids(), ElementsAre("w1", "w2", "w3"));
}

TEST_F(TransactionsTest, ARegisterThatMovedKeepsItsIdAndMustBeThere) {
  deploy("app:1");
  lab_.cluster.witnesses[2].path = (scratch_.path() / "elsewhere").string();
  deploy("app:2");
  EXPECT_TRUE(lab_.told.warned("there is no register of witness w3"));
  fs::rename(scratch_.path() / "w3", scratch_.path() / "elsewhere");
  deploy("app:3");
  const auto status = lab_.transactions().look();
  EXPECT_EQ(status->assessment.latest->state.witnesses[2].path, (scratch_.path() / "elsewhere").string());
  EXPECT_THAT(status->assessment.blank_witnesses, IsEmpty());
}

TEST_F(TransactionsTest, AChangeThatIsTriedAgainUsesFreshIds) {
  deploy("app:1");
  configure({"w1", "w2", "w3", "w4", "w5"});
  std::ofstream(scratch_.path() / "w5") << "no folder";
  expect_ending(lab_.transactions().change_witnesses({{"w4", "w5"}, {}, {}}), Ending::failed);
  fs::remove(scratch_.path() / "w5");
  expect_ending(lab_.transactions().change_witnesses({{"w4", "w5"}, {}, {}}), Ending::done);
  EXPECT_THAT(decided_ids(), SizeIs(5));
}

TEST_F(TransactionsTest, RecoverEndsAChangeOfWitnessesThatWasCutOffHalfWay) {
  deploy("app:1");
  const Environment environment = lab_.environment();
  {
    operation::Run cut_off(environment);
    ASSERT_TRUE(cut_off.begin());
    auto state = cut_off.latest()->state;
    state.witnesses[2] = {"w3-x1", "local", (scratch_.path() / "w3-x1").string()};
    ASSERT_EQ(cut_off.propose(state)->verdict, txn::Verdict::decided);
    cut_off.close();
  }
  lose("w1");
  expect_ending(lab_.transactions().recover(), Ending::done);
  EXPECT_THAT(decided_ids(), ElementsAre("w1", "w2", "w3-x1"));
  lose("w3");
  deploy("app:2");
  EXPECT_EQ(gateway("gw1").held->version, 4U) << "the new set alone is asked";
  expect_ending(lab_.transactions().recover(), Ending::unchanged);
}

TEST_F(TransactionsTest, AMasterThatKnowsNothingAndNamesOtherWitnessesDoesNotBeginASecondTime) {
  deploy("app:1");
  configure({"w7", "w8", "w9"});
  Lab fresh(scratch_.path() / "fresh", lab_);
  const auto refused = fresh.apply({{Lab::web(1, "app:9")}, {}});
  EXPECT_EQ(refused.status(), k4t::Status::conflict);
  EXPECT_THAT(refused.error().message, HasSubstr("holds version 1 of this cluster"));
  EXPECT_FALSE(fs::exists(scratch_.path() / "w7")) << "and makes no registers";
}

// ---- force ------------------------------------------------------------------------------------------------------

/// After version 1.
constexpr std::uint64_t forced_version = 1 + forced_leap;

class Forced : public TransactionsTest {
 protected:
  Result<Report> force() {
    ForceOptions options;
    options.why = "two disks are gone";
    options.confirm = [this](const Forcing& forcing) {
      shown_ = forcing;
      return says_yes_;
    };
    return lab_.transactions().force(options);
  }
  /// Two of three witnesses are gone for good, and new machines take their place.
  void lose_majority() {
    lose("w2");
    lose("w3");
    configure({"w1", "w8", "w9"});
  }
  std::optional<Forcing> shown_;
  bool says_yes_ = true;
};

TEST_F(Forced, IsRefusedWhileAMajorityAnswers) {
  deploy("app:1");
  lose("w3");
  const auto refused = force();
  EXPECT_EQ(refused.status(), k4t::Status::conflict);
  EXPECT_FALSE(shown_);
}

TEST_F(Forced, ChangesNothingWithoutTheUsersWord) {
  deploy("app:1");
  lose_majority();
  says_yes_ = false;
  EXPECT_EQ(force().status(), k4t::Status::invalid_argument);
  EXPECT_FALSE(fs::exists(scratch_.path() / "w8"));
  EXPECT_EQ(gateway("gw1").held->version, 1U);
}

TEST_F(Forced, WithoutItNothingGoesOn) {
  deploy("app:1");
  lose_majority();
  EXPECT_EQ(lab_.apply({{Lab::web(1, "app:2")}, {}}).status(), k4t::Status::unavailable);
}

TEST_F(Forced, TheNewHistoryGoesOnWithItsOwnWitnesses) {
  deploy("app:1");
  lose_majority();
  expect_ending(force(), Ending::done);
  EXPECT_EQ(gateway("gw1").held->version, forced_version);
  EXPECT_THAT(decided_ids(), SizeIs(3));
  const auto latest = lab_.transactions().look()->assessment.latest;
  ASSERT_TRUE(latest->state.forced);
  EXPECT_EQ(latest->state.forced->why, "two disks are gone");
  EXPECT_THAT(latest->state.forced->discarded, Contains(HasSubstr("only witness w2 knows")));
  deploy("app:2");
  EXPECT_EQ(gateway("gw1").held->version, forced_version + 1);
  EXPECT_TRUE(lab_.transactions().look()->assessment.latest->state.forced) << "until it is acknowledged";
  expect_ending(lab_.transactions().acknowledge(), Ending::done);
  EXPECT_FALSE(lab_.transactions().look()->assessment.latest->state.forced);
}

TEST_F(Forced, WhoWasAwayRejoinsOnlyByAnExplicitOverwrite) {
  deploy("app:1");
  lose_majority();
  gateway("gw2").faults.down = true;
  expect_ending(force(), Ending::lagging);
  gateway("gw2").faults.down = false;
  expect_ending(lab_.master().sync(false), Ending::lagging);
  EXPECT_EQ(gateway("gw2").held->version, 1U);
  expect_ending(lab_.transactions().overwrite({{txn::Group::gateway, "gw2"}}), Ending::done);
  EXPECT_EQ(gateway("gw2").held->version, forced_version);
  expect_ending(lab_.transactions().acknowledge(), Ending::done);
  EXPECT_FALSE(lab_.transactions().look()->assessment.latest->state.forced);
}

TEST_F(Forced, TheOldMajorityThatComesBackCannotCommitAgainstTheNewHistory) {
  deploy("app:1");
  Lab old(scratch_.path() / "old", lab_);
  lose_majority();
  expect_ending(force(), Ending::done);
  bring_back("w2");
  bring_back("w3");
  lose("w1");  // the only signpost
  old.take_over = true;
  const auto report = old.apply({{Lab::web(1, "app:9")}, {}});
  expect_ending(report, Ending::failed);
  EXPECT_THAT(report->why->message, HasSubstr("which the witnesses do not know"));
  EXPECT_EQ(gateway("gw1").held->version, forced_version);
}

TEST_F(Forced, AfterLosingTheMastersMemoryTooTheSignpostShowsTheWay) {
  deploy("app:1");
  lose_majority();
  expect_ending(force(), Ending::done);
  const auto ids = decided_ids();
  configure({"w1", "w2", "w3"});
  Lab fresh(scratch_.path() / "fresh", lab_);
  const auto status = fresh.transactions().look();
  ASSERT_TRUE(status);
  ASSERT_NE(status->assessment.latest, nullptr);
  EXPECT_EQ(status->assessment.latest->record.version, forced_version);
  EXPECT_TRUE(status->assessment.majority) << "of the new set";
}

}  // namespace
}  // namespace k4t::operation
