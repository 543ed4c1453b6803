#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>

#include "crash/crash_world.hpp"
#include "crash/witness_kinds.hpp"

/// Invariants 2, 3 and 6: killed anywhere, the next command leaves either the state before or the state after, the same
/// at all members; meanwhile each member serves one of them wholly, and no route leads to what is gone. All moments are
/// first listed by running each kind of command once, then each of them is killed at.

namespace k4t::testing {
namespace {

constexpr std::size_t worlds_count = 4;
constexpr std::size_t first_port = 20000;
constexpr std::size_t ports_per_world = 1000;
constexpr const char* after_decision = "k4t 1 after vote *";
constexpr const char* before_decision = "k4t 1 before vote *";

std::vector<std::string> apply_command() { return {"apply", "-f", "services", "--force"}; }

Want next_greeting(const CrashWorld& world) { return {1, "g" + std::to_string(world.version + 1), false}; }

/// One instance of "web", of whatever greeting.
void reach_one(CrashWorld& world) {
  if (world.version > 0 && world.now.replicas == 1 && !world.now.side) return;
  world.reach({1, "g" + std::to_string(world.version), false});
}

/// An update that is killed at `moment` and left so.
void leave_update(CrashWorld& world, const Moment& moment) {
  reach_one(world);
  world.declare(next_greeting(world));
  const auto killed = world.killable.kill_at(apply_command(), moment);
  if (killed.exit_code != 128 + SIGKILL) world.problem("getting ready", killed.out + killed.err);
  world.killable.settle();
}

/// A gateway and a DNS server that were off during an update.
void lag(CrashWorld& world, const std::set<std::string>& members) {
  reach_one(world);
  for (const auto& member : members) world.cluster().stop_member(member);
  const Want want = next_greeting(world);
  world.declare(want);
  const auto applied = world.killable.k4t(apply_command());
  if (applied.exit_code != 3) world.problem("getting ready", applied.out + applied.err);
  world.now = want;
  world.version = world.decided();
  for (const auto& member : members) world.cluster().start_member(member);
}

Kind catching_up(const std::string& name, const std::set<std::string>& members) {
  Kind kind;
  kind.name = name;
  kind.arrange = [members](CrashWorld& world) { lag(world, members); };
  kind.command = [](CrashWorld&) { return std::vector<std::string>{"sync"}; };
  kind.after = [](const CrashWorld& world) { return world.now; };
  kind.next = {"sync"};
  kind.stale = members;
  kind.same_version = true;
  return kind;
}

std::vector<Kind> kinds() {
  const auto apply = [](const Want& want, CrashWorld& world) {
    world.declare(want);
    return apply_command();
  };
  std::vector<Kind> all;
  all.push_back({"first apply", [](CrashWorld& world) { world.blank(); },
                 [=](CrashWorld& world) {
                   return apply({1, "g1", false}, world);
                 },
                 [](const CrashWorld&) {
                   return Want{1, "g1", false};
                 }});
  all.push_back(
      {"update", reach_one, [=](CrashWorld& world) { return apply(next_greeting(world), world); }, next_greeting});
  all.push_back({"scale down",
                 [](CrashWorld& world) {
                   world.reach({2, "scaled", false});
                 },
                 [=](CrashWorld& world) {
                   return apply({1, "scaled", false}, world);
                 },
                 [](const CrashWorld&) {
                   return Want{1, "scaled", false};
                 }});
  all.push_back({"delete",
                 [](CrashWorld& world) {
                   world.reach({1, "kept", true});
                 },
                 [](CrashWorld&) {
                   return std::vector<std::string>{"delete", "side", "--yes"};
                 },
                 [](const CrashWorld&) {
                   return Want{1, "kept", false};
                 }});
  all.push_back(catching_up("sync: nginx, ns1 return", {"gw1", "ns1"}));
  all.push_back(catching_up("sync: HAProxy, ns2 return", {"gw2", "ns2"}));
  const auto status = [](CrashWorld&) { return std::vector<std::string>{"status"}; };
  all.push_back({"recovery of a decided apply", [](CrashWorld& world) { leave_update(world, after_decision); }, status,
                 next_greeting});
  all.push_back({"recovery of an undecided apply", [](CrashWorld& world) { leave_update(world, before_decision); },
                 status, next_greeting});
  for (auto& kind : witness_kinds()) all.push_back(std::move(kind));
  return all;
}

/// What nginx's driver runs on its host is the same in each apply, so that only two kinds die in the middle of it.
bool counts(const Kind& kind, const Moment& moment) {
  return !moment.starts_with("nginx ") || kind.name == "update" || kind.same_version;
}

struct Tally {
  std::size_t moments = 0;
  std::size_t kills = 0;
  std::size_t befores = 0;
  std::size_t afters = 0;
};

/// Whether a driver can be at work on a gateway's host in another thread at that moment.
bool may_leave_running(const Moment& moment) {
  for (const char* part : {" prepare ", " commit ", " abort "}) {
    if (moment.find(part) != std::string::npos) return true;
  }
  return !moment.starts_with("k4t ");
}

/// One kill and what comes of it. True: the state after.
bool kill_once(CrashWorld& world, const Kind& kind, std::size_t number, const Moment& moment) {
  const std::string where = kind.name + ", killed at '" + moment + "'";
  kind.arrange(world);
  const Want before = world.now;
  const Want after = kind.after(world);
  const auto command = kind.command(world);
  const auto killed = world.killable.kill_at(command, moment);
  if (killed.exit_code != 128 + SIGKILL) world.problem(where, "was not killed: " + killed.out + killed.err);
  if (may_leave_running(moment)) world.killable.settle();
  kind.heal(world);
  if (kind.aftermath) {
    world.demand_whole(where, before, after, kind.stale);
    return kind.aftermath(world, where, number);
  }
  const int version = world.version;
  const bool is_after = !kind.same_version && world.decided() > version;
  world.demand_whole(where, before, after, kind.stale);
  const auto next = world.killable.k4t(kind.next);
  const std::string then = where + ", then " + kind.next.front();
  if (next.exit_code != 0) world.problem(then, next.out + next.err);
  world.now = is_after ? after : before;
  world.version = is_after ? version + 1 : version;
  world.demand_all(then, world.now, world.version);
  if (is_after || number % 2 == 0) return is_after;
  // The change itself, made again, goes through.
  const auto again = world.killable.k4t(kind.name.starts_with("recovery") ? apply_command() : command);
  if (again.exit_code != 0) world.problem(then + ", then again", again.out + again.err);
  world.now = after;
  world.version = kind.same_version ? version : version + 1;
  world.demand_all(then + ", then again", world.now, world.version);
  return is_after;
}

/// The worlds are costly, so that all kinds share them; each thread has one of its own.
class Crash : public ::testing::TestWithParam<std::size_t> {
 protected:
  static void TearDownTestSuite() {
    std::printf("%-32s %8s %8s %8s %8s\n", "killed", "moments", "kills", "before", "after");
    for (const auto& [name, tally] : tallies) {
      std::printf("%-32s %8zu %8zu %8zu %8zu\n", name.c_str(), tally.moments, tally.kills, tally.befores, tally.afters);
    }
    worlds.clear();
  }

