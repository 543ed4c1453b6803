#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "store/store.hpp"
#include "support/process.hpp"
#include "unit/store/faulty_disk.hpp"

/// Invariant 3 below the store: whichever write of a change fails, and however, the failure is told, and what is found
/// afterwards is the state before or the state after; what was reported as done is there.

namespace k4t::store {
namespace {

using testing::FaultyDisk;
using testing::Scratch;

struct Fault {
  const char* name;
  int code;
  bool lasting;
};
constexpr Fault faults[] = {{"write fails once", SQLITE_IOERR_WRITE, false},
                            {"write fails from then on", SQLITE_IOERR_WRITE, true},
                            {"disk full", SQLITE_FULL, true},
                            {"sync fails once", SQLITE_IOERR_FSYNC, false},
                            {"sync fails from then on", SQLITE_IOERR_FSYNC, true}};

model::Service large_service(const std::string& name) {
  model::Service one;
  one.name = name;
  one.image = "example.net/" + name + std::string(3000, 'x');  // several pages
  return one;
}

std::set<std::string> names(Store& store) {
  std::set<std::string> all;
  const auto services = store.services();
  EXPECT_TRUE(services.ok()) << services.error().message;
  if (services) {
    for (const auto& one : *services) all.insert(one.name);
  }
  return all;
}

/// Two services as one change.
Result<void> change(Store& store) {
  return store.atomically([&]() -> Result<void> {
    K4T_TRY(store.put_service(large_service("new-a")));
    return store.put_service(large_service("new-b"));
  });
}

TEST(StoreFaults, WhicheverWriteOfAChangeFailsItIsToldAndNothingIsHalfDone) {
  const std::set<std::string> before{"old"};
  const std::set<std::string> after{"new-a", "new-b", "old"};
  for (const auto& fault : faults) {
    int hit = 0;
    for (int n = 0;; ++n) {
      ASSERT_LT(n, 1000);
      const Scratch scratch;
      FaultyDisk disk;
      Result<void> changed;
      {
        auto store = *Store::open(scratch.path(), "test");
        ASSERT_TRUE(store->put_service(large_service("old")).ok());
        disk.arm(n, fault.code, fault.lasting);
        changed = change(*store);
      }  // closing writes too
      const bool failed = disk.has_failed();
      disk.disarm();
      if (!changed) {
        EXPECT_EQ(changed.status(), Status::unavailable) << fault.name << " " << n << ": " << changed.error().message;
        EXPECT_NE(changed.error().message.find("metadata.db"), std::string::npos) << changed.error().message;
      }
      const auto reopened = Store::open(scratch.path(), "test");
      ASSERT_TRUE(reopened.ok()) << fault.name << " " << n << ": " << reopened.error().message;
      const auto found = names(**reopened);
      EXPECT_TRUE(found == before || found == after) << fault.name << " " << n << ": half of a change is there";
      if (changed) {
        EXPECT_EQ(found, after) << fault.name << " " << n << ": what was done is gone";
      }
      if (!failed) break;
      ++hit;
    }
    EXPECT_GT(hit, 3) << fault.name << ": a change is several writes";
  }
}

TEST(StoreFaults, AStoreThatCannotBeMadeSaysSoAndIsMadeTheNextTime) {
  for (const auto& fault : faults) {
    for (int n = 0;; ++n) {
      ASSERT_LT(n, 1000);
      const Scratch scratch;
      FaultyDisk disk;
      disk.arm(n, fault.code, fault.lasting);
      {
        const auto made = Store::open(scratch.path(), "test");
        if (!made) {
          EXPECT_EQ(made.status(), Status::unavailable) << fault.name << " " << n << made.error().message;
        }
      }
      const bool failed = disk.has_failed();
      disk.disarm();
      const auto made = Store::open(scratch.path(), "test");
      ASSERT_TRUE(made.ok()) << fault.name << " " << n << ": " << made.error().message;
      EXPECT_TRUE((*made)->put_service(large_service("old")).ok());
      if (!failed) break;
    }
  }
}

/// What SQLite itself can see: a page that is no page. Values have no digests of their own.
TEST(StoreFaults, ADamagedPageIsFoundWhenTheStoreIsOpened) {
  const Scratch scratch;
  {
    auto store = *Store::open(scratch.path(), "test");
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(store->put_service(large_service("s" + std::to_string(i))).ok());
  }
  const auto file = scratch.path() / "metadata.db";
  const std::string sound = Scratch::read(file);
  constexpr std::size_t page_bytes = 4096;
  ASSERT_GT(sound.size(), 8 * page_bytes);
  std::size_t found = 0;
  for (std::size_t page = 0; page * page_bytes < sound.size(); ++page) {
    std::string damaged = sound;
    for (std::size_t i = 0; i < 64; ++i) damaged[page * page_bytes + i] = static_cast<char>(0xA5);
    std::ofstream(file, std::ios::binary | std::ios::trunc) << damaged;
    const auto opened = Store::open(scratch.path(), "test");
    if (opened) continue;
    ++found;
    EXPECT_EQ(opened.status(), Status::fatal) << opened.error().message;
    EXPECT_NE(opened.error().message.find("restore a metadata copy"), std::string::npos) << opened.error().message;
  }
  // Pages that only continue a long value have no structure of their own.
  EXPECT_GE(found * 2, sound.size() / page_bytes);
}

}  // namespace
}  // namespace k4t::store
