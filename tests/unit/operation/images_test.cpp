#include "operation/images.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/packed_image.hpp"
#include "unit/operation/lab.hpp"

namespace k4t::operation {
namespace {

using k4t::testing::digest_of;
using k4t::testing::make_tar;
using k4t::testing::saved;
using k4t::testing::Scratch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Two fake nodes and an archive of one image with the layers "base" and "top".
class ImagesTest : public ::testing::Test {
 protected:
  ImagesTest() {
    lab_.capabilities = {runtime::capability::images_transfer};
    pack({"base", "top"});
  }

  /// From now on the archive is of one image with these layers.
  void pack(const std::vector<std::string>& layers) {
    auto opened = image::TarFile::open(make_tar(scratch_, saved(layers, Json::array({"web:1"}))));
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    tar_.emplace(*std::move(opened));
  }

  std::vector<Delivery> push(const std::vector<image::PackedImage>& images) {
    const auto environment = lab_.environment();
    const auto nodes = receivers(environment, {});
    EXPECT_TRUE(nodes.ok());
    return push_images(environment, *tar_, images, *nodes);
  }
  std::vector<Delivery> push() { return push(*image::images_of(*tar_)); }
  fakes::Node& node(const std::string& name) { return lab_.world.node(name); }
  Result<std::vector<drivers::NodeClient*>> to(const std::vector<std::string>& names) {
    environment_ = std::make_unique<Environment>(lab_.environment());
    return receivers(*environment_, names);
  }

  Scratch scratch_;
  Lab lab_{scratch_.path()};
  std::optional<image::TarFile> tar_;
  std::unique_ptr<Environment> environment_;
};

TEST_F(ImagesTest, EachNodeGetsWhatItLacks) {
  node("n1").images = {{"sha256:0", {"base:1"}, {digest_of("base")}, 4}};
  const auto deliveries = push();
  ASSERT_THAT(deliveries, SizeIs(2));
  EXPECT_EQ(deliveries[0].node, "n1");
  EXPECT_EQ(deliveries[0].outcome, Delivered::loaded);
  EXPECT_EQ(deliveries[0].sent_layers, 1U);
  EXPECT_EQ(deliveries[1].sent_layers, 2U);
  EXPECT_EQ(deliveries[1].sent_bytes, deliveries[0].sent_bytes + 4);
  EXPECT_EQ(node("n1").loads.front().file, tar_->path());
  EXPECT_THAT(node("n1").loads.front().names, ElementsAre("web:1"));
}

TEST_F(ImagesTest, WhatIsThereIsNotSent) {
  node("n1").images = {{image::images_of(*tar_)->front().id, {"web:1"}, {digest_of("base"), digest_of("top")}, 7}};
  EXPECT_EQ(push().front().outcome, Delivered::present);
  EXPECT_THAT(node("n1").loads, IsEmpty());
}

TEST_F(ImagesTest, ARuntimeThatWantsAllLayersIsSentAllOfThem) {
  node("n1").images = {{"sha256:0", {"base:1"}, {digest_of("base")}, 4}};
  node("n1").wants_all_layers = true;
  const auto delivery = push().front();
  EXPECT_EQ(delivery.outcome, Delivered::loaded);
  EXPECT_EQ(delivery.sent_layers, 2U);
  EXPECT_THAT(node("n1").loads, SizeIs(2));
}

TEST_F(ImagesTest, ADeadNodeCostsOnlyItselfAndIsNotAskedForEachImage) {
  node("n1").faults.fail("load_image", {k4t::Status::unavailable, "it went away", {}});
  auto images = *image::images_of(*tar_);
  images.push_back(images.front());
  images.back().id = "sha256:other";
  const auto deliveries = push(images);
  ASSERT_THAT(deliveries, SizeIs(4));
  for (const auto& delivery : deliveries) {
    EXPECT_EQ(delivery.outcome, delivery.node == "n1" ? Delivered::failed : Delivered::loaded);
  }
  EXPECT_THAT(deliveries[0].why->message, HasSubstr("it went away"));
  EXPECT_THAT(node("n2").loads, SizeIs(2));
}

TEST_F(ImagesTest, AnImageThatIsRefusedDoesNotKeepTheNextOneAway) {
  node("n1").faults.fail("load_image", {k4t::Status::invalid_argument, "no sound image", {}}, 1);
  auto images = *image::images_of(*tar_);
  images.push_back(images.front());
  images.back().id = "sha256:other";
  const auto deliveries = push(images);
  EXPECT_EQ(deliveries[0].outcome, Delivered::failed);
  EXPECT_EQ(deliveries[1].outcome, Delivered::loaded);
}

TEST_F(ImagesTest, ANodeWhoseImagesAreNotKnownIsSentNothing) {
  node("n1").faults.fail("list_images", {k4t::Status::unavailable, "no answer", {}});
  EXPECT_EQ(push().front().outcome, Delivered::failed);
  EXPECT_THAT(node("n1").loads, IsEmpty());
}

TEST_F(ImagesTest, AnInterruptionEndsIt) {
  lab_.interrupted = true;
  for (const auto& delivery : push()) EXPECT_EQ(delivery.why->message, "interrupted");
  EXPECT_THAT(node("n1").loads, IsEmpty());
}

/// Nodes that share with each other, and an image whose base is large enough for that.
class SharedImagesTest : public ImagesTest {
 protected:
  SharedImagesTest() {
    for (const char* name : {"n1", "n2"}) node(name).shares = true;
    pack({base_, "top"});
  }
  /// What the first node that shares anything shares.
  runtime::ShareRequest shared(const std::string& name) { return node(name).shared.at(0); }

