#include "backup/keeper.hpp"

#include "backup/beside.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "support/process.hpp"

namespace k4t::backup {
namespace {

namespace fs = std::filesystem;
using k4t::testing::Scratch;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A store, a key, and two folders of this machine that keep copies. That these do not count as safe is the business of
/// the tests with other machines.
class KeeperTest : public ::testing::Test {
 protected:
  KeeperTest() {
    cluster_.name = "demo";
    cluster_.backup_key.key_file = scratch_.write("backup.key", Key::draw().text(), 0600).string();
    for (const char* folder : {"a", "b"}) {
      model::BackupPlace place;
      place.host = "local";
      place.path = (scratch_.path() / folder).string();
      cluster_.backups.push_back(place);
    }
    cluster_.backups[1].every_s = 3600;
    store_ = *store::Store::open(scratch_.path() / "state", "test");
    EXPECT_TRUE(store_->set_cluster_id("id").ok());
  }

  std::vector<PlaceStanding> settle(store::Seconds now_s) {
    Keeper keeper(*store_, cluster_, {{"k4t.toml", "text"}}, cancelled_);
    auto standings = keeper.settle(now_s);
    EXPECT_TRUE(standings.ok()) << standings.error().message;
    return standings ? *standings : std::vector<PlaceStanding>{};
  }
  void change() {
    model::Service service;
    service.name = "s" + std::to_string(++changes_);
    ASSERT_TRUE(store_->put_service(service).ok());
  }
  std::vector<fs::path> copies(const std::string& folder) {
    std::vector<fs::path> all;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(scratch_.path() / folder / "demo", none))
      all.push_back(entry.path());
    return all;
  }

