#include "drivers/witness_dns.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "drivers/cluster_ports.hpp"
#include "fakes/world.hpp"
#include "support/process.hpp"

namespace k4t::drivers {
namespace {

using ::testing::HasSubstr;

const std::string run_a(32, 'a');
const std::string run_b(32, 'b');
const std::string run_c(32, 'c');

model::Record record(std::uint64_t version, const std::string& base, const std::string& suffix) {
  model::State state;
  state.dns.suffix = suffix;
  return model::make_record(base, version, state);
}

class DnsWitnessTest : public ::testing::Test {
 protected:
  DnsWitnessTest() {
    cluster_.name = "demo";
    cluster_.domain = "demo.example.net";
    cluster_.state_folder = scratch_.path() / "state";
    model::Driven server;
    server.name = "ns1";
    server.address = "192.0.2.53";
    cluster_.dns = {server};
    world_.add_dns("ns1");
    fleet_ = std::make_unique<Fleet>(cluster_,
                                     [this](const std::string&, const std::string& kind, const OpenRequest& request) {
                                       return world_.open(kind, request.name);
                                     });
  }

  DnsWitness witness(const std::string& id = "w1", const std::string& cluster = "demo") {
    return {*fleet_->dns_server("ns1"), cluster, "demo.example.net", id};
  }
  std::string& text(const std::string& id = "w1") { return world_.dns("ns1").witness_texts[id]; }
  fakes::Faults& faults() { return world_.dns("ns1").member.faults; }

  static txn::ClaimRequest claim(std::uint64_t counter, const std::string& run, bool initialise = false) {
    return {{counter, run}, "alpha root", false, initialise};
  }

