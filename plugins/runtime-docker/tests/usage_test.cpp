#include "usage.hpp"

#include <gtest/gtest.h>

namespace k4t::docker {
namespace {

constexpr const char* said =
    "alpha\n0.25 0.50 0.75 1/100 4711\n"
    "MemTotal:        4000 kB\nMemFree:          500 kB\nMemAvailable:    3000 kB\nHugePages_Total:       0\n"
    "disk 4096 1000 600 500\n";

TEST(Usage, IsReadFromWhatTheMachineSays) {
  const runtime::NodeUsage expected{0.25, 1000u * 1024, 400u * 4096, 900u * 4096};
  EXPECT_EQ(parse_usage("alpha", said), expected);
}

TEST(Usage, OfAnotherMachineIsNotKnown) { EXPECT_EQ(parse_usage("beta", said), runtime::NodeUsage{}); }

TEST(Usage, WhatIsNotUnderstoodIsNotKnown) {
  EXPECT_EQ(parse_usage("alpha", ""), runtime::NodeUsage{});
  EXPECT_EQ(parse_usage("alpha", "alpha\nno load\n"), runtime::NodeUsage{});
  EXPECT_EQ(parse_usage("alpha", "alpha\n0 0 0\nMemTotal: 10 kB\nMemAvailable: 20 kB\n").memory_used_bytes,
            std::nullopt);
  EXPECT_EQ(parse_usage("alpha", "alpha\n0 0 0\ndisk 4096 10 20 5\n").disk_bytes, std::nullopt);
  EXPECT_EQ(parse_usage("alpha", "alpha\n0 0 0\ndisk 4096 10\n").disk_bytes, std::nullopt);
  EXPECT_EQ(parse_usage("alpha", "alpha\n0 0 0\ndisk -1 -1 -1 -1\n").disk_bytes, std::nullopt);
}

}  // namespace
}  // namespace k4t::docker