  Scratch scratch_;
  model::Cluster cluster_;
  std::unique_ptr<store::Store> store_;
  std::atomic<bool> cancelled_ = false;
  int changes_ = 0;
};

TEST_F(KeeperTest, TheFirstCopyGoesToAllAndIsTheWholeStore) {
  change();
  for (const auto& standing : settle(1000)) {
    EXPECT_TRUE(standing.sent);
    EXPECT_TRUE(standing.current);
  }
  ASSERT_THAT(copies("a"), SizeIs(1));
  EXPECT_EQ(fs::status(copies("a").front()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  const auto key = Key::read(cluster_.backup_key.key_file);
  const auto copy = unseal(Scratch::read(copies("b").front()), &*key);
  ASSERT_TRUE(copy.ok()) << copy.error().message;
  EXPECT_EQ(copy->header.cluster_id, "id");
  EXPECT_EQ(copy->files.at("k4t.toml"), "text");
  const auto folder = scratch_.path() / "restored";
  fs::create_directories(folder);
  std::ofstream(folder / "metadata.db", std::ios::binary) << copy->metadata;
  const auto restored = store::Store::open(folder, "test");
  ASSERT_TRUE(restored.ok()) << restored.error().message;
  EXPECT_THAT(*(*restored)->services(), SizeIs(1));
}

TEST_F(KeeperTest, WithoutAChangeNothingIsSent) {
  change();
  settle(1000);
  ASSERT_TRUE(store_->remember("what was seen", Json("something new")).ok());
  for (const auto& standing : settle(100'000)) EXPECT_FALSE(standing.sent);
  EXPECT_THAT(copies("a"), SizeIs(1));
}

TEST_F(KeeperTest, EachPlaceHasItsOwnInterval) {
  change();
  settle(1000);
  change();
  auto standings = settle(1010);
  EXPECT_TRUE(standings[0].sent) << "its interval is the shortest: no change is kept nowhere";
  EXPECT_TRUE(standings[1].sent) << "and the other one stands in, because the first is no other machine";
  cluster_.backups[0].host = "ssh://192.0.2.1:1";
  change();
  standings = settle(1020);
  EXPECT_TRUE(standings[0].why) << "nobody is there";
  EXPECT_TRUE(standings[1].sent);
}

TEST_F(KeeperTest, WhatCannotBeSentIsToldAndSentLater) {
  change();
  std::ofstream(scratch_.path() / "a") << "no folder";
  auto standings = settle(1000);
  ASSERT_TRUE(standings[0].why);
  EXPECT_THAT(standings[0].why->message, HasSubstr("copies on local"));
  EXPECT_FALSE(standings[0].current);
  EXPECT_TRUE(standings[1].current);
  fs::remove(scratch_.path() / "a");
  standings = settle(1001);
  EXPECT_TRUE(standings[0].sent);
  EXPECT_FALSE(standings[1].sent);
}

TEST_F(KeeperTest, WithoutItsKeyNothingIsSent) {
  change();
  fs::remove(cluster_.backup_key.key_file);
  Keeper keeper(*store_, cluster_, {}, cancelled_);
  EXPECT_THAT(keeper.settle(1000).error().message, HasSubstr("backup.key"));
  EXPECT_THAT(copies("a"), IsEmpty());
}

TEST_F(KeeperTest, WithEncryptionSwitchedOffEverybodyCanReadIt) {
  cluster_.backup_key = {false, {}, {}};
  change();
  settle(1000);
  EXPECT_TRUE(unseal(Scratch::read(copies("a").front()), nullptr).ok());
}

TEST_F(KeeperTest, WhatGoesAlongMayBeBytesAndItsChangeIsSentToo) {
  change();
  std::map<std::string, std::string> files{{"k4t.toml", "text"}, {"/etc/keytab", std::string("\x05\x02\0\xff", 4)}};
  const auto settle_with = [&](store::Seconds now_s) {
    return *Keeper(*store_, cluster_, files, cancelled_).settle(now_s);
  };
  EXPECT_TRUE(settle_with(1000)[0].sent);
  EXPECT_FALSE(settle_with(2000)[0].sent);
  const auto key = Key::read(cluster_.backup_key.key_file);
  const auto copy = unseal(Scratch::read(copies("a").front()), &*key);
  ASSERT_TRUE(copy.ok()) << copy.error().message;
  EXPECT_EQ(copy->files, files);
  files["/etc/keytab"] = "another";
  EXPECT_TRUE(settle_with(3000)[0].sent);
}

TEST_F(KeeperTest, ALongCommandIsCopiedWhileItIsAtWork) {
  cluster_.backups[0].every_s = 1;
  cluster_.backups[1].node = "b";
  change();
  const Beside beside((scratch_.path() / "state").string(), cluster_,
                      [] { return std::map<std::string, std::string>{}; });
  ASSERT_TRUE(testing::eventually([&] { return !copies("a").empty(); }));
  change();
  const auto key = Key::read(cluster_.backup_key.key_file);
  const auto has_both = [&] {
    for (const auto& file : copies("a")) {
      const auto copy = unseal(Scratch::read(file), &*key);
      if (copy && copy->metadata.find("\"s2\"") != std::string::npos) return true;
    }
    return false;
  };
  EXPECT_TRUE(testing::eventually(has_both)) << "the second change was made by the command that is still at work";
  EXPECT_THAT(copies("b"), IsEmpty()) << "its interval is an hour";
  EXPECT_TRUE(store_->put_service({}).ok()) << "the command is not held up";
}

TEST_F(KeeperTest, OldCopiesAreThinnedAndOtherFilesAreLeftAlone) {
  cluster_.backups[0].keep = 3;
  for (int i = 0; i < 6; ++i) {
    change();
    settle(1000 + 10'000 * i);
    if (i == 0) std::ofstream(scratch_.path() / "a" / "demo" / "mine.txt") << "mine";
  }
  EXPECT_THAT(copies("a"), SizeIs(3 + 1));
  EXPECT_THAT(copies("b"), SizeIs(6));
}

}  // namespace
}  // namespace k4t::backup
