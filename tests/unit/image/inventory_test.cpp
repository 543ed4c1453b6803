#include "image/inventory.hpp"

#include <gtest/gtest.h>

namespace k4t::image {
namespace {

PackedImage packed(const std::string& id, const std::vector<std::string>& layers,
                   const std::vector<std::string>& names = {"web:1"}) {
  PackedImage image{id, names, {0, 10}, {}};
  for (const auto& layer : layers) image.layers.push_back({layer, {100, 10}, false});
  return image;
}

/// Which layers would be sent, as "+" and "-".
std::string sent(const Inventory& inventory, const PackedImage& image) {
  std::string text;
  for (const auto& layer : inventory.request_for(image, "/f").layers) text += layer.left_out ? '-' : '+';
  return text;
}

TEST(Inventory, LeavesOutLayersThatAreThereOnTopOfTheSameOnes) {
  const Inventory node({{"i1", {"base:1"}, {"a", "b"}, 0}});
  EXPECT_EQ(sent(node, packed("i2", {"a", "b", "c"})), "--+");
  EXPECT_EQ(sent(node, packed("i3", {"a", "c", "b"})), "-++");
  EXPECT_EQ(sent(node, packed("i4", {"b", "a"})), "++");
  EXPECT_EQ(sent(node, packed("i5", {"x", "a", "b"})), "+++");
  EXPECT_EQ(sent(Inventory({}), packed("i6", {"a"})), "+");
}

TEST(Inventory, HasAnImageOnlyUnderAllItsNames) {
  Inventory node({{"i1", {"web:1"}, {"a"}, 0}});
  EXPECT_TRUE(node.has(packed("i1", {"a"})));
  EXPECT_TRUE(node.has(packed("i1", {"a"}, {})));
  EXPECT_FALSE(node.has(packed("i1", {"a"}, {"web:1", "web:2"})));
  EXPECT_FALSE(node.has(packed("i2", {"a"}))) << "another image has the name";
}

TEST(Inventory, KnowsWhatWasAdded) {
  Inventory node({{"i1", {"web:1"}, {"a"}, 0}});
  node.add(packed("i2", {"a", "b"}));
  EXPECT_TRUE(node.has(packed("i2", {"a", "b"})));
  EXPECT_FALSE(node.has(packed("i1", {"a"}))) << "it has lost its name";
  EXPECT_EQ(sent(node, packed("i3", {"a", "b", "c"})), "--+");
}

}  // namespace
}  // namespace k4t::image