  void SetUp() override {
    K4T_REQUIRE_CLUSTER();
    while (worlds.size() < worlds_count) {
      worlds.push_back(
          std::make_unique<CrashWorld>(static_cast<std::uint16_t>(first_port + worlds.size() * ports_per_world)));
    }
  }

  static void guarded(CrashWorld& world, const std::function<void()>& work) {
    try {
      work();
    } catch (const std::exception& failed) {
      world.problem("the test itself", failed.what());
    }
  }

  /// Does the jobs side by side; a world in which something went wrong does no more.
  static void share_out(std::size_t count, const std::function<void(CrashWorld&, std::size_t)>& each) {
    std::atomic<std::size_t> taken = 0;
    std::vector<std::thread> threads;
    for (auto& world : worlds) {
      threads.emplace_back([&, one = world.get()] {
        for (std::size_t mine = 0; one->problems.empty() && (mine = taken++) < count;) {
          guarded(*one, [&] { each(*one, mine); });
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }

  /// True: no world has a problem.
  static bool sound() {
    bool all = true;
    for (const auto& world : worlds) {
      for (const auto& problem : world->problems) ADD_FAILURE() << problem;
      all = all && world->problems.empty();
    }
    return all;
  }

  /// The moments of an undisturbed run.
  static std::vector<Moment> moments_of(const Kind& kind) {
    std::vector<Moment> moments;
    CrashWorld& world = *worlds.front();
    guarded(world, [&] {
      kind.arrange(world);
      const Want after = kind.after(world);
      const auto ran = world.killable.record(kind.command(world), moments);
      if (ran.exit_code != kind.exit_code) world.problem(kind.name, ran.out + ran.err);
      kind.heal(world);
      if (kind.aftermath) {
        if (!kind.aftermath(world, kind.name, 0)) world.problem(kind.name, "the change was not made");
        return;
      }
      // A recovery of what was undecided leads back, everything else to the state after.
      if (kind.same_version || world.decided() > world.version) world.now = after;
      world.version = world.decided();
      world.demand_all(kind.name, world.now, world.version);
    });
    std::erase_if(moments, [&](const Moment& moment) { return !counts(kind, moment); });
    return moments;
  }

  static inline std::vector<std::unique_ptr<CrashWorld>> worlds;
  static inline std::vector<std::pair<std::string, Tally>> tallies;
};

TEST_P(Crash, KilledAtEveryMomentTheNextCommandLeavesTheStateBeforeOrAfter) {
  ASSERT_TRUE(sound()) << "by an earlier kind";
  const Kind kind = kinds().at(GetParam());
  const auto moments = moments_of(kind);
  ASSERT_TRUE(sound());
  EXPECT_GT(moments.size(), 10u) << "it has durable writes and driver calls";
  std::mutex mutex;
  Tally tally{moments.size(), 0, 0, 0};
  share_out(moments.size(), [&](CrashWorld& world, std::size_t number) {
    const bool is_after = kill_once(world, kind, number, moments[number]);
    const std::scoped_lock lock(mutex);
    ++tally.kills;
    ++(is_after ? tally.afters : tally.befores);
  });
  tallies.emplace_back(kind.name, tally);
  EXPECT_EQ(tally.kills, tally.moments);
  EXPECT_TRUE(sound());
}

INSTANTIATE_TEST_SUITE_P(Runs, Crash, ::testing::Range<std::size_t>(0, kinds().size()), [](const auto& kind) {
  std::string name = kinds().at(kind.param).name;
  std::erase_if(name, [](char c) { return c == ':' || c == ','; });
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
});

}  // namespace
}  // namespace k4t::testing
