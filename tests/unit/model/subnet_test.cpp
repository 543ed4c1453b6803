#include "model/subnet.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace k4t::model {
namespace {

using ::testing::HasSubstr;

Subnet subnet(const std::string& text) {
  const auto parsed = Subnet::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return *parsed;
}

std::string refusal(const std::string& text) {
  const auto parsed = Subnet::parse(text);
  return parsed ? "accepted" : parsed.error().message;
}

TEST(Subnet, IsWrittenCanonically) {
  EXPECT_EQ(subnet("2001:DB8:0:0::/64").text(), "2001:db8::/64");
  EXPECT_EQ(subnet("192.0.2.64/27").text(), "192.0.2.64/27");
  EXPECT_EQ(subnet("2001:db8:0:4::/62").text(), "2001:db8:0:4::/62");
}

TEST(Subnet, WhatIsNoneIsRefusedWithTheReason) {
  for (const char* text : {"", "/64", "2001:db8::", "2001:db8::/", "2001:db8::/x", "2001:db8::/129", "192.0.2.0/33",
                           "192.0.2.0/-1", "192.0.2/24", "example.net/24", "192.0.2.0/24 ", " 192.0.2.0/24"}) {
    EXPECT_THAT(refusal(text), HasSubstr("not an address block")) << text;
  }
  EXPECT_THAT(refusal(std::string("192.0.2.0\0/24", 13)), HasSubstr("not an address block"));
  EXPECT_THAT(refusal("192.0.2.1/24"), HasSubstr("bits behind its prefix"));
  EXPECT_THAT(refusal("2001:db8::1/64"), HasSubstr("bits behind its prefix"));
  EXPECT_THAT(refusal("2001:db8:0:5::/62"), HasSubstr("bits behind its prefix"));
  EXPECT_THAT(refusal("192.0.2.0/30"), HasSubstr("from /8 to /29"));
  EXPECT_THAT(refusal("2001:db8::/127"), HasSubstr("from /32 to /124"));
  for (const char* text : {"ff00::/32", "fe80::/64", "224.0.0.0/8", "240.0.0.0/8"}) {
    EXPECT_THAT(refusal(text), HasSubstr("no single machine")) << text;
  }
}

TEST(Subnet, ContainsItsAddressesOnly) {
  const auto block = subnet("2001:db8:0:4::/62");
  EXPECT_TRUE(block.contains("2001:db8:0:7:ffff:ffff:ffff:ffff"));
  EXPECT_FALSE(block.contains("2001:db8:0:8::"));
  EXPECT_FALSE(block.contains("192.0.2.1"));
  EXPECT_FALSE(block.contains("not an address"));
  EXPECT_TRUE(subnet("192.0.2.64/27").contains("192.0.2.95"));
  EXPECT_FALSE(subnet("192.0.2.64/27").contains("192.0.2.96"));
}

TEST(Subnet, OverlapsWhereOneHoldsTheOther) {
  EXPECT_TRUE(subnet("192.0.2.0/24").overlaps(subnet("192.0.2.64/27")));
  EXPECT_TRUE(subnet("192.0.2.64/27").overlaps(subnet("192.0.2.0/24")));
  EXPECT_FALSE(subnet("192.0.2.64/27").overlaps(subnet("192.0.2.96/27")));
  EXPECT_FALSE(subnet("10.0.0.0/8").overlaps(subnet("2001:db8::/32")));
  EXPECT_TRUE(subnet("192.0.2.64/27").is_within(subnet("192.0.2.0/24")));
  EXPECT_FALSE(subnet("192.0.2.0/24").is_within(subnet("192.0.2.64/27")));
}

TEST(Subnet, GivesAllButWhatIsNotAnInstances) {
  const auto small = subnet("203.0.113.8/29");
  ASSERT_EQ(small.size(), 5U);
  EXPECT_EQ(small.address(0), "203.0.113.10");
  EXPECT_EQ(small.address(4), "203.0.113.14");
  const auto usual = subnet("10.1.0.0/16");
  ASSERT_EQ(usual.size(), 65533U);
  EXPECT_EQ(usual.address(65532), "10.1.255.254");
  const auto tiny = subnet("2001:db8::f0/124");
  ASSERT_EQ(tiny.size(), 14U);
  EXPECT_EQ(tiny.address(13), "2001:db8::ff");
  const auto large = subnet("2001:db8:0:1::/64");
  EXPECT_EQ(large.size(), (std::uint64_t{1} << 62U) - 2);
  EXPECT_EQ(large.address(large.size() - 1), "2001:db8:0:1:3fff:ffff:ffff:ffff");
}

TEST(Address, IsOneInItsCanonicalForm) {
  EXPECT_TRUE(is_address("2001:db8::1"));
  EXPECT_TRUE(is_address("192.0.2.1"));
  for (const char* text : {"", "2001:DB8::1", "2001:db8:0::1", "192.0.2", "192.0.2.1 ", "host"}) {
    EXPECT_FALSE(is_address(text)) << text;
  }
}

}  // namespace
}  // namespace k4t::model
