#include "load_archive.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/process.hpp"

namespace k4t::docker {
namespace {

using k4t::testing::run;
using k4t::testing::Scratch;
using runtime::Extent;
using runtime::LoadRequest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

LoadRequest two_layers() {
  return {"/f", {"web:1"}, {0, 6}, {{"sha256:a", {6, 3}, false}, {"sha256:b", {9, 4}, false}}};
}

/// What the segments are of a file with this content.
std::string assemble(const std::vector<Segment>& segments, const std::string& file) {
  std::string bytes;
  for (const auto& segment : segments) {
    const auto* text = std::get_if<std::string>(&segment);
    const auto* extent = std::get_if<Extent>(&segment);
    bytes += text != nullptr ? *text : file.substr(extent->offset_bytes, extent->bytes);
  }
  return bytes;
}

TEST(LoadArchive, IsATarThatTarReads) {
  const Scratch scratch;
  const auto segments = load_archive(two_layers());
  ASSERT_TRUE(segments.ok());
  const std::string bytes = assemble(*segments, "configfirstnext");
  EXPECT_EQ(bytes.size(), size_bytes(*segments));
  const auto path = scratch.write("image.tar", bytes).string();
  EXPECT_EQ(run({"tar", "-tf", path}).out, "manifest.json\nconfig.json\n0.tar\n1.tar\n");
  EXPECT_EQ(run({"tar", "-xOf", path, "config.json"}).out, "config");
  EXPECT_EQ(run({"tar", "-xOf", path, "1.tar"}).out, "stne");
  EXPECT_EQ(run({"tar", "-xOf", path, "manifest.json"}).out,
            R"([{"Config":"config.json","Layers":["0.tar","1.tar"],"RepoTags":["web:1"]}])");
}

TEST(LoadArchive, NamesALayerThatIsLeftOutAndDoesNotHoldIt) {
  const Scratch scratch;
  auto request = two_layers();
  request.layers.front().left_out = true;
  const auto path = scratch.write("image.tar", assemble(*load_archive(request), "configfirstnext")).string();
  EXPECT_EQ(run({"tar", "-tf", path}).out, "manifest.json\nconfig.json\n1.tar\n");
  EXPECT_THAT(run({"tar", "-xOf", path, "manifest.json"}).out, HasSubstr(R"(["0.tar","1.tar"])"));
}

TEST(LoadArchive, SaysSizesAboveEightGigabytes) {
  auto request = two_layers();
  request.layers.front().at.bytes = (std::uint64_t{1} << 33U) + 5;
  const auto segments = load_archive(request);
  ASSERT_TRUE(segments.ok());
  EXPECT_GT(size_bytes(*segments), std::uint64_t{1} << 33U);
  // tar lists the member with its size, and then finds that the rest is not there.
  const Scratch scratch;
  std::string head;
  for (const auto& segment : *segments) {
    if (const auto* extent = std::get_if<Extent>(&segment); extent != nullptr && extent->bytes > 1000) break;
    const auto* text = std::get_if<std::string>(&segment);
    head += text != nullptr ? *text : "config";
  }
  EXPECT_THAT(run({"tar", "-tvf", scratch.write("image.tar", head).string()}).out, HasSubstr(" 8589934597 "));
}

TEST(LoadArchive, RefusesNamesThatCannotBeGiven) {
  for (const char* name : {"", "web@sha256:00", "-web", "a b", "sha256:00", "a..b"}) {
    auto request = two_layers();
    request.names = {name};
    EXPECT_EQ(load_archive(request).status(), Status::invalid_argument) << name;
  }
}

TEST(ImageOf, TellsNamesAndLayersAndLeavesOutNone) {
  const Json summary{{"Id", "sha256:1"},
                     {"RepoTags", {"web:1", "<none>:<none>"}},
                     {"RepoDigests", {"<none>@<none>", "example.net/web@sha256:2"}},
                     {"Size", 7}};
  const auto image = image_of(summary, Json::parse(R"({"RootFS": {"Layers": ["sha256:3"]}})"));
  ASSERT_TRUE(image.ok());
  EXPECT_THAT(image->names, ElementsAre("example.net/web@sha256:2", "web:1"));
  EXPECT_THAT(image->layers, ElementsAre("sha256:3"));
  EXPECT_EQ(image->size_bytes, 7U);
  EXPECT_TRUE(image_of({{"Id", "sha256:1"}, {"RepoTags", nullptr}}, nullptr).ok());
}

TEST(ImageOf, WhatIsMalformedIsUnavailable) {
  for (const Json& summary : {Json{}, Json{{"Id", 7}}, Json{{"Id", "x"}, {"RepoTags", 7}},
                              Json{{"Id", "x"}, {"Size", "y"}}, Json{{"Id", "x"}, {"RepoTags", {7}}}}) {
    EXPECT_EQ(image_of(summary, nullptr).status(), Status::unavailable) << summary;
  }
  const Json sound{{"Id", "sha256:1"}};
  for (const char* inspected : {"{}", R"({"RootFS": 7})", R"({"RootFS": {"Layers": [7]}})", "[]"}) {
    EXPECT_EQ(image_of(sound, Json::parse(inspected)).status(), Status::unavailable) << inspected;
  }
}

TEST(LoadError, TellsWhatTheEngineMeans) {
  auto request = two_layers();
  const char* absent = "open /var/lib/docker/tmp/docker-import-1/0.tar: no such file or directory";
  EXPECT_EQ(load_error(request, absent).status, Status::unavailable);
  request.layers.front().left_out = true;
  EXPECT_EQ(load_error(request, absent).status, Status::conflict);
  EXPECT_EQ(load_error(request, "invalid diffID for layer 0").status, Status::invalid_argument);
  const auto full = load_error(request, "write /data: no space left on device");
  EXPECT_EQ(full.status, Status::unavailable);
  EXPECT_THAT(full.message, HasSubstr("no space left"));
}

}  // namespace
}  // namespace k4t::docker
