#include "drivers/witness_text.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace k4t::drivers {
namespace {

const std::string run_a(32, 'a');
const std::string run_b(32, 'b');
const std::string txn_c(32, 'c');

model::WitnessRegister full() {
  return {"demo", "w1", {7, run_a}, "alpha root 2026-01-31T12:00:00Z apply", true, model::Vote{{5, run_b}, 3, txn_c}};
}

TEST(WitnessText, ItsFormIsWrittenDown) {
  EXPECT_EQ(*text_of(full()),
            "1 demo 7." + run_a + " 5." + run_b + "/3/" + txn_c + " open alpha root 2026-01-31T12:00:00Z apply");
  model::WitnessRegister bare{"demo", "w1", {1, run_a}, "", false, {}};
  EXPECT_EQ(*text_of(bare), "1 demo 1." + run_a + " - closed");
}

TEST(WitnessText, WhatIsWrittenIsReadBack) {
  auto bare = full();
  bare.vote.reset();
  auto nameless = full();
  nameless.holder.clear();
  for (const auto& value : {full(), bare, nameless}) {
    const auto back = parse_witness_text(*text_of(value), "w1");
    ASSERT_TRUE(back) << back.error().detail;
    EXPECT_EQ(*back, value);
  }
}

TEST(WitnessText, TheLongestRegisterFitsOneString) {
  constexpr std::uint64_t highest = std::numeric_limits<std::uint64_t>::max();
  const model::WitnessRegister longest{std::string(20, 'c'),  "w1",  {1ULL << 62U, run_a},
                                       std::string(300, 'h'), false, model::Vote{{1ULL << 62U, run_b}, highest, txn_c}};
  const auto text = text_of(longest);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_LE(text->size(), 255U);
  auto kept = longest;
  kept.holder.resize(holder_limit_bytes);
  EXPECT_EQ(*parse_witness_text(*text, "w1"), kept);
}

TEST(WitnessText, AHolderIsKeptInPrintableAsciiWithoutBlanksAtItsEnd) {
  EXPECT_EQ(brief_holder("al\tpha r\xc3\xb6\n "), "al?pha r???");
  EXPECT_EQ(brief_holder(std::string(63, 'h') + " root"), std::string(63, 'h'));
  EXPECT_EQ(brief_holder("   "), "");
}

TEST(WitnessText, WhatHasNoTextIsNotWritten) {
  auto odd_run = full();
  odd_run.promised.run = "short";
  auto odd_txn = full();
  odd_txn.vote->txn = "x/y";
  auto odd_name = full();
  odd_name.cluster = "two words";
  auto long_name = full();
  long_name.cluster = std::string(200, 'n');
  for (const auto& value : {odd_run, odd_txn, odd_name, long_name}) {
    EXPECT_EQ(text_of(value).status(), Status::invalid_argument) << Json(value);
  }
}

// Every change of one byte, every cut and every doubled blank: it is refused, or it is another register's exact text.
TEST(WitnessText, DamageIsFatalAndNeverAnotherReadingOfTheSameText) {
  const std::string text = *text_of(full());
  std::vector<std::string> damaged;
  for (std::size_t at = 0; at < text.size(); ++at) {
    damaged.push_back(text.substr(0, at));
    damaged.push_back(text.substr(at + 1));
    for (const char byte : {' ', '/', '.', '0', '-', 'z', '\x01'}) {
      auto changed = text;
      changed[at] = byte;
      damaged.push_back(changed);
      damaged.push_back(std::string(text).insert(at, 1, byte));
    }
  }
  int refused = 0;
  for (const auto& one : damaged) {
    const auto value = parse_witness_text(one, "w1");
    if (!value) {
      EXPECT_EQ(value.status(), Status::fatal);
      ++refused;
    } else {
      EXPECT_EQ(*text_of(*value), one);
    }
  }
  EXPECT_GT(refused, static_cast<int>(damaged.size() / 2));
  for (const char* one : {"", "hello", "1", "1 demo", "2 demo 1.aa - open", "v=spf1 -all"}) {
    EXPECT_EQ(parse_witness_text(one, "w1").status(), Status::fatal) << one;
  }
}

}  // namespace
}  // namespace k4t::drivers
