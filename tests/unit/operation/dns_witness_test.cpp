#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "unit/operation/lab.hpp"

/// Clusters in which DNS servers are witnesses: their registers decide, and hold no records.

namespace k4t::operation {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

namespace fs = std::filesystem;

class DnsWitnesses : public ::testing::Test {
 protected:
  static void expect_ending(const Result<Report>& report, Ending ending) {
    ASSERT_TRUE(report) << report.error().message << '\n' << report.error().detail;
    EXPECT_EQ(to_string(report->ending), to_string(ending))
        << (report->why ? report->why->message + "\n" + report->why->detail : "");
  }
  static Result<Report> want(Lab& master, const std::string& image) { return master.apply({{Lab::web(1, image)}, {}}); }
  auto& gateway() { return alpha_.world.gateway("gw1").member; }
  fakes::Dns& server() { return alpha_.world.dns("ns1"); }
  static model::Witness in_dns(const std::string& id) { return {id, "198.51.100.53", "", "ns1"}; }

  void only_dns() { alpha_.cluster.witnesses = {in_dns("d1")}; }
  void two_folders_and_dns() {
    alpha_.cluster.witnesses.pop_back();
    alpha_.cluster.witnesses.push_back(in_dns("d1"));
  }
  void keep_records() { alpha_.cluster.records = {{"local", (scratch_.path() / "records").string()}}; }

  /// Nothing can be told of what is behind these folders.
  void lose(const std::vector<std::string>& ids) {
    for (const auto& id : ids) {
      fs::rename(scratch_.path() / id, scratch_.path() / (id + ".away"));
      fs::create_symlink(id, scratch_.path() / id);
    }
  }
  void bring_back(const std::vector<std::string>& ids) {
    for (const auto& id : ids) {
      fs::remove(scratch_.path() / id);
      fs::rename(scratch_.path() / (id + ".away"), scratch_.path() / id);
    }
  }
  /// Only the DNS server votes for this version, and the master that proposed it is gone.
  void leave_a_vote_in_dns(const std::string& image) {
    alpha_.told.watch_stage = [&](const std::string& stage) {
      if (stage.find("Change gateways") != std::string::npos) lose({"w1", "w2"});
    };
    expect_ending(want(alpha_, image), Ending::unfinished);
    alpha_.told.watch_stage = nullptr;
    bring_back({"w1", "w2"});
  }

