#include "store/store.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "store/checked_pages.hpp"
#include "support/process.hpp"

namespace k4t::store {
namespace {

using testing::Scratch;

class StoreTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path folder() const { return scratch_.path() / "state"; }

  std::unique_ptr<Store> open(Mode mode = Mode::change) {
    auto store = Store::open(folder(), "test", mode);
    EXPECT_TRUE(store) << store.error().message << store.error().detail;
    return store ? *std::move(store) : nullptr;
  }

  Error refusal(Mode mode = Mode::change) {
    const auto store = Store::open(folder(), "test", mode);
    EXPECT_FALSE(store);
    return store ? Error{} : store.error();
  }

  void edit(const char* sql) {
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open_v2((folder() / "metadata.db").c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                              checked_pages()),
              SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(raw, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(raw);
    sqlite3_close(raw);
  }

  Scratch scratch_;
};

model::Service service(const std::string& name) {
  model::Service one;
  one.name = name;
  one.image = "example.net/" + name;
  return one;
}

/// Runs `body` in a child and waits for it; what the child returned, or 128 + the signal that ended it.
template <class Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_F(StoreTest, KeepsWhatItWasToldOverAReopening) {
  {
    const auto store = open();
    ASSERT_TRUE(store->claim_for("demo"));
    ASSERT_TRUE(store->raise_counter(7));
    ASSERT_TRUE(store->raise_counter(5));
    ASSERT_TRUE(store->add_initialised_witnesses({"w2", "w1", "w2"}));
    ASSERT_TRUE(store->put_service(service("web")));
  }
  const auto store = open();
  EXPECT_EQ(**store->cluster(), "demo");
  EXPECT_EQ(*store->highest_counter(), 7U);
  EXPECT_EQ(*store->initialised_witnesses(), (std::vector<std::string>{"w1", "w2"}));
  EXPECT_EQ(*store->services(), std::vector<model::Service>{service("web")});
  EXPECT_EQ(store->claim_for("other").status(), Status::conflict);
}

TEST_F(StoreTest, IsReadableByItsOwnerOnly) {
  const auto store = open();
  ASSERT_TRUE(store->put_service(service("web")));
  struct stat found {};
  ASSERT_EQ(::stat(folder().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0700U);
  for (const auto& entry : std::filesystem::directory_iterator(folder())) {
    ASSERT_EQ(::stat(entry.path().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600U) << entry.path();
  }
}

TEST_F(StoreTest, NamesTheProcessThatIsAtWork) {
  const auto store = open();
  const int code = in_child([&] {
    const auto second = Store::open(folder(), "drain");
    const bool named = !second && second.status() == Status::busy &&
                       second.error().message.find("pid " + std::to_string(::getppid())) != std::string::npos &&
                       second.error().message.find("test") != std::string::npos;
    return named ? 0 : 1;
  });
  EXPECT_EQ(code, 0);
  const auto reader = open(Mode::read);
  ASSERT_TRUE(reader);
  EXPECT_FALSE(reader->put_service(service("web")));
}

TEST_F(StoreTest, AKilledProcessLeavesItsLockFreeAndOnlyWholeChanges) {
  const int code = in_child([&] {
    const auto store = Store::open(folder(), "apply");
    if (!store || !(*store)->put_service(service("kept"))) return 1;
    static_cast<void>((*store)->atomically([&]() -> Result<void> {
      K4T_TRY((*store)->put_service(service("lost")));
      ::raise(SIGKILL);
      return {};
    }));
    return 2;
  });
  ASSERT_EQ(code, 128 + SIGKILL);
  const auto store = open();
  EXPECT_EQ(*store->services(), std::vector<model::Service>{service("kept")});
}

TEST_F(StoreTest, AFailedChangeLeavesNothingOfItsTransaction) {
  const auto store = open();
  const auto done = store->atomically([&]() -> Result<void> {
    K4T_TRY(store->put_service(service("web")));
    return Error{Status::invalid_argument, "changed my mind", {}};
  });
  EXPECT_EQ(done.status(), Status::invalid_argument);
  EXPECT_TRUE(store->services()->empty());
  EXPECT_TRUE(store->put_service(service("web"))) << "the next change must work";
}

TEST_F(StoreTest, RefusesANewerSchemaWithoutTouchingIt) {
  open();
  edit("PRAGMA user_version = 99");
  const Error why = refusal();
  EXPECT_EQ(why.status, Status::unsupported);
  EXPECT_NE(why.message.find("newer k4t"), std::string::npos) << why.message;
}

model::AddedNode added(const std::string& name) {
  model::AddedNode one;
  one.node.name = name;
  one.node.driver = "docker";
  one.node.address = "192.0.2.7";
  one.node.options = {{"host", "ssh://n@192.0.2.7"}};
  one.node.labels = {{"zone", "a"}};
  one.node.memory_bytes = 1 << 30;
  one.by = "alpha root";
  one.at_s = 7;
  return one;
}

TEST_F(StoreTest, BringsTheFirstSchemaUpToDateAndKeepsWhatItHolds) {
  {
    const auto store = open();
    ASSERT_TRUE(store->claim_for("demo"));
    ASSERT_TRUE(store->put_service(service("web")));
    ASSERT_TRUE(store->begin_operation("apply", {{"run", "r"}}, "proposed", 100));
    ASSERT_TRUE(store->reserve("192.0.2.1", 20000, "web-1"));
  }
  edit("DROP TABLE queue; DROP TABLE nodes; DROP TABLE node_marks; PRAGMA user_version = 1");
  EXPECT_TRUE(Store::peek_nodes(folder())->empty()) << "it can have none";
  EXPECT_EQ(refusal(Mode::read).status, Status::unsupported);
  const auto store = open();
  EXPECT_EQ(**store->cluster(), "demo");
  EXPECT_EQ(*store->services(), std::vector<model::Service>{service("web")});
  EXPECT_EQ(store->unfinished_operations()->size(), 1U);
  EXPECT_EQ(store->reservations()->size(), 1U);
  EXPECT_TRUE(store->nodes()->empty());
  ASSERT_TRUE(store->put_node(added("n3")));
  ASSERT_TRUE(store->put_mark({"n3", model::Mark::draining, "disks", "alpha root", 8}));
}

TEST_F(StoreTest, KeepsAddedNodesAndTellsThemWithoutBeingOpened) {
  EXPECT_TRUE(Store::peek_nodes(folder())->empty()) << "there is no store yet";
  {
    const auto store = open();
    ASSERT_TRUE(store->put_node(added("n4")));
    ASSERT_TRUE(store->put_node(added("n3")));
    ASSERT_TRUE(store->put_node(added("n3")));
    const auto beside = Store::peek_nodes(folder());
    ASSERT_TRUE(beside) << beside.error().message;
    EXPECT_EQ(beside->size(), 2U) << "while a command is at work";
  }
  const auto nodes = Store::peek_nodes(folder());
  ASSERT_EQ(nodes->size(), 2U);
  EXPECT_EQ(Json(nodes->front().node), Json(added("n3").node));
  EXPECT_FALSE(nodes->front().node.cpu_millis) << "absent stays absent";
  EXPECT_EQ(nodes->front().by, "alpha root");
  EXPECT_EQ(nodes->front().at_s, 7);
  const auto store = open();
  ASSERT_TRUE(store->remove_node("n3"));
  EXPECT_EQ(store->nodes()->size(), 1U);
}

TEST_F(StoreTest, DoesNotTakeADamagedFileForOneWithoutNodes) {
  std::filesystem::create_directories(folder());
  std::ofstream(folder() / "metadata.db") << std::string(8192, 'x');
  const auto nodes = Store::peek_nodes(folder());
  ASSERT_FALSE(nodes);
  EXPECT_EQ(nodes.status(), Status::fatal);
}

TEST_F(StoreTest, ANodeHasOneMarkAtMost) {
  const auto store = open();
  const model::NodeMark cordon{"n1", model::Mark::cordoned, "", "alpha root", 1};
  const model::NodeMark drain{"n1", model::Mark::draining, "new disks", "beta root", 2};
  ASSERT_TRUE(store->put_mark(cordon));
  ASSERT_TRUE(store->put_mark(drain));
  EXPECT_EQ(*store->marks(), std::vector<model::NodeMark>{drain});
  ASSERT_TRUE(store->remove_mark("n1"));
  EXPECT_TRUE(store->marks()->empty());
}

TEST_F(StoreTest, RefusesAnotherProgramsFile) {
  std::filesystem::create_directories(folder());
  edit("CREATE TABLE theirs (x); PRAGMA application_id = 77");
  EXPECT_EQ(refusal().status, Status::fatal);
}

TEST_F(StoreTest, SaysThatADamagedFileIsDamaged) {
  {
    const auto store = open();
    for (int n = 0; n < 200; ++n) ASSERT_TRUE(store->put_service(service("service-" + std::to_string(n))));
  }
  const auto file = folder() / "metadata.db";
  const auto size = std::filesystem::file_size(file);
  std::fstream raw(file, std::ios::in | std::ios::out | std::ios::binary);
  raw.seekp(4096);
  raw << std::string(size - 4096, '\x5a');
  raw.close();
  const Error why = refusal();
  EXPECT_EQ(why.status, Status::fatal);
  EXPECT_NE(why.message.find("damaged"), std::string::npos) << why.message;
}

TEST_F(StoreTest, SaysThatTheDiskIsFullAndKeepsWhatWasThere) {
  std::filesystem::create_directories(folder());
  const int code = in_child([&] {
    // A mount namespace of the child's own: the tiny disk goes away with it.
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
    if (::mount("tiny", folder().c_str(), "tmpfs", 0, "size=512k") != 0) return 77;
    auto store = Store::open(folder(), "test");
    if (!store || !(*store)->put_service(service("kept"))) return 1;
    model::Service big = service("big");
    big.env["FILL"] = std::string(100'000, 'x');
    Result<void> put;
    for (int n = 0; put && n < 20; ++n) {
      big.name = "big-" + std::to_string(n);
      put = (*store)->put_service(big);
    }
    if (put.status() != Status::unavailable || put.error().message.find("full") == std::string::npos) return 2;
    const auto services = (*store)->services();
    return services && services->back().name == "kept" ? 0 : 3;
  });
  if (code == 77) K4T_SKIP_OR_FAIL("this test mounts a file system and needs root");
  EXPECT_EQ(code, 0);
}

TEST_F(StoreTest, ReadingBeforeAnythingWasWrittenFindsNothing) {
  EXPECT_EQ(refusal(Mode::read).status, Status::not_found);
}

TEST_F(StoreTest, AVersionHasOneDecidedRecordForEver) {
  const auto store = open();
  const auto proposed = model::make_record("", 1, {});
  model::State other;
  other.dns.suffix = "example.net";
  const auto decided = model::make_record("", 1, other);
  ASSERT_TRUE(store->put_record(proposed, false));
  EXPECT_FALSE(*store->latest_decided());
  ASSERT_TRUE(store->put_record(decided, true));
  ASSERT_TRUE(store->put_record(decided, false));
  EXPECT_EQ(**store->latest_decided(), decided);
  EXPECT_EQ(store->records()->size(), 1U);
  EXPECT_EQ(store->put_record(proposed, true).status(), Status::fatal);
  EXPECT_EQ(**store->latest_decided(), decided);
}

TEST_F(StoreTest, JournalsAnOperation) {
  const auto store = open();
  const auto id = store->begin_operation("apply", {{"service", "web"}}, "planned", 100);
  ASSERT_TRUE(id);
  const auto first = store->intend(*id, "create", {{"instance", "web-1"}}, 101);
  const auto second = store->intend(*id, "commit", {}, 102);
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(store->finish_step(*id, *first, {{"ok", true}}, 103));
  ASSERT_TRUE(store->set_phase(*id, "committing"));
  ASSERT_EQ(store->unfinished_operations()->size(), 1U);
  EXPECT_EQ(store->unfinished_operations()->front().phase, "committing");
  const auto steps = store->steps(*id);
  ASSERT_EQ(steps->size(), 2U);
  EXPECT_TRUE(steps->front().done);
  EXPECT_EQ(steps->front().detail["instance"], "web-1");
  EXPECT_FALSE(steps->back().done);
  ASSERT_TRUE(store->end_operation(*id, "done", 104));
  EXPECT_TRUE(store->unfinished_operations()->empty());
  EXPECT_EQ(store->operations(5)->front().outcome, "done");
  EXPECT_EQ(store->end_operation(*id, "failed", 105).status(), Status::not_found);
  EXPECT_FALSE(store->intend(*id + 1, "create", {}, 106)) << "a journal belongs to an operation";
}

TEST_F(StoreTest, AnEndpointIsNotGivenAgainBeforeItsRemovalHasPassed) {
  const auto store = open();
  ASSERT_TRUE(store->reserve("192.0.2.1", 20000, "web-1"));
  ASSERT_TRUE(store->reserve("192.0.2.1", 20000, "web-1"));
  EXPECT_EQ(store->reserve("192.0.2.1", 20000, "web-2").status(), Status::conflict);
  ASSERT_TRUE(store->mark_removed("192.0.2.1", 20000, 5));
  EXPECT_EQ(store->reserve("192.0.2.1", 20000, "web-1").status(), Status::conflict);
  ASSERT_TRUE(store->release_passed(4));
  EXPECT_EQ(store->reservations()->size(), 1U);
  ASSERT_TRUE(store->release_passed(5));
  EXPECT_TRUE(store->reserve("192.0.2.1", 20000, "web-2"));
}

TEST_F(StoreTest, QueuedWorkIsKeptInOrderUntilItIsTakenOut) {
  auto store = open();
  ASSERT_EQ(*store->enqueue({0, {"apply"}, {{"web.toml", "text"}}, "h u t", 5, {}}), 1);
  ASSERT_EQ(*store->enqueue({0, {"sync", "--repair"}, {}, "h u t", 6, {}}), 2);
  ASSERT_TRUE(store->mark_failed(1, "no room").ok());
  auto queue = *store->queue();
  ASSERT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue[0].files.at("web.toml"), "text");
  EXPECT_EQ(queue[0].failed, "no room");
  EXPECT_EQ(queue[1].command, (std::vector<std::string>{"sync", "--repair"}));
  EXPECT_EQ(queue[1].failed, std::nullopt);
  EXPECT_TRUE(*store->dequeue(1));
  EXPECT_FALSE(*store->dequeue(1));
  ASSERT_EQ(*store->enqueue({0, {"sync"}, {}, "h u t", 7, {}}), 3) << "a number is never used twice";
}

// Copies.

TEST_F(StoreTest, ASnapshotIsTheSameForTheSameContentAndLeavesOutWhatIsOnlyRemembered) {
  auto store = *Store::open(folder(), "test");
  ASSERT_TRUE(store->claim_for("demo").ok());
  const auto first = store->snapshot();
  ASSERT_TRUE(first.ok()) << first.error().message;
  ASSERT_TRUE(store->remember("a node", Json("was there")).ok());
  EXPECT_EQ(*store->snapshot(), *first);
  ASSERT_TRUE(store->raise_counter(7).ok());
  EXPECT_NE(*store->snapshot(), *first);
}

TEST_F(StoreTest, ASnapshotTakesThePlaceOfAStoreWhichStaysBesideIt) {
  std::string snapshot;
  {
    auto store = *Store::open(folder(), "test");
    ASSERT_TRUE(store->claim_for("demo").ok());
    ASSERT_TRUE(store->raise_counter(3).ok());
    snapshot = *store->snapshot();
    ASSERT_TRUE(store->raise_counter(9).ok());
    EXPECT_EQ(Store::install(folder(), snapshot, 5).status(), Status::busy) << "somebody has it";
  }
  const auto kept = Store::install(folder(), snapshot, 5);
  ASSERT_TRUE(kept.ok()) << kept.error().message;
  EXPECT_EQ(*kept, (folder() / "metadata.db.replaced-5").string());
  EXPECT_TRUE(std::filesystem::exists(*kept));
  auto restored = *Store::open(folder(), "test");
  EXPECT_EQ(*restored->highest_counter(), 3U);
  EXPECT_EQ(*restored->snapshot(), snapshot) << "byte for byte";
}

/// Run by the next test in a process of its own.
TEST(StoreVictim, DISABLED_Installs) {
  const std::filesystem::path folder = ::getenv("K4T_TEST_FOLDER");
  ASSERT_TRUE(Store::install(folder, Scratch::read(folder / "snapshot"), 5).ok());
}

TEST_F(StoreTest, KilledWhileACopyTakesItsPlaceItIsTheOldOneNoneOrTheNewOne) {
  for (const char* step :
       {"1 before store is moved aside", "1 before store is installed", "1 after store is installed"}) {
    const Scratch scratch;
    std::string snapshot;
    {
      auto store = *Store::open(scratch.path(), "test");
      ASSERT_TRUE(store->raise_counter(3).ok());
      snapshot = *store->snapshot();
      ASSERT_TRUE(store->raise_counter(9).ok());
    }
    std::ofstream(scratch.path() / "snapshot", std::ios::binary) << snapshot;
    const auto ran =
        testing::run({"env", std::string("K4T_KILL_AT_STEP=") + step, "K4T_TEST_FOLDER=" + scratch.path().string(),
                      std::filesystem::read_symlink("/proc/self/exe").string(), "--gtest_also_run_disabled_tests",
                      "--gtest_filter=StoreVictim.*"});
    const int ended = ran.exit_code;
    EXPECT_EQ(ended, 128 + SIGKILL) << step;
    const std::uint64_t found = *(*Store::open(scratch.path(), "test"))->highest_counter();
    const std::map<std::string, std::uint64_t> expected{
        {"1 before store is moved aside", 9}, {"1 before store is installed", 0}, {"1 after store is installed", 3}};
    EXPECT_EQ(found, expected.at(step)) << step;
    ASSERT_TRUE(Store::install(scratch.path(), snapshot, 6).ok()) << "it can be done again";
    EXPECT_EQ(*(*Store::open(scratch.path(), "test"))->snapshot(), snapshot);
  }
}

TEST_F(StoreTest, ASnapshotMakesAStoreWhereThereWasNone) {
  std::string snapshot = *(*Store::open(folder(), "test"))->snapshot();
  const auto other = folder() / "elsewhere";
  const auto kept = Store::install(other, snapshot, 5);
  ASSERT_TRUE(kept.ok()) << kept.error().message;
  EXPECT_EQ(*kept, "");
  EXPECT_EQ(*(*Store::open(other, "test"))->snapshot(), snapshot);
}

}  // namespace
}  // namespace k4t::store
