#include "schedule/schedule.hpp"

#include <gtest/gtest.h>

namespace k4t::schedule {
namespace {

constexpr std::uint64_t mib = 1 << 20;

Room room(const std::string& name) {
  Room made;
  made.node = name;
  made.cpu_millis = 4000;
  made.memory_bytes = 1024 * mib;
  made.ports = {20000, 20009};
  return made;
}

Need need(std::uint64_t memory_bytes = 100 * mib, std::uint32_t ports = 1) {
  return Need{"web", 500, memory_bytes, {}, ports};
}

TEST(Schedule, SpreadsAServiceOverTheNodes) {
  std::vector<Room> rooms{room("a"), room("b"), room("c")};
  std::vector<std::string> nodes;
  for (int i = 0; i < 6; ++i) nodes.push_back(place(need(), rooms)->node);
  EXPECT_EQ(nodes, (std::vector<std::string>{"a", "b", "c", "a", "b", "c"}));
}

TEST(Schedule, CountsInstancesThatAreAlreadyThere) {
  std::vector<Room> rooms{room("a"), room("b")};
  rooms[0].instances["web"] = 1;
  EXPECT_EQ(place(need(), rooms)->node, "b");
}

TEST(Schedule, PrefersTheEmptierNodeWhenTheSpreadIsEven) {
  std::vector<Room> rooms{room("a"), room("b")};
  rooms[0].used_memory_bytes = 500 * mib;
  EXPECT_EQ(place(need(), rooms)->node, "b");
}

TEST(Schedule, NeverGivesMoreThanThereIs) {
  std::vector<Room> rooms{room("a")};
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(place(need(500 * mib), rooms));
  const auto before = rooms[0].used_memory_bytes;
  EXPECT_FALSE(place(need(500 * mib), rooms));
  EXPECT_EQ(rooms[0].used_memory_bytes, before) << "a placement that fails takes no room";
  EXPECT_EQ(explain(need(500 * mib), rooms), "a: needs 500 MiB of memory, 24 MiB free");
}

TEST(Schedule, OvercommittedNodesOfferNothing) {
  std::vector<Room> rooms{room("a")};
  rooms[0].used_cpu_millis = 9000;
  EXPECT_FALSE(place(need(), rooms));
  EXPECT_EQ(explain(need(), rooms), "a: needs 500m of CPU, 0m free");
}

TEST(Schedule, GivesEachInstanceItsOwnPorts) {
  std::vector<Room> rooms{room("a")};
  rooms[0].ports.take(20002);
  rooms[0].ports.take(20000);
  EXPECT_EQ(place(need(mib, 2), rooms)->ports, (std::vector<std::uint16_t>{20001, 20003}));
  EXPECT_EQ(place(need(mib, 2), rooms)->ports, (std::vector<std::uint16_t>{20004, 20005}));
}

TEST(Schedule, SaysWhenThePortsAreUsedUp) {
  std::vector<Room> rooms{room("a")};
  rooms[0].ports = {20000, 20000};
  ASSERT_TRUE(place(need(), rooms));
  EXPECT_FALSE(place(need(), rooms));
  EXPECT_EQ(explain(need(), rooms), "a: has no free port left in 20000-20000");
}

TEST(Schedule, TheLastPortOfAllCanBeGiven) {
  std::vector<Room> rooms{room("a")};
  rooms[0].ports = {65535, 65535};
  EXPECT_EQ(place(need(), rooms)->ports, (std::vector<std::uint16_t>{65535}));
  EXPECT_FALSE(place(need(), rooms));
}

TEST(Schedule, OnlyNodesWithEveryLabelAreTaken) {
  std::vector<Room> rooms{room("a"), room("b")};
  rooms[1].labels = {{"zone", "z1"}, {"disk", "ssd"}};
  Need labelled = need();
  labelled.labels = {{"zone", "z1"}};
  EXPECT_EQ(place(labelled, rooms)->node, "b");
  labelled.labels = {{"zone", "z2"}};
  EXPECT_FALSE(place(labelled, rooms));
  EXPECT_EQ(explain(labelled, rooms), "a: has no label zone=z2; b: has no label zone=z2");
}

TEST(Schedule, PlacesNothingOnAClosedNodeAndSaysWhy) {
  std::vector<Room> rooms{room("a"), room("b")};
  rooms[0].closed = "is cordoned";
  EXPECT_EQ(place(need(), rooms)->node, "b");
  rooms[1].closed = "is draining";
  EXPECT_FALSE(place(need(), rooms));
  EXPECT_EQ(explain(need(), rooms), "a: is cordoned; b: is draining");
}

TEST(Schedule, WithoutAnyNodeItSaysSo) {
  std::vector<Room> none;
  EXPECT_FALSE(place(need(), none));
  EXPECT_EQ(explain(need(), none), "no node can be read");
}

}  // namespace
}  // namespace k4t::schedule