  const std::string base_ = std::string(2u << 20, 'b');
};

TEST_F(SharedImagesTest, WhatSeveralLackIsGivenToOneAndTakenFromThere) {
  const auto deliveries = push();
  EXPECT_THAT(shared("n1").loads, SizeIs(1)) << "both lack the same";
  EXPECT_THAT(node("n2").shared, IsEmpty());
  for (const auto& delivery : deliveries) {
    EXPECT_EQ(delivery.outcome, Delivered::loaded);
    EXPECT_EQ(delivery.from, "n1") << "itself too: it is there already";
    EXPECT_EQ(delivery.sent_layers, 2U);
    ASSERT_THAT(node(delivery.node).loads, SizeIs(1));
    EXPECT_EQ(node(delivery.node).loads.front().ticket, "load 0");
  }
  EXPECT_THAT(node("n1").open_shares, IsEmpty()) << "it ends with the push";
}

TEST_F(SharedImagesTest, WhoeverLacksMostSharesAndEachTakesWhatItLacks) {
  node("n1").images = {{"sha256:0", {"base:1"}, {digest_of("top")}, 4}};
  pack({"top", base_});
  const auto deliveries = push();
  EXPECT_THAT(shared("n2").loads, SizeIs(2));
  EXPECT_EQ(node("n1").loads.front().ticket, "load 0");
  EXPECT_EQ(node("n2").loads.front().ticket, "load 1");
  EXPECT_EQ(deliveries[0].sent_layers, 1U);
  EXPECT_EQ(deliveries[0].from, "n2");
}

TEST_F(SharedImagesTest, WhereNothingIsSavedEachIsSentItFromHere) {
  pack({"base", "top"});
  for (const auto& delivery : push()) EXPECT_EQ(delivery.from, "") << "too little";
  pack({base_, "top"});
  node("n2").shares = false;
  for (const auto& delivery : push()) EXPECT_EQ(delivery.from, "") << "only one could share";
  node("n2").shares = true;
  node("n2").images = {{"sha256:0", {"base:1"}, {digest_of(base_), digest_of("top")}, 4}};
  for (const auto& delivery : push()) EXPECT_EQ(delivery.from, "") << "only one lacks it";
  EXPECT_THAT(node("n1").shared, IsEmpty());
  EXPECT_THAT(node("n2").shared, IsEmpty());
}

TEST_F(SharedImagesTest, WhereOneCannotShareAnotherDoesAndWhereNoneCanItGoesFromHere) {
  node("n1").faults.fail("share_images", {k4t::Status::unsupported, "no room", {}});
  for (const auto& delivery : push()) EXPECT_EQ(delivery.from, "n2");
  node("n2").faults.fail("share_images", {k4t::Status::unavailable, "gone", {}});
  for (const auto& delivery : push()) {
    EXPECT_EQ(delivery.outcome, Delivered::loaded);
    EXPECT_EQ(delivery.from, "");
  }
}

TEST_F(SharedImagesTest, WhoCannotTakeItIsSentItFromHereAndWhoWantsAllIsSentAll) {
  node("n2").faults.fail("load_image", {k4t::Status::unsupported, "connection timed out", {}}, 1);
  auto deliveries = push();
  EXPECT_EQ(deliveries[0].from, "n1");
  EXPECT_EQ(deliveries[1].outcome, Delivered::loaded);
  EXPECT_EQ(deliveries[1].from, "");
  EXPECT_EQ(node("n2").loads.back().ticket, "");

  for (const char* name : {"n1", "n2"}) {
    node(name).images = {{"sha256:0", {"base:1"}, {digest_of(base_)}, 4}};
    node(name).wants_all_layers = true;
    node(name).loads.clear();
  }
  pack({base_, base_ + "top"});
  deliveries = push();
  EXPECT_EQ(deliveries[1].outcome, Delivered::loaded);
  EXPECT_EQ(deliveries[1].sent_layers, 2U);
  EXPECT_EQ(deliveries[1].from, "");
  ASSERT_THAT(node("n2").loads, SizeIs(2));
  EXPECT_EQ(node("n2").loads.front().ticket, "load 0");
}

TEST_F(SharedImagesTest, WhoAnswersLateKeepsNobodyWaiting) {
  std::atomic<bool> first_is_served = false;
  lab_.told.watch = [&](const Happening& happening) {
    if (happening.subject.ends_with(" on n1") && happening.state == "present") first_is_served = true;
  };
  node("n2").faults.before = [&] {
    while (!first_is_served) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  };
  for (const auto& delivery : push()) EXPECT_EQ(delivery.outcome, Delivered::loaded);
}

TEST_F(SharedImagesTest, ADriverThatGivesTooFewTicketsIsNotBelieved) {
  node("n1").forgets_tickets = true;
  node("n2").faults.fail("share_images", {k4t::Status::unsupported, "no room", {}});
  for (const auto& delivery : push()) {
    EXPECT_EQ(delivery.outcome, Delivered::loaded);
    EXPECT_EQ(delivery.from, "");
  }
}

TEST_F(SharedImagesTest, WhatAnotherNodeSpoiledIsSentFromHere) {
  node("n2").faults.fail("load_image", {k4t::Status::invalid_argument, "no sound image", {}}, 1);
  const auto deliveries = push();
  EXPECT_EQ(deliveries[1].outcome, Delivered::loaded);
  EXPECT_EQ(deliveries[1].from, "");
  EXPECT_TRUE(lab_.told.warned("no sound image; image web:1 is sent to it from here instead of by n1"));
}

TEST_F(SharedImagesTest, ASecondImageThatFailsWithoutTheFirstIsSentFromHere) {
  node("n2").faults.fail("load_image", {k4t::Status::busy, "not now", {}}, 1);
  auto images = *image::images_of(*tar_);
  images.push_back(images.front());
  images.back().id = "sha256:other";
  images.back().names = {"other:1"};
  const auto deliveries = push(images);
  ASSERT_THAT(deliveries, SizeIs(4));
  EXPECT_EQ(deliveries[2].outcome, Delivered::failed);
  EXPECT_EQ(deliveries[3].outcome, Delivered::loaded);
  EXPECT_EQ(deliveries[3].sent_layers, 2U) << "what was expected to be there is not";
}

TEST_F(ImagesTest, ReceiversAreThoseThatTakeImagesAndAreNotLost) {
  EXPECT_THAT(*to({}), SizeIs(2));
  ASSERT_TRUE(lab_.store().put_mark({"n1", model::Mark::lost, "burnt", "alpha", 1}).ok());
  const auto left = to({});
  ASSERT_THAT(*left, SizeIs(1));
  EXPECT_EQ(left->front()->config().name, "n2");
  EXPECT_THAT(*to({"n1"}), SizeIs(1)) << "who names it wants it";
  EXPECT_EQ(to({"n1", "nobody"}).status(), k4t::Status::invalid_argument);
  lab_.capabilities.clear();
  EXPECT_THAT(to({}).error().message, HasSubstr("no node that takes images"));
  EXPECT_THAT(to({"n2"}).error().message, HasSubstr("node 'n2' takes no images"));
}

TEST_F(ImagesTest, AreFetchedFromWhereTheyAre) {
  node("n1").saved_archive = Scratch::read(tar_->path());
  const auto environment = lab_.environment();
  auto spool = fetch_images(environment, *environment.fleet.node("n1"), {"web:1"});
  ASSERT_TRUE(spool.ok()) << spool.error().message;
  const auto fetched = image::TarFile::open(*std::move(spool));
  ASSERT_TRUE(fetched.ok()) << fetched.error().message;
  EXPECT_EQ(image::images_of(*fetched)->front().names, std::vector<std::string>{"web:1"});
  node("n1").faults.fail("save_images", {k4t::Status::not_found, "it is not there", {}});
  EXPECT_EQ(fetch_images(environment, *environment.fleet.node("n1"), {"web:1"}).status(), k4t::Status::not_found);
}

TEST_F(ImagesTest, AreSeenWhereTheyAreWhateverTheirSpelling) {
  node("n1").images = {{"sha256:1", {"web:latest"}, {}, 0}};
  node("n2").faults.down = true;
  const auto environment = lab_.environment();
  model::Service web = Lab::web(1, "docker.io/library/web");
  model::Service job = web;
  job.name = "job";
  model::Service other = Lab::web(1, "other:1");
  other.name = "other";
  const auto sights = look_at_images({web, job, other}, *receivers(environment, {}));
  ASSERT_THAT(sights, SizeIs(2));
  EXPECT_THAT(sights[0].services, ElementsAre("web", "job"));
  EXPECT_THAT(sights[0].on, ElementsAre("n1"));
  EXPECT_THAT(sights[0].unknown, ElementsAre("n2"));
  EXPECT_THAT(sights[1].not_on, ElementsAre("n1"));
}

}  // namespace
}  // namespace k4t::operation
