#include "drivers/record_folders.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "drivers/witness_file.hpp"
#include "support/process.hpp"

namespace k4t::drivers {
namespace {

namespace fs = std::filesystem;

model::Record record(std::uint64_t version, const std::string& base = {}) {
  model::State state;
  state.dns.suffix = "demo.example.net";
  return model::make_record(base, version, state);
}

class RecordFoldersTest : public ::testing::Test {
 protected:
  RecordFolders folders() {
    return RecordFolders({{transport::local_host(), here(), false}, {transport::local_host(), there(), true}});
  }
  [[nodiscard]] std::string here() const { return scratch_.path() / "here"; }
  [[nodiscard]] std::string there() const { return scratch_.path() / "there"; }
  [[nodiscard]] static fs::path file(const std::string& folder, const model::Record& kept) {
    return fs::path(folder) / ("k4t-record-" + kept.txn + ".json");
  }
  /// A file where the folder should be: nothing can be kept there.
  static void block(const std::string& folder) { std::ofstream(folder) << "no folder"; }

  testing::Scratch scratch_;
  CallOptions options_;
};

TEST_F(RecordFoldersTest, ARecordIsKeptInEveryFolderAndFoundInAny) {
  auto all = folders();
  const auto kept = record(1);
  EXPECT_EQ(all.fetch(kept.txn, options_).status(), Status::not_found);
  EXPECT_FALSE(all.kept_elsewhere(kept.txn));
  ASSERT_TRUE(all.keep(kept, options_));
  EXPECT_TRUE(all.kept_elsewhere(kept.txn));
  EXPECT_TRUE(fs::exists(file(here(), kept)));
  fs::remove_all(here());
  EXPECT_EQ(*all.fetch(kept.txn, options_), kept);
  const auto holders = all.holders(kept.txn, options_);
  ASSERT_EQ(holders.size(), 2U);
  EXPECT_EQ(holders[0].second, false);
  EXPECT_EQ(holders[1].second, true);
}

TEST_F(RecordFoldersTest, OneFolderIsEnoughAndNoneIsNot) {
  block(there());
  auto all = folders();
  const auto kept = record(1);
  ASSERT_TRUE(all.keep(kept, options_));
  EXPECT_FALSE(all.kept_elsewhere(kept.txn)) << "only the master has it";
  fs::remove_all(here());
  block(here());
  EXPECT_EQ(all.keep(record(2), options_).status(), Status::unavailable);
  auto changed = record(3);
  changed.state_text += " ";
  EXPECT_EQ(all.keep(changed, options_).status(), Status::invalid_argument);
}

TEST_F(RecordFoldersTest, WhatCannotBeReadIsNotTakenForAbsent) {
  auto all = folders();
  const auto kept = record(1);
  ASSERT_TRUE(all.keep(kept, options_));
  fs::remove_all(here());
  std::ofstream(file(there(), kept), std::ios::trunc) << "{}";
  EXPECT_EQ(all.fetch(kept.txn, options_).status(), Status::unavailable);
  EXPECT_EQ(all.holders(kept.txn, options_)[1].second, std::nullopt);
}

TEST_F(RecordFoldersTest, PruningKeepsTheVersionVotedForAndItsBase) {
  auto all = folders();
  std::vector<model::Record> chain{record(1)};
  for (std::uint64_t version = 2; version <= 4; ++version) chain.push_back(record(version, chain.back().txn));
  for (const auto& link : chain) ASSERT_TRUE(all.keep(link, options_));
  all.prune(4, options_);
  for (const auto& folder : {here(), there()}) {
    EXPECT_FALSE(fs::exists(file(folder, chain[0])));
    EXPECT_FALSE(fs::exists(file(folder, chain[1])));
    EXPECT_TRUE(fs::exists(file(folder, chain[2])));
    EXPECT_TRUE(fs::exists(file(folder, chain[3])));
  }
}

TEST_F(RecordFoldersTest, WitnessesThatVoteAtOnceKeepARecordOnce) {
  auto all = folders();
  const auto kept = record(1);
  std::vector<std::thread> voters;
  for (int n = 0; n < 4; ++n) voters.emplace_back([&] { EXPECT_TRUE(all.keep(kept, options_)); });
  for (auto& voter : voters) voter.join();
  EXPECT_EQ(*all.fetch(kept.txn, options_), kept);
}

/// A witness that remembers what was asked of it and holds no records.
class Forgetful final : public txn::WitnessPort {
 public:
  Result<txn::WitnessAnswer> claim(const txn::ClaimRequest& /*request*/, const CallOptions& /*options*/) override {
    return txn::WitnessAnswer{true, {}};
  }
  Result<txn::WitnessAnswer> vote(const model::Epoch& /*epoch*/, const model::Record& /*record*/,
                                  const CallOptions& /*options*/) override {
    ++votes;
    return txn::WitnessAnswer{true, {}};
  }
  Result<std::optional<model::WitnessRegister>> peek(const CallOptions& /*options*/) override {
    return std::optional<model::WitnessRegister>();
  }
  Result<model::Record> fetch(const std::string& /*txn*/, const CallOptions& /*options*/) override {
    return Error{Status::unsupported, "none", {}};
  }
  Result<void> close(const model::Epoch& /*epoch*/, const CallOptions& /*options*/) override { return {}; }

  int votes = 0;
};

TEST_F(RecordFoldersTest, AWitnessVotesOnlyForARecordThatIsKept) {
  auto all = folders();
  Forgetful itself;
  RecordingWitness witness(itself, all);
  const auto kept = record(1);
  ASSERT_TRUE(witness.vote({1, "a"}, kept, options_));
  EXPECT_EQ(*witness.fetch(kept.txn, options_), kept);
  fs::remove_all(here());
  fs::remove_all(there());
  block(here());
  block(there());
  EXPECT_EQ(witness.vote({1, "a"}, record(2, kept.txn), options_).status(), Status::unavailable);
  EXPECT_EQ(itself.votes, 1);
}

}  // namespace
}  // namespace k4t::drivers
