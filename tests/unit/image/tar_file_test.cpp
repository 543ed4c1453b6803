#include "image/tar_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "support/packed_image.hpp"

namespace k4t::image {
namespace {

namespace fs = std::filesystem;
using k4t::testing::make_tar;
using k4t::testing::Scratch;
using ::testing::HasSubstr;

std::string content(const TarFile& tar, const std::string& name) {
  const auto at = tar.find(name);
  return at ? *tar.read(*at, 1u << 20) : "(none)";
}

TEST(TarFile, FindsMembersWhereTheyLie) {
  const Scratch scratch;
  const std::string large(100'000, 'x');
  const std::string path = make_tar(scratch, {{"a", "first"}, {"folder/b", large}, {"empty", ""}});
  const auto tar = TarFile::open(path);
  ASSERT_TRUE(tar.ok()) << tar.error().message;
  EXPECT_EQ(content(*tar, "a"), "first");
  EXPECT_EQ(content(*tar, "./folder/../folder/b"), large);
  EXPECT_EQ(content(*tar, "empty"), "");
  EXPECT_EQ(content(*tar, "folder"), "(none)");
  // Its extents are those of the file itself.
  const auto at = tar->find("a");
  EXPECT_EQ(Scratch::read(path).substr(at->offset_bytes, at->bytes), "first");
}

TEST(TarFile, ReadsLongNamesOfEachFormat) {
  const Scratch scratch;
  const std::string name = std::string(90, 'n') + "/" + std::string(120, 'm');
  for (const char* format : {"--format=pax", "--format=gnu"}) {
    const auto tar = TarFile::open(make_tar(scratch, {{name, "deep"}, {"next", "one"}}, "t.tar", {format}));
    ASSERT_TRUE(tar.ok()) << tar.error().message;
    EXPECT_EQ(content(*tar, name), "deep") << format;
    EXPECT_EQ(content(*tar, "next"), "one") << format;
  }
}

TEST(TarFile, ReadsCompressedOnes) {
  const Scratch scratch;
  for (const char* compression : {"--gzip", "--bzip2", "--xz"}) {
    const auto tar = TarFile::open(make_tar(scratch, {{"a", "first"}, {"b", "second"}}, "t.tar", {compression}));
    ASSERT_TRUE(tar.ok()) << compression << tar.error().message;
    EXPECT_EQ(content(*tar, "b"), "second") << compression;
  }
}

TEST(TarFile, LeavesNoFileBehindOfACompressedOne) {
  const Scratch scratch;
  const Scratch folder;
  ::setenv("TMPDIR", folder.path().c_str(), 1);
  {
    const auto tar = TarFile::open(make_tar(scratch, {{"a", "first"}}, "t.tar", {"--gzip"}));
    ASSERT_TRUE(tar.ok());
    EXPECT_TRUE(fs::is_empty(folder.path()));
    EXPECT_TRUE(std::ifstream(tar->path()).good()) << "others of this user can open it";
  }
  ::setenv("TMPDIR", (folder.path() / "absent").c_str(), 1);
  const auto tar = TarFile::open((scratch.path() / "t.tar").string());
  ::unsetenv("TMPDIR");
  ASSERT_FALSE(tar.ok());
  EXPECT_THAT(tar.error().message, HasSubstr("TMPDIR"));
}

TEST(TarFile, FollowsLinksInsideOnly) {
  const Scratch scratch;
  scratch.write("d/real/layer.tar", "layer");
  fs::create_directories(scratch.path() / "d/other");
  fs::create_symlink("../real/layer.tar", scratch.path() / "d/other/layer.tar");
  fs::create_symlink("/etc/passwd", scratch.path() / "d/absolute");
  fs::create_symlink("../../../../../../etc/passwd", scratch.path() / "d/above");
  fs::create_symlink("circle", scratch.path() / "d/circle");
  fs::create_hard_link(scratch.path() / "d/real/layer.tar", scratch.path() / "d/same");
  const std::string path = (scratch.path() / "t.tar").string();
  k4t::testing::check(k4t::testing::run({"tar", "-C", (scratch.path() / "d").string(), "-cf", path, "real", "other",
                                         "absolute", "above", "circle", "same"}),
                      "tar");
  const auto tar = TarFile::open(path);
  ASSERT_TRUE(tar.ok()) << tar.error().message;
  EXPECT_EQ(content(*tar, "other/layer.tar"), "layer");
  EXPECT_EQ(content(*tar, "same"), "layer");
  for (const char* hostile : {"absolute", "above", "circle", "/etc/passwd", "../../../etc/passwd"}) {
    EXPECT_EQ(content(*tar, hostile), "(none)") << hostile;
  }
}

TEST(TarFile, RefusesWhatIsNoArchive) {
  const Scratch scratch;
  const auto refusal = [&](const std::string& path) {
    const auto tar = TarFile::open(path);
    EXPECT_FALSE(tar.ok()) << path;
    return tar.ok() ? Error{} : tar.error();
  };
  EXPECT_EQ(refusal((scratch.path() / "absent").string()).status, Status::not_found);
  EXPECT_THAT(refusal(scratch.path().string()).message, HasSubstr("is a folder"));
  EXPECT_EQ(refusal(scratch.write("text", "no archive at all\n")).status, Status::invalid_argument);
  EXPECT_EQ(refusal(scratch.write("empty", "")).status, Status::invalid_argument);
  EXPECT_EQ(refusal(scratch.write("noise", std::string(2000, '\x91'))).status, Status::invalid_argument);
}

TEST(TarFile, RefusesEveryTruncation) {
  const Scratch scratch;
  const std::string whole = Scratch::read(make_tar(scratch, {{"a", std::string(3000, 'a')}, {"b", "second"}}));
  // Up to the end of the last member's content; after it there is padding alone.
  const std::size_t end = 512 + 3072 + 512 + 6;
  for (std::size_t size = 0; size < end; size += 100) {
    EXPECT_FALSE(TarFile::open(scratch.write("cut.tar", whole.substr(0, size))).ok() && size != 3584) << size;
  }
  const std::string packed = Scratch::read(make_tar(scratch, {{"a", std::string(3000, 'a')}}, "z.tar", {"--gzip"}));
  for (std::size_t size = 0; size < packed.size(); size += 7) {
    EXPECT_FALSE(TarFile::open(scratch.write("cut.tar.gz", packed.substr(0, size))).ok()) << size;
  }
}

TEST(TarFile, SurvivesEveryChangedByteOfItsHeaders) {
  const Scratch scratch;
  const std::string whole = Scratch::read(make_tar(scratch, {{"a", "first"}, {"b", "second"}}));
  for (std::size_t at = 0; at < 512; ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x55);
    EXPECT_FALSE(TarFile::open(scratch.write("changed.tar", changed)).ok()) << at << ": its checksum is wrong";
  }
}

TEST(TarFile, ReadsNoMoreThanWasExpected) {
  const Scratch scratch;
  const auto tar = TarFile::open(make_tar(scratch, {{"a", "0123456789"}}));
  ASSERT_TRUE(tar.ok());
  EXPECT_EQ(tar->read(*tar->find("a"), 9).status(), Status::invalid_argument);
  EXPECT_TRUE(tar->read(*tar->find("a"), 10).ok());
}

}  // namespace
}  // namespace k4t::image