  k4t::testing::Scratch scratch_;
  Lab alpha_{scratch_.path()};
};

TEST_F(DnsWitnesses, OneAloneDecides) {
  only_dns();
  const auto first = want(alpha_, "app:1");
  expect_ending(first, Ending::done);
  EXPECT_TRUE(first->single_copy) << "nobody but the master has the record";
  EXPECT_THAT(server().witness_texts.at("d1"), HasSubstr("/1/" + first->latest->record.txn + " closed alpha root"));
  expect_ending(want(alpha_, "app:2"), Ending::done);
  EXPECT_EQ(gateway().held->version, 2U);
}

TEST_F(DnsWitnesses, AMasterWithoutMetadataFindsTheRecordInItsFolder) {
  only_dns();
  keep_records();
  expect_ending(want(alpha_, "app:1"), Ending::done);
  Lab beta(scratch_.path() / "beta", alpha_);
  expect_ending(want(beta, "app:2"), Ending::done);
  EXPECT_EQ(gateway().held->version, 2U);
  expect_ending(want(alpha_, "app:3"), Ending::done);
  EXPECT_EQ(gateway().held->version, 3U);
}

TEST_F(DnsWitnesses, AVoteWhoseRecordIsNowhereReachableStopsEverybodyElse) {
  two_folders_and_dns();
  expect_ending(want(alpha_, "app:1"), Ending::done);
  leave_a_vote_in_dns("app:2");
  Lab beta(scratch_.path() / "beta", alpha_);
  beta.take_over = true;
  const auto stopped = want(beta, "app:3");
  expect_ending(stopped, Ending::failed);
  EXPECT_THAT(stopped->why->message, HasSubstr("the record of version 2 cannot be read from any witness that voted"));
  EXPECT_THAT(stopped->why->detail, HasSubstr("bring the machine of the master that proposed it back"));
  EXPECT_EQ(gateway().held->version, 1U) << "never dropped, never replaced";
  alpha_.take_over = true;
  expect_ending(alpha_.transactions().recover(), Ending::done);
  EXPECT_EQ(gateway().held->version, 2U);
  expect_ending(want(beta, "app:3"), Ending::done);
  EXPECT_EQ(gateway().held->version, 3U);
}

TEST_F(DnsWitnesses, AVoteInDnsIsFinishedByAnotherMasterFromTheRecordFolder) {
  two_folders_and_dns();
  keep_records();
  expect_ending(want(alpha_, "app:1"), Ending::done);
  leave_a_vote_in_dns("app:2");
  Lab beta(scratch_.path() / "beta", alpha_);
  beta.take_over = true;
  expect_ending(beta.transactions().recover(), Ending::done);
  EXPECT_EQ(gateway().held->version, 2U);
}

TEST_F(DnsWitnesses, WithFoldersBesidesAnyOneMayBeAway) {
  two_folders_and_dns();
  expect_ending(want(alpha_, "app:1"), Ending::done);
  lose({"w1"});
  expect_ending(want(alpha_, "app:2"), Ending::done);
  bring_back({"w1"});
  server().member.faults.down = true;
  alpha_.cluster.dns_availability = model::Availability::one;
  EXPECT_NE(want(alpha_, "app:3")->ending, Ending::done) << "the only DNS server of the group is away as well";
  server().member.faults.down = false;
  expect_ending(want(alpha_, "app:3"), Ending::done);
  EXPECT_EQ(gateway().held->version, 3U);
}

TEST_F(DnsWitnesses, ARebuiltZoneIsADeadWitnessAndGetsANewRegister) {
  two_folders_and_dns();
  expect_ending(want(alpha_, "app:1"), Ending::done);
  server().witness_texts.clear();
  const auto status = alpha_.transactions().look();
  ASSERT_TRUE(status);
  EXPECT_THAT(status->assessment.blank_witnesses, SizeIs(1));
  expect_ending(want(alpha_, "app:2"), Ending::done);
  EXPECT_TRUE(server().witness_texts.empty()) << "the old register is never made again";
  expect_ending(alpha_.transactions().change_witnesses({{}, {}, {"d1"}}), Ending::done);
  ASSERT_THAT(server().witness_texts, SizeIs(1));
  EXPECT_THAT(server().witness_texts.begin()->first, HasSubstr("d1-x"));
  lose({"w1"});
  expect_ending(want(alpha_, "app:3"), Ending::done);
  bring_back({"w1"});
}

TEST_F(DnsWitnesses, ThoseThatJoinAndLeaveAreVersionsAsOfFolders) {
  expect_ending(want(alpha_, "app:1"), Ending::done);
  alpha_.cluster.witnesses.push_back(in_dns("d1"));
  expect_ending(alpha_.transactions().change_witnesses({{"d1"}, {}, {}}), Ending::done);
  auto status = alpha_.transactions().look();
  EXPECT_THAT(status->assessment.latest->state.witnesses, SizeIs(4));
  alpha_.cluster.witnesses.pop_back();
  expect_ending(alpha_.transactions().change_witnesses({{}, {"d1"}, {}}), Ending::done);
  status = alpha_.transactions().look();
  EXPECT_THAT(status->assessment.latest->state.witnesses, SizeIs(3));
}

TEST_F(DnsWitnesses, AStateDecidedBeforeThereWereAnyReadsAndWritesAsItWas) {
  model::State state;
  state.witnesses = {{"w1", "ssh://h1", "/w"}};
  EXPECT_THAT(Json(state).dump(), HasSubstr(R"("witnesses":[{"host":"ssh://h1","id":"w1","path":"/w"}])"));
  state.witnesses.push_back(in_dns("d1"));
  EXPECT_EQ(*decode<model::State>(Json::parse(Json(state).dump())), state);
}

}  // namespace
}  // namespace k4t::operation
