#include "txn/standing.hpp"

#include <gtest/gtest.h>

namespace k4t::txn {
namespace {

EntryPtr entry_at(std::uint64_t version, const std::string& base) {
  const model::State state;
  return std::make_shared<const Entry>(Entry{model::make_record(base, version, state), state});
}

Observation at(const EntryPtr& entry) {
  const Register held = register_of("demo", *entry, "a.1");
  return {held, held, Content::clean, false, {}, {}};
}

TEST(Standing, TellsWhereAParticipantIs) {
  const EntryPtr one = entry_at(1, "");
  const EntryPtr two = entry_at(2, one->record.txn);
  EXPECT_EQ(standing_of("demo", two.get(), {}), Standing::blank);
  EXPECT_EQ(standing_of("demo", two.get(), at(one)), Standing::behind);
  EXPECT_EQ(standing_of("demo", two.get(), at(two)), Standing::current);
  EXPECT_EQ(standing_of("demo", one.get(), at(two)), Standing::ahead);
  EXPECT_EQ(standing_of("demo", nullptr, at(one)), Standing::ahead);
  EXPECT_EQ(standing_of("other", two.get(), at(two)), Standing::diverged);
  EXPECT_EQ(standing_of("demo", entry_at(2, std::string(32, 'f')).get(), at(one)), Standing::diverged);
  Observation half = at(two);
  half.served = at(one).served;
  EXPECT_EQ(standing_of("demo", two.get(), half), Standing::half);
  Observation drifted = at(two);
  drifted.content = Content::drifted;
  EXPECT_EQ(standing_of("demo", two.get(), drifted), Standing::drifted);
}

TEST(Records, WithAnotherContentThanTheirNameAreRefused) {
  model::Record record = entry_at(1, "")->record;
  EXPECT_TRUE(read_record(record));
  record.version = 2;
  EXPECT_EQ(read_record(record).status(), Status::fatal);
  model::Record malformed{1, "", "", "[1]"};
  malformed.txn = model::txn_of(malformed.base, malformed.version, malformed.state_text);
  EXPECT_EQ(read_record(malformed).status(), Status::fatal);
}

}  // namespace
}  // namespace k4t::txn
