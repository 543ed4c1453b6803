#include "image/archive.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/packed_image.hpp"

namespace k4t::image {
namespace {

using k4t::testing::add_blob;
using k4t::testing::add_image;
using k4t::testing::config_of;
using k4t::testing::digest_of;
using k4t::testing::layout;
using k4t::testing::make_tar;
using k4t::testing::Members;
using k4t::testing::saved;
using k4t::testing::Scratch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<std::vector<PackedImage>> read(const Members& members) {
  const Scratch scratch;
  const auto tar = TarFile::open(make_tar(scratch, members));
  if (!tar) return tar.error();
  return images_of(*tar);
}

std::string refusal(const Members& members) {
  const auto images = read(members);
  if (images.ok()) return "(accepted)";
  EXPECT_EQ(images.status(), Status::invalid_argument);
  return images.error().message;
}

void replace(Members& members, const std::string& name, const std::string& content) {
  for (auto& [member, text] : members) {
    if (member == name) text = content;
  }
}

TEST(Archive, ReadsWhatDockerSaves) {
  const Scratch scratch;
  const Members members = saved({"base", "top"}, {"docker.io/library/web:1", "registry.example.net:5000/web"});
  const auto tar = TarFile::open(make_tar(scratch, members));
  ASSERT_TRUE(tar.ok());
  const auto images = images_of(*tar);
  ASSERT_TRUE(images.ok()) << images.error().message;
  ASSERT_EQ(images->size(), 1U);
  const PackedImage& image = images->front();
  EXPECT_EQ(image.id, digest_of(config_of({"base", "top"})));
  EXPECT_THAT(image.names, ElementsAre("registry.example.net:5000/web:latest", "web:1"));
  ASSERT_EQ(image.layers.size(), 2U);
  EXPECT_EQ(image.layers[1].digest, digest_of("top"));
  EXPECT_EQ(*tar->read(image.layers[1].at, 100), "top");
  EXPECT_EQ(*tar->read(image.config, 1000), config_of({"base", "top"}));
}

TEST(Archive, ReadsAnOciLayoutWithNames) {
  Members members;
  Json one = add_image(members, {"base", "one"});
  Json two = add_image(members, {"base", "two"});
  one["annotations"] = {{"org.opencontainers.image.ref.name", "1"},
                        {"io.containerd.image.name", "docker.io/team/one:1"}};
  two["annotations"] = {{"org.opencontainers.image.ref.name", "example.net/two:2"}};
  const auto images = read(layout(members, {one, two}));
  ASSERT_TRUE(images.ok()) << images.error().message;
  ASSERT_EQ(images->size(), 2U);
  EXPECT_THAT(images->front().names, ElementsAre("team/one:1"));
  EXPECT_THAT(images->back().names, ElementsAre("example.net/two:2"));
  EXPECT_EQ(images->front().layers.front().at, images->back().layers.front().at) << "the shared layer is there once";
}

TEST(Archive, FindsTheOneImageOfAnIndexBesideItsAttestation) {
  Members members;
  Json image = add_image(members, {"base"});
  image["platform"] = {{"os", "linux"}, {"architecture", "amd64"}};
  Json attestation = add_blob(members, R"({"config":{}})");
  attestation["platform"] = {{"os", "unknown"}, {"architecture", "unknown"}};
  const Json index = add_blob(members, Json{{"manifests", Json::array({image, attestation})}}.dump());
  EXPECT_TRUE(read(layout(members, Json::array({index}))).ok());
  Json other = add_image(members, {"arm"});
  other["platform"] = {{"os", "linux"}, {"architecture", "arm64"}};
  const Json several = add_blob(members, Json{{"manifests", Json::array({image, other})}}.dump());
  EXPECT_THAT(refusal(layout(members, Json::array({several}))), HasSubstr("several platforms"));
}

TEST(Archive, RefusesAnIndexThatNeverEnds) {
  Members members;
  Json inner = add_image(members, {"base"});
  for (int depth = 0; depth < 6; ++depth) inner = add_blob(members, Json{{"manifests", Json::array({inner})}}.dump());
  EXPECT_THAT(refusal(layout(members, Json::array({inner}))), HasSubstr("platforms"));
}

TEST(Archive, RefusesWhatIsNotAllThere) {
  Members members = saved({"base", "top"}, {"web:1"});
  Members without_layer = members;
  std::erase_if(without_layer, [](const auto& member) { return member.first == "l1/layer.tar"; });
  EXPECT_THAT(refusal(without_layer), HasSubstr("lacks its layer l1/layer.tar"));
  Members without_config = members;
  std::erase_if(without_config, [](const auto& member) { return member.first == "config.json"; });
  EXPECT_THAT(refusal(without_config), HasSubstr("lacks its part config.json"));
  replace(members, "config.json", config_of({"base"}));
  EXPECT_THAT(refusal(members), HasSubstr("an image of 1 layers with 2 of them"));
  EXPECT_THAT(refusal({{"readme", "nothing"}}), HasSubstr("holds no images"));
  EXPECT_THAT(refusal({{"manifest.json", "[]"}}), HasSubstr("holds no images"));
}

TEST(Archive, RefusesABlobThatIsNotWhatItsDigestSays) {
  Members members;
  const Json image = add_image(members, {"base"});
  replace(members, "blobs/sha256/" + sha256_hex(config_of({"base"})), config_of({"evil"}));
  EXPECT_THAT(refusal(layout(members, Json::array({image}))), HasSubstr("is not what its digest says"));
}

TEST(Archive, RefusesPathsThatLeadElsewhere) {
  for (const char* path : {"/etc/passwd", "../../../../etc/passwd", "l0/../../../etc/passwd", ""}) {
    Members members = saved({"base"}, {"web:1"});
    replace(members, "manifest.json",
            Json::array({{{"Config", path}, {"RepoTags", {"web:1"}}, {"Layers", {"l0/layer.tar"}}}}).dump());
    EXPECT_THAT(refusal(members), HasSubstr("lacks its part")) << path;
    replace(members, "manifest.json",
            Json::array({{{"Config", "config.json"}, {"RepoTags", {"web:1"}}, {"Layers", {path}}}}).dump());
    EXPECT_THAT(refusal(members), HasSubstr("lacks its layer")) << path;
  }
  for (const char* digest : {"sha256:../../../../etc/passwd", "sha512:00", "sha256:", "sha256:ABC"}) {
    EXPECT_THAT(refusal(layout({}, Json::array({Json{{"digest", digest}}}))), HasSubstr("malformed digest")) << digest;
  }
}

TEST(Archive, RefusesEveryMalformedShape) {
  for (const char* manifest : {"", "{", "null", "7", "{}", "[7]", "[null]", R"([{"Config":7}])",
                               R"([{"Config":"config.json","Layers":7}])", R"([{"Config":"config.json","Layers":[7]}])",
                               R"([{"Config":"config.json","Layers":["l0/layer.tar"],"RepoTags":[{}]}])",
                               R"([{"Config":"config.json","Layers":{"a":"l0/layer.tar","b":7}}])"}) {
    Members members = saved({"base"}, {"web:1"});
    replace(members, "manifest.json", manifest);
    EXPECT_NE(refusal(members), "(accepted)") << manifest;
  }
  for (const char* config :
       {"", "[]", "7", "{}", R"({"rootfs":7})", R"({"rootfs":{"diff_ids":[7]}})", R"({"rootfs":{"diff_ids":["x"]}})"}) {
    Members members = saved({"base"}, {"web:1"});
    replace(members, "config.json", config);
    EXPECT_NE(refusal(members), "(accepted)") << config;
  }
  for (const char* index : {"", "7", "[]", R"({"manifests":7})", R"({"manifests":[7]})", R"({"manifests":[{}]})",
                            R"({"manifests":[{"digest":7,"annotations":7,"platform":7}]})"}) {
    EXPECT_NE(refusal({{"index.json", index}}), "(accepted)") << index;
  }
}

std::vector<PackedImage> two() {
  PackedImage web{digest_of("web"), {"web:1", "web:latest"}, {}, {}};
  PackedImage api{digest_of("api"), {"example.net/api:2"}, {}, {}};
  return {web, api};
}

TEST(Select, TakesWhatIsWantedUnderTheNamesThatAreWanted) {
  const auto all = select(two(), {});
  EXPECT_EQ(all->size(), 2U);
  const auto some = select(two(), {"web", "docker.io/library/web:1", "example.net/api:2"});
  ASSERT_TRUE(some.ok()) << some.error().message;
  ASSERT_EQ(some->size(), 2U);
  EXPECT_THAT(some->front().names, ElementsAre("web:latest", "web:1"));
  const auto by_id = select(two(), {digest_of("api").substr(7, 12)});
  ASSERT_TRUE(by_id.ok()) << by_id.error().message;
  EXPECT_EQ(by_id->front().id, digest_of("api"));
  EXPECT_TRUE(by_id->front().names.empty());
}

TEST(Select, SaysWhatThereIsWhereSomethingIsNot) {
  const auto absent = select(two(), {"web", "other:3"});
  ASSERT_EQ(absent.status(), Status::not_found);
  EXPECT_THAT(absent.error().message,
              HasSubstr("other:3 is not in the archive, which holds web:1, web:latest, example"));
}

TEST(Select, NamesTheOnlyImageThatHasNoName) {
  const PackedImage nameless{digest_of("x"), {}, {}, {}};
  EXPECT_THAT(select({nameless}, {"mine"})->front().names, ElementsAre("mine:latest"));
  EXPECT_TRUE(select({nameless}, {digest_of("x")})->front().names.empty());
  EXPECT_EQ(select({nameless}, {"mine", "yours"}).status(), Status::not_found);
}

}  // namespace
}  // namespace k4t::image
