#include "operation/force.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operation/witnesses.hpp"

/// What is chosen when a majority is gone, from what is left.

namespace k4t::operation {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

txn::EntryPtr entry_after(const txn::EntryPtr& base, const std::string& suffix) {
  model::State state;
  state.dns.suffix = suffix;
  state.former_witnesses = std::vector<model::Witness>{{"w0", "local", "/w0"}};
  const auto record = base == nullptr ? model::make_record("", 1, state)
                                      : model::make_record(base->record.txn, base->record.version + 1, state);
  return std::make_shared<const txn::Entry>(txn::Entry{record, state});
}

txn::Peeked vote(const std::string& id, std::uint64_t counter, const txn::EntryPtr& entry) {
  model::WitnessRegister shown{"demo", id, {counter, "run"}, "alpha root", false, {}};
  if (entry) shown.vote = model::Vote{{counter, "run"}, entry->record.version, entry->record.txn};
  return {{id, "local", "/" + id}, std::optional(shown)};
}

txn::Peeked silent(const std::string& id) {
  return {{id, "local", "/" + id}, Error{k4t::Status::unavailable, "no route", {}}};
}

txn::Member holds(const std::string& name, const std::optional<Register>& held) {
  txn::Member member{{txn::Group::gateway, name}, true, txn::Standing::current, Observation{}, {}};
  member.seen->stored = held;
  member.seen->served = held;
  return member;
}

class ChooseForced : public ::testing::Test {
 protected:
  ChooseForced() { evidence_.cluster = "demo"; }
  Result<Forcing> choose() {
    return choose_forced(evidence_, {"alpha root", "gone", "salt", {{"x2", "local", "/x2"}, {"x1", "local", "/x1"}}});
  }
  const txn::EntryPtr one_ = entry_after(nullptr, "one");
  const txn::EntryPtr two_ = entry_after(one_, "two");
  const txn::EntryPtr three_ = entry_after(two_, "three");
  Evidence evidence_;
};

TEST_F(ChooseForced, TakesTheHighestVoteWhoseRecordIsThere) {
  evidence_.witnesses = {vote("w1", 5, two_), vote("w2", 9, three_), silent("w3")};
  evidence_.records = {one_, two_};
  const auto forcing = choose();
  ASSERT_TRUE(forcing);
  EXPECT_EQ(forcing->chosen, two_);
  EXPECT_EQ(forcing->entry->record.version, 3U + forced_leap) << "far above all that was seen anywhere";
  EXPECT_EQ(forcing->entry->record.base, two_->record.txn);
  EXPECT_EQ(forcing->counter, 9U);
  EXPECT_FALSE(forcing->entry->state.former_witnesses) << "only the new set decides";
  EXPECT_EQ(forcing->entry->state.witnesses.front().id, "x1");
  EXPECT_THAT(forcing->entry->state.forced->discarded, Contains(HasSubstr("version 3")));
  EXPECT_THAT(forcing->entry->state.forced->discarded, Contains(HasSubstr("only witness w3 knows")));
}

TEST_F(ChooseForced, WhatIsServedIsDecidedAndComesBeforeAnOlderVote) {
  evidence_.witnesses = {vote("w1", 5, one_), silent("w2")};
  evidence_.records = {one_, two_};
  evidence_.members = {holds("gw1", txn::register_of("demo", *two_, "a.1"))};
  EXPECT_EQ(choose()->chosen, two_);
}

TEST_F(ChooseForced, AnUndecidedRecordInTheStoreIsNotTaken) {
  evidence_.witnesses = {silent("w1"), silent("w2")};
  evidence_.records = {one_, two_};
  evidence_.decided = {one_->record.txn};
  const auto forcing = choose();
  EXPECT_EQ(forcing->chosen, one_);
  EXPECT_EQ(forcing->entry->record.version, 2U + forced_leap) << "a version number is never used for two contents";
  EXPECT_THAT(forcing->entry->state.forced->discarded, Contains(HasSubstr("version 2")));
}

TEST_F(ChooseForced, AnotherClustersMachineIsNeitherCountedNorOverwritten) {
  evidence_.records = {one_};
  evidence_.decided = {one_->record.txn};
  evidence_.members = {holds("gw1", Register{"theirs", 99, std::string(32, 'f'), "x.1"}), holds("gw2", std::nullopt)};
  const auto forcing = choose();
  EXPECT_EQ(forcing->entry->record.version, 1U + forced_leap);
  EXPECT_THAT(forcing->overwritten, ElementsAre(txn::Participant{txn::Group::gateway, "gw2"}));
}

TEST_F(ChooseForced, WhoDoesNotAnswerIsDivergedFromThenOn) {
  evidence_.records = {one_};
  evidence_.decided = {one_->record.txn};
  txn::Member away{{txn::Group::dns, "ns1"}, true, txn::Standing::unknown, {}, {}};
  evidence_.members = {away};
  const auto forcing = choose();
  EXPECT_THAT(forcing->entry->state.forced->diverged_dns, ElementsAre("ns1"));
  EXPECT_THAT(forcing->overwritten, IsEmpty());
  const Register held = txn::register_of("demo", *one_, "a.1");
  const Observation seen{held, held, Content::clean, false, {}, {}};
  EXPECT_EQ(txn::standing_of("demo", forcing->entry.get(), seen), txn::Standing::behind);
  EXPECT_EQ(txn::standing_of("demo", forcing->entry.get(), away.who, seen), txn::Standing::diverged);
}

TEST_F(ChooseForced, WithoutAnyRecordThereIsNothingToGoOnFrom) {
  evidence_.witnesses = {vote("w1", 5, two_)};
  EXPECT_EQ(choose().status(), k4t::Status::unavailable);
}

TEST_F(ChooseForced, TwoForcesOfTheSameStateHaveDifferentNames) {
  evidence_.records = {one_};
  evidence_.decided = {one_->record.txn};
  const auto first = choose_forced(evidence_, {"a", "b", "salt1", {{"x1", "local", "/x1"}}});
  const auto second = choose_forced(evidence_, {"a", "b", "salt2", {{"x1", "local", "/x1"}}});
  EXPECT_NE(first->entry->record.txn, second->entry->record.txn);
}

TEST(WitnessIds, OfLaterRegistersHaveADrawnEnding) {
  const std::string fresh = fresh_witness_id("w3", "run");
  EXPECT_EQ(witness_base(fresh), "w3");
  EXPECT_EQ(witness_base(fresh_witness_id(fresh, "run2")), "w3") << "endings do not pile up";
  EXPECT_NE(fresh_witness_id("w3", "run"), fresh_witness_id("w3", "run2"));
  EXPECT_EQ(witness_base("w3-xray"), "w3-xray");
  const std::vector<model::Witness> decided{{fresh, "local", "/w3"}};
  EXPECT_EQ(find_witness(decided, "w3"), &decided.front());
  EXPECT_EQ(find_witness(decided, fresh), &decided.front());
  EXPECT_EQ(find_witness(decided, fresh_witness_id("w3", "other")), nullptr) << "two registers";
}

TEST(WitnessAdvice, SaysWhatASetCanLose) {
  const auto says = [](const std::vector<model::Witness>& set, const std::vector<model::RecordFolder>& records = {}) {
    std::string all;
    for (const auto& one : advise(set, records)) all += one.says + '\n';
    return all;
  };
  EXPECT_THAT(says({{"a", "local", "/a"}}), HasSubstr("losing it loses the redo log"));
  EXPECT_THAT(says({{"a", "ssh://h1", "/a"}}), HasSubstr("while its machine is down"));
  EXPECT_THAT(says({{"a", "ssh://h1", "/a"}, {"b", "ssh://h2", "/b"}}), HasSubstr("of 2 witnesses 0 may be down"));
  EXPECT_THAT(says({{"a", "ssh://h1", "/a"}, {"b", "ssh://h1", "/b"}, {"c", "ssh://h2", "/c"}}),
              HasSubstr("a, b are on one machine"));
  EXPECT_EQ(says({{"a", "ssh://h1", "/a"}, {"b", "ssh://h2", "/b"}, {"c", "ssh://h3", "/c"}}), "");
  const std::vector<model::Witness> two_in_dns{
      {"a", "ssh://h1", "/a"}, {"b", "192.0.2.1", "", "ns1"}, {"c", "192.0.2.2", "", "ns2"}};
  EXPECT_THAT(says(two_in_dns), HasSubstr("DNS servers can decide alone"));
  EXPECT_THAT(says(two_in_dns, {{"local", "/r"}}), HasSubstr("DNS servers can decide alone"));
  EXPECT_EQ(says(two_in_dns, {{"ssh://h1", "/r"}}), "");
  EXPECT_THAT(says({{"a", "ssh://k4t@192.0.2.1:22", "/a"}, {"b", "ssh://h2", "/b"}, {"c", "192.0.2.1", "", "ns1"}}),
              HasSubstr("a, c are on one machine"));
}

}  // namespace
}  // namespace k4t::operation
