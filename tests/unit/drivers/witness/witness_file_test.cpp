#include "drivers/witness_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "support/process.hpp"

namespace k4t::drivers {
namespace {

model::Record record(std::uint64_t version, const std::string& base, const std::string& suffix) {
  model::State state;
  state.dns.suffix = suffix;
  return model::make_record(base, version, state);
}

class FileWitnessTest : public ::testing::Test {
 protected:
  FileWitness witness(const std::string& id = "w1", const std::string& cluster = "demo") {
    return FileWitness(transport::local_host(), cluster, model::Witness{id, "local", folder().string()});
  }
  [[nodiscard]] std::filesystem::path folder() const { return scratch_.path() / "witness"; }
  [[nodiscard]] std::filesystem::path file() const { return folder() / "k4t-witness-w1.json"; }

  static txn::ClaimRequest claim(std::uint64_t counter, const std::string& run, bool initialise = false) {
    return {{counter, run}, "alpha root", false, initialise};
  }

  testing::Scratch scratch_;
  CallOptions options_;
};

TEST_F(FileWitnessTest, ABlankRegisterIsMadeOnlyWhenAskedFor) {
  auto one = witness();
  EXPECT_EQ(one.claim(claim(1, "a"), options_).status(), Status::not_found);
  EXPECT_EQ(one.vote({1, "a"}, record(1, "", "x"), options_).status(), Status::not_found);
  EXPECT_FALSE(std::filesystem::exists(folder()));
  EXPECT_FALSE(*one.peek(options_));
  const auto made = one.claim(claim(1, "a", true), options_);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(made->granted);
  EXPECT_TRUE(made->now.open);
  EXPECT_EQ((*one.peek(options_))->promised, (model::Epoch{1, "a"}));
}

TEST_F(FileWitnessTest, AHigherPromiseRefusesAndShowsItself) {
  auto one = witness();
  ASSERT_TRUE(one.claim(claim(5, "b", true), options_));
  const auto refused = one.claim(claim(4, "c"), options_);
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->granted);
  EXPECT_EQ(refused->now.promised.counter, 5U);
  EXPECT_FALSE(one.vote({5, "a"}, record(1, "", "x"), options_)->granted);
  EXPECT_TRUE(one.vote({5, "b"}, record(1, "", "x"), options_)->granted);
}

TEST_F(FileWitnessTest, AVoteIsKeptWithItsRecord) {
  auto one = witness();
  const auto voted = record(1, "", "example.net");
  ASSERT_TRUE(one.claim(claim(1, "a", true), options_));
  ASSERT_TRUE(one.vote({1, "a"}, voted, options_)->granted);
  ASSERT_TRUE(one.vote({1, "a"}, voted, options_)->granted) << "idempotent";
  auto again = witness();
  const auto shown = again.claim(claim(2, "a"), options_);
  ASSERT_TRUE(shown->granted);
  EXPECT_EQ(shown->now.vote, (model::Vote{{1, "a"}, 1, voted.txn}));
  EXPECT_EQ(*again.fetch(voted.txn, options_), voted);
  EXPECT_EQ(again.fetch(std::string(32, '0'), options_).status(), Status::not_found);
}

TEST_F(FileWitnessTest, OneRenameBringsAVoteAndItsRecord) {
  auto one = witness();
  const auto first = record(1, "", "first");
  const auto second = record(2, first.txn, "second");
  ASSERT_TRUE(one.claim(claim(1, "a", true), options_));
  ASSERT_TRUE(one.vote({1, "a"}, first, options_)->granted);
  const auto kept = [&](const model::Record& link) {
    return std::filesystem::exists(folder() / ("k4t-record-" + link.txn + ".json"));
  };
  EXPECT_FALSE(kept(first));
  EXPECT_EQ(*witness().fetch(first.txn, options_), first) << "from the register itself";
  ASSERT_TRUE(one.vote({1, "a"}, second, options_)->granted);
  EXPECT_TRUE(kept(first)) << "before its register is replaced";
  EXPECT_FALSE(kept(second));
  ASSERT_TRUE(witness().claim(claim(2, "b"), options_)->granted);
  EXPECT_TRUE(kept(second));
  for (const auto& link : {first, second}) EXPECT_EQ(*witness().fetch(link.txn, options_), link);
  EXPECT_EQ((*witness().peek(options_))->vote, (model::Vote{{1, "a"}, 2, second.txn}));
}

/// A kept name whose maker died before it replaced the register.
TEST_F(FileWitnessTest, ARecordThatWasKeptTwiceIsOne) {
  auto one = witness();
  const auto voted = record(1, "", "x");
  ASSERT_TRUE(one.claim(claim(1, "a", true), options_));
  ASSERT_TRUE(one.vote({1, "a"}, voted, options_)->granted);
  std::filesystem::create_hard_link(file(), folder() / ("k4t-record-" + voted.txn + ".json"));
  EXPECT_EQ((*witness().peek(options_))->vote->txn, voted.txn) << "the vote stands";
  ASSERT_TRUE(witness().claim(claim(2, "b"), options_)->granted);
  EXPECT_EQ(*witness().fetch(voted.txn, options_), voted);
}

TEST_F(FileWitnessTest, WhatIsRememberedNeverAnswersForTheFile) {
  auto one = witness();
  const auto voted = record(1, "", "x");
  ASSERT_TRUE(one.claim(claim(1, "a", true), options_));
  ASSERT_TRUE(one.vote({1, "a"}, voted, options_)->granted);
  ASSERT_TRUE(witness().claim(claim(7, "b"), options_)->granted);
  const auto repeated = one.vote({1, "a"}, voted, options_);
  EXPECT_FALSE(repeated->granted);
  EXPECT_EQ(repeated->now.promised.counter, 7U);
  EXPECT_EQ(one.claim(claim(6, "a"), options_)->now.promised.counter, 7U);
  ASSERT_TRUE(witness().claim(claim(8, "c"), options_)->granted);
  EXPECT_FALSE(one.vote({7, "b"}, record(2, voted.txn, "y"), options_)->granted);
  EXPECT_TRUE(one.claim(claim(9, "a"), options_)->granted);
  std::filesystem::remove(file());
  EXPECT_EQ(one.vote({9, "a"}, record(2, voted.txn, "y"), options_).status(), Status::not_found);
  EXPECT_EQ(one.claim(claim(10, "a"), options_).status(), Status::not_found) << "never made anew from memory";
}

TEST_F(FileWitnessTest, OneEpochVotesOnceForAVersionAndNeverBack) {
  auto one = witness();
  const auto first = record(1, "", "x");
  ASSERT_TRUE(one.claim(claim(1, "a", true), options_));
  ASSERT_TRUE(one.vote({1, "a"}, first, options_)->granted);
  EXPECT_EQ(one.vote({1, "a"}, record(1, "", "y"), options_).status(), Status::fatal);
  ASSERT_TRUE(one.vote({1, "a"}, record(2, first.txn, "z"), options_)->granted);
  EXPECT_FALSE(one.vote({1, "a"}, first, options_)->granted) << "a late duplicate";
  EXPECT_EQ((*one.peek(options_))->vote->version, 2U);
}

TEST_F(FileWitnessTest, AnotherHostsOpenClaimIsTakenOverOnlyOnRequest) {
  auto one = witness();
  ASSERT_TRUE(one.claim(claim(1, "a", true), options_));
  txn::ClaimRequest other = claim(2, "b");
  other.holder = "beta root";
  const auto busy = one.claim(other, options_);
  EXPECT_EQ(busy.status(), Status::busy);
  EXPECT_NE(busy.error().message.find("alpha"), std::string::npos);
  EXPECT_TRUE(one.claim(claim(2, "c"), options_)->granted) << "the same host's claim is a run that died";
  ASSERT_TRUE(one.close({2, "c"}, options_));
  other.epoch.counter = 3;
  EXPECT_TRUE(one.claim(other, options_)->granted);
  txn::ClaimRequest forced = claim(4, "d");
  forced.take_over = true;
  EXPECT_TRUE(one.claim(forced, options_)->granted);
}

TEST_F(FileWitnessTest, ADamagedRegisterIsReportedAndLeftAlone) {
  auto one = witness();
  ASSERT_TRUE(one.claim(claim(1, "a", true), options_));
  const std::string sound = testing::Scratch::read(file());
  for (const std::string& text : std::vector<std::string>{"", "{", "[]", "{\"cluster\":\"demo\",\"id\":\"w2\"}",
                                                          sound + "a record without a vote\n"}) {
    std::ofstream(file(), std::ios::trunc) << text;
    EXPECT_EQ(one.claim(claim(2, "a", true), options_).status(), Status::fatal) << text;
    EXPECT_EQ(one.peek(options_).status(), Status::fatal) << text;
    EXPECT_EQ(one.vote({2, "a"}, record(1, "", "x"), options_).status(), Status::fatal) << text;
    EXPECT_EQ(testing::Scratch::read(file()), text);
  }
  EXPECT_EQ(witness("w1", "other").peek(options_).status(), Status::fatal);
}

TEST_F(FileWitnessTest, ADamagedRecordIsNotHandedOut) {
  auto one = witness();
  const auto voted = record(1, "", "example.net");
  ASSERT_TRUE(one.claim(claim(1, "a", true), options_));
  ASSERT_TRUE(one.vote({1, "a"}, voted, options_)->granted);
  auto changed = voted;
  changed.state_text += " ";
  std::ofstream(folder() / ("k4t-record-" + voted.txn + ".json"), std::ios::trunc) << Json(changed).dump();
  EXPECT_EQ(one.fetch(voted.txn, options_).status(), Status::fatal);
  EXPECT_EQ(one.vote({1, "a"}, changed, options_).status(), Status::invalid_argument);
}

TEST_F(FileWitnessTest, NamesThatWouldLeaveTheFolderAreRefused) {
  EXPECT_EQ(witness("../w1").claim(claim(1, "a", true), options_).status(), Status::invalid_argument);
  EXPECT_EQ(witness().fetch("../../etc/passwd", options_).status(), Status::invalid_argument);
}

TEST_F(FileWitnessTest, ClosingDeletesOnlyRecordsThatNobodyCanAskFor) {
  auto one = witness();
  auto two = witness("w2");
  ASSERT_TRUE(one.claim(claim(1, "a", true), options_));
  ASSERT_TRUE(two.claim(claim(1, "a", true), options_));
  std::vector<model::Record> chain{record(1, "", "v1")};
  for (std::uint64_t version = 2; version <= 5; ++version) chain.push_back(record(version, chain.back().txn, "v"));
  for (const auto& link : chain) ASSERT_TRUE(one.vote({1, "a"}, link, options_)->granted);
  ASSERT_TRUE(two.vote({1, "a"}, chain[1], options_)->granted);
  ASSERT_TRUE(one.close({1, "a"}, options_));
  const auto held = [&](std::size_t at) { return one.fetch(chain[at].txn, options_).ok(); };
  EXPECT_EQ((std::vector<bool>{held(0), held(1), held(2), held(3), held(4)}),
            (std::vector<bool>{false, true, false, true, true}));
}

TEST_F(FileWitnessTest, OfManyMastersAtOnceTheHighestEpochHasTheLastWord) {
  ASSERT_TRUE(witness().claim(claim(1, "a", true), options_));
  std::vector<std::thread> masters;
  for (std::uint64_t run = 0; run < 4; ++run) {
    masters.emplace_back([this, run] {
      auto one = witness();
      for (std::uint64_t counter = 2; counter <= 6; ++counter) {
        static_cast<void>(one.claim(claim(counter, std::to_string(run)), options_));
      }
    });
  }
  for (auto& master : masters) master.join();
  EXPECT_EQ((*witness().peek(options_))->promised, (model::Epoch{6, "3"}));
}

}  // namespace
}  // namespace k4t::drivers
