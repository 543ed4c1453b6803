#include "backup/retention.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace k4t::backup {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::int64_t minute = 60;
constexpr std::int64_t hour = 60 * minute;
constexpr std::int64_t day = 24 * hour;
constexpr std::int64_t now = 1'790'000'000;

std::vector<CopyName> made_every(std::int64_t step_s, std::int64_t for_s) {
  std::vector<CopyName> copies;
  for (std::int64_t age = 0; age < for_s; age += step_s) copies.push_back({now - age, 1, "00000000"});
  return copies;
}

/// Ages of what stays, the youngest first.
std::vector<std::int64_t> kept(const std::vector<CopyName>& copies, const Retention& retention) {
  const auto gone = outdated(copies, now, retention);
  std::vector<std::int64_t> ages;
  for (const auto& copy : copies) {
    if (std::find(gone.begin(), gone.end(), copy) == gone.end()) ages.push_back(now - copy.made_at_s);
  }
  std::sort(ages.begin(), ages.end());
  return ages;
}

TEST(CopyName, IsReadAsItIsWritten) {
  const CopyName name{1'790'000'000, 42, "1a2b3c4d"};
  EXPECT_EQ(name.text(), "k4t-20260921T141320Z-v42-1a2b3c4d.copy");
  EXPECT_EQ(parse_copy_name(name.text()), name);
}

TEST(CopyName, OfSomethingElseIsNone) {
  for (const char* text :
       {"", "k4t.toml", "k4t-20260921T141320Z-v42-1a2b3c4d.copy.1", "k4t-20260231T000000Z-v1-00000000.copy",
        "k4t-20260921T141320Z-v042-1a2b3c4d.copy", "k4t-20260921T141320Z-v42-1A2B3C4D.copy",
        "k4t-20260921T141320Z-v99999999999999999999-1a2b3c4d.copy"}) {
    EXPECT_EQ(parse_copy_name(text), std::nullopt) << text;
  }
}

TEST(Retention, ThinsOutWithAge) {
  const auto copies = made_every(10 * minute, 60 * day);
  const auto ages = kept(copies, {100'000, 365 * day});
  const auto between = [&](std::int64_t from, std::int64_t to) {
    return std::count_if(ages.begin(), ages.end(), [&](std::int64_t age) { return age >= from && age < to; });
  };
  EXPECT_EQ(between(0, hour), 6);
  EXPECT_NEAR(between(hour, day), 24, 1);
  EXPECT_NEAR(between(day, 30 * day), 29, 1);
  EXPECT_NEAR(between(30 * day, 60 * day), 1, 1);
}

/// What is run after each copy must in the end leave the same as when it is run once.
TEST(Retention, RunAgainAndAgainLeavesOldOnesToo) {
  std::vector<CopyName> there;
  for (std::int64_t time = now - 40 * day; time <= now; time += 30 * minute) {
    there.push_back({time, 1, "00000000"});
    const auto gone = outdated(there, time, {10'000, 365 * day});
    std::erase_if(there, [&](const CopyName& copy) { return std::find(gone.begin(), gone.end(), copy) != gone.end(); });
  }
  EXPECT_GT(there.size(), 50U);
  EXPECT_LT(there.front().made_at_s, now - 25 * day);
}

TEST(Retention, NumberAndAgeAreLimits) {
  EXPECT_THAT(kept(made_every(minute, hour), {5, day}), SizeIs(5));
  EXPECT_THAT(kept(made_every(hour, 10 * day), {1000, 3 * hour}), SizeIs(4));
}

TEST(Retention, TheNewestStaysWhateverItsAge) {
  const std::vector<CopyName> old{{now - 900 * day, 1, "00000000"}, {now - 901 * day, 1, "00000000"}};
  EXPECT_EQ(kept(old, {1, day}), std::vector<std::int64_t>{900 * day});
}

TEST(Retention, WhatAnotherClockMadeInTheFutureIsNotTakenForOld) {
  const std::vector<CopyName> copies{{now + day, 1, "00000000"}, {now, 1, "00000000"}};
  EXPECT_THAT(outdated(copies, now, {100, 90 * day}), IsEmpty());
}

}  // namespace
}  // namespace k4t::backup
