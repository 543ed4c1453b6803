#include "backup/copy_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/process.hpp"

namespace k4t::backup {
namespace {

using k4t::testing::Scratch;
using ::testing::HasSubstr;
using ::testing::Not;

Copy sample() {
  Copy copy;
  copy.header.cluster = "demo";
  copy.header.cluster_id = "0123456789abcdef";
  copy.header.made_at_s = 1'790'000'000;
  copy.header.version = 7;
  copy.header.txn = "abc";
  copy.header.counter = 12;
  copy.files = {{"k4t.toml", "[cluster]\nname = \"demo\"\n"}};
  for (int i = 0; i < 1000; ++i) copy.metadata += "secret-" + std::to_string(i) + '\n';
  copy.metadata += '\0';
  return copy;
}

std::string sealed(const Key* key) {
  Copy copy = sample();
  auto file = seal(copy, key);
  EXPECT_TRUE(file.ok());
  return *file;
}

TEST(CopyFile, ComesBackByteForByteAndTellsWhatItIsWithoutAKey) {
  const Key key = Key::draw();
  for (const Key* used : {static_cast<const Key*>(nullptr), &key}) {
    const std::string file = sealed(used);
    const auto copy = unseal(file, used);
    ASSERT_TRUE(copy.ok()) << copy.error().message;
    EXPECT_EQ(copy->metadata, sample().metadata);
    EXPECT_EQ(copy->files, sample().files);
    const auto header = read_header(file);
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(*header, copy->header);
    EXPECT_EQ(header->version, 7U);
    EXPECT_LT(file.size(), sample().metadata.size()) << "it is compressed";
  }
}

TEST(CopyFile, ShowsNothingOfItsContent) {
  const Key key = Key::draw();
  EXPECT_THAT(sealed(&key), Not(HasSubstr("secret")));
  EXPECT_THAT(sealed(&key), Not(HasSubstr("name = ")));
  EXPECT_NE(sealed(&key), sealed(&key)) << "each has a key of its own";
}

TEST(CopyFile, AnyChangedByteAndAnyMissingOneIsFound) {
  const Key key = Key::draw();
  const std::string file = sealed(&key);
  for (std::size_t at = 0; at < file.size(); at += at < 600 ? 1 : 61) {
    std::string changed = file;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(unseal(changed, &key).ok()) << "byte " << at;
  }
  for (std::size_t size = 0; size < file.size(); size += size < 600 ? 7 : 997) {
    EXPECT_FALSE(unseal(file.substr(0, size), &key).ok()) << size << " bytes";
  }
  EXPECT_FALSE(unseal(file + "x", &key).ok());
}

TEST(CopyFile, WithoutAKeyDamageIsFoundAllTheSame) {
  const std::string file = sealed(nullptr);
  const auto body = file.find('\n', file.find('\n') + 1) + 1;
  for (std::size_t at = body; at < file.size(); ++at) {
    std::string changed = file;
    changed[at] = static_cast<char>(changed[at] ^ 4);
    const auto copy = unseal(changed, nullptr);
    // zstd's own frame header has bits that mean nothing.
    if (copy) {
      EXPECT_EQ(copy->metadata, sample().metadata) << "byte " << at;
    }
  }
}

TEST(CopyFile, AForeignKeyIsTold) {
  const Key key = Key::draw();
  const Key other = Key::draw();
  EXPECT_THAT(unseal(sealed(&key), &other).error().message, HasSubstr("or the key is another cluster's"));
  EXPECT_THAT(unseal(sealed(&key), nullptr).error().message, HasSubstr("needs the cluster's backup key"));
  EXPECT_TRUE(unseal(sealed(nullptr), &other).ok()) << "what is not encrypted needs none";
}

TEST(CopyFile, WhatIsNoCopyIsRefused) {
  EXPECT_THAT(unseal("", nullptr).error().message, HasSubstr("no metadata copy"));
  EXPECT_THAT(unseal("SQLite format 3", nullptr).error().message, HasSubstr("no metadata copy"));
  std::string newer = sealed(nullptr);
  newer.replace(newer.find("copy 2"), 6, "copy 3");
  EXPECT_EQ(unseal(newer, nullptr).status(), Status::unsupported);
}

/// A header that wants all memory there is.
TEST(CopyFile, ASizeThatCannotBeIsRefusedBeforeMemoryIsTaken) {
  std::string file = sealed(nullptr);
  const auto at = file.find("\"bytes\":") + 8;
  file.replace(at, file.find(',', at) - at, "99999999999999");
  EXPECT_THAT(unseal(file, nullptr).error().message, HasSubstr("larger than any copy"));
}

TEST(Key, IsKeptInAFileThatOnlyItsOwnerReads) {
  const Scratch scratch;
  const Key key = Key::draw();
  const auto path = scratch.write("key", key.text(), 0600);
  const auto read = Key::read(path.string());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->text(), key.text());
  EXPECT_TRUE(unseal(sealed(&key), &*read).ok());
  EXPECT_EQ(Key::read(scratch.write("open", key.text(), 0640).string()).status(), Status::invalid_argument);
  EXPECT_THAT(Key::read(scratch.write("other", "k4t-backup-key-1 abc\n", 0600).string()).error().message,
              HasSubstr("no backup key"));
  EXPECT_THAT(Key::read((scratch.path() / "none").string()).error().message, HasSubstr("none"));
}

TEST(Key, OfAPassphraseIsTheSameEachTime) {
  const Scratch scratch;
  const auto path = scratch.write("passphrase", "correct horse battery\n", 0600);
  const auto key = Key::read_passphrase(path.string());
  ASSERT_TRUE(key.ok());
  const std::string file = sealed(&*key);
  const auto again = Key::read_passphrase(path.string());
  EXPECT_TRUE(unseal(file, &*again).ok());
  const Key drawn = Key::draw();
  EXPECT_THAT(unseal(file, &drawn).error().message, HasSubstr("needs a passphrase"));
  EXPECT_THAT(unseal(sealed(&drawn), &*key).error().message, HasSubstr("needs a key file"));
  EXPECT_THAT(Key::read_passphrase(scratch.write("short", "abc\n", 0600).string()).error().message,
              HasSubstr("at least 12 characters"));
}

}  // namespace
}  // namespace k4t::backup