  testing::Scratch scratch_;
  fakes::World world_;
  model::Cluster cluster_;
  std::unique_ptr<Fleet> fleet_;
  CallOptions options_{std::chrono::seconds(10), nullptr};
};

TEST_F(DnsWitnessTest, ItKeepsTheRulesOfAWitness) {
  auto one = witness();
  EXPECT_EQ(one.claim(claim(1, run_a), options_).status(), Status::not_found) << "BLANK";
  EXPECT_EQ(one.vote({1, run_a}, record(1, "", "x"), options_).status(), Status::not_found);
  ASSERT_TRUE(one.claim(claim(5, run_b, true), options_)->granted);
  EXPECT_FALSE(one.claim(claim(4, run_c), options_)->granted);
  EXPECT_FALSE(one.vote({5, run_a}, record(1, "", "x"), options_)->granted);
  const auto voted = record(1, "", "x");
  ASSERT_TRUE(one.vote({5, run_b}, voted, options_)->granted);
  ASSERT_TRUE(one.vote({5, run_b}, voted, options_)->granted) << "idempotent";
  EXPECT_EQ(one.vote({5, run_b}, record(1, "", "y"), options_).status(), Status::fatal);
  EXPECT_EQ(one.fetch(voted.txn, options_).status(), Status::unsupported);
  ASSERT_TRUE(one.close({5, run_b}, options_));
  const auto shown = one.peek(options_);
  ASSERT_TRUE(shown && *shown);
  EXPECT_EQ(**shown, (model::WitnessRegister{
                         "demo", "w1", {5, run_b}, "alpha root", false, model::Vote{{5, run_b}, 1, voted.txn}}));
}

TEST_F(DnsWitnessTest, OfWritersThatRaceOneWinsEachSwap) {
  ASSERT_TRUE(witness().claim(claim(1, run_a, true), options_)->granted);
  std::atomic<int> granted = 0;
  std::vector<std::thread> writers;
  for (const auto& run : {run_a, run_b, run_c}) {
    writers.emplace_back([&, run] {
      auto mine = witness();
      for (std::uint64_t counter = 2; counter < 40; ++counter) {
        const auto answer = mine.claim(claim(counter, run), options_);
        ASSERT_TRUE(answer) << answer.error().message;
        if (!answer->granted) continue;
        ++granted;
        const auto vote = mine.vote({counter, run}, record(1, "", run), options_);
        ASSERT_TRUE(vote) << vote.error().message;
        // Refused: a higher promise came in between, and shows itself.
        if (!vote->granted) {
          EXPECT_GT(vote->now.promised, (model::Epoch{counter, run}));
        }
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_GE(granted, 38);
  EXPECT_EQ((*witness().peek(options_))->promised, (model::Epoch{39, run_c})) << "the highest of all";
}

TEST_F(DnsWitnessTest, ASecondChangeNeedsNoReading) {
  auto one = witness();
  ASSERT_TRUE(one.claim(claim(1, run_a, true), options_)->granted);
  faults().fail("witness_read", {Status::unavailable, "no answer", {}});
  const auto vote = one.vote({1, run_a}, record(1, "", "x"), options_);
  ASSERT_TRUE(vote) << vote.error().message;
  EXPECT_TRUE(vote->granted);
  EXPECT_TRUE(one.close({1, run_a}, options_));
}

TEST_F(DnsWitnessTest, WhatIsRememberedIsNeverAnAnswer) {
  auto one = witness();
  ASSERT_TRUE(one.claim(claim(1, run_a, true), options_)->granted);
  ASSERT_TRUE(witness().claim(claim(2, run_b), options_)->granted);
  const auto vote = one.vote({1, run_a}, record(1, "", "x"), options_);
  ASSERT_TRUE(vote) << vote.error().message;
  EXPECT_FALSE(vote->granted);
  EXPECT_EQ(vote->now.promised, (model::Epoch{2, run_b}));
  world_.dns("ns1").witness_texts.clear();
  EXPECT_EQ(one.claim(claim(3, run_a), options_).status(), Status::not_found) << "BLANK since";
}

TEST_F(DnsWitnessTest, DamagedAndForeignTextIsFatalAndLeftAlone) {
  auto one = witness();
  ASSERT_TRUE(one.claim(claim(1, run_a, true), options_));
  for (const std::string& damage : {std::string("hello"), text() + " ", "1 other" + text().substr(6),
                                    "1 demo " + std::to_string((1ULL << 62U) + 1) + "." + run_a + " - closed"}) {
    text() = damage;
    EXPECT_EQ(one.claim(claim(2, run_a, true), options_).status(), Status::fatal) << damage;
    EXPECT_EQ(one.peek(options_).status(), Status::fatal) << damage;
    EXPECT_EQ(one.vote({2, run_a}, record(1, "", "x"), options_).status(), Status::fatal) << damage;
    EXPECT_EQ(text(), damage);
  }
}

TEST_F(DnsWitnessTest, CourtesyComparesHostsAsFarAsTheyAreKept) {
  auto one = witness();
  const std::string host(80, 'h');
  txn::ClaimRequest first = claim(1, run_a, true);
  first.holder = host + " root";
  ASSERT_TRUE(one.claim(first, options_)->granted);
  txn::ClaimRequest same = claim(2, run_b);
  same.holder = host + " admin";
  EXPECT_TRUE(one.claim(same, options_)->granted) << "the same host's dead run";
  txn::ClaimRequest other = claim(3, run_c);
  EXPECT_EQ(one.claim(other, options_).status(), Status::busy);
  other.take_over = true;
  EXPECT_TRUE(one.claim(other, options_)->granted);
}

TEST_F(DnsWitnessTest, NoAnswerIsNeverBlank) {
  auto one = witness();
  ASSERT_TRUE(one.claim(claim(1, run_a, true), options_));
  faults().down = true;
  EXPECT_EQ(one.peek(options_).status(), Status::unavailable);
  EXPECT_EQ(one.claim(claim(2, run_a, true), options_).status(), Status::unavailable);
  faults().down = false;
  faults().fail("witness_swap", {Status::busy, "changed and changed back", {}}, 1);
  EXPECT_TRUE(one.claim(claim(2, run_a), options_)->granted) << "decided again";
}

TEST_F(DnsWitnessTest, TheClustersPortKeepsTheRecordBeforeTheVote) {
  ClusterPorts ports(cluster_, *fleet_, [](const txn::Note&) { return Result<void>(); });
  const model::Witness at{"w1", "192.0.2.53", "", "ns1"};
  const auto port = ports.witness(at);
  ASSERT_TRUE(port) << port.error().message;
  ASSERT_TRUE((*port)->claim(claim(1, run_a, true), options_)->granted);
  const auto voted = record(1, "", "x");
  ASSERT_TRUE((*port)->vote({1, run_a}, voted, options_)->granted);
  EXPECT_TRUE(std::filesystem::exists(scratch_.path() / "state/records/demo" / ("k4t-record-" + voted.txn + ".json")));
  EXPECT_EQ(*(*port)->fetch(voted.txn, options_), voted);
  EXPECT_EQ((*ports.witness_itself(at))->fetch(voted.txn, options_).status(), Status::unsupported);
  EXPECT_FALSE((*ports.records())->kept_elsewhere(voted.txn));
}

TEST_F(DnsWitnessTest, AServerThatIsGoneOrMovedInTheConfigurationIsNotAsked) {
  ClusterPorts ports(cluster_, *fleet_, [](const txn::Note&) { return Result<void>(); });
  const auto gone = ports.witness({"w2", "192.0.2.53", "", "ns2"});
  EXPECT_EQ(gone.status(), Status::unavailable);
  EXPECT_THAT(gone.error().message, HasSubstr("k4t witness replace w2"));
  EXPECT_EQ(ports.witness({"w1", "192.0.2.54", "", "ns1"}).status(), Status::unavailable);
}

}  // namespace
}  // namespace k4t::drivers
