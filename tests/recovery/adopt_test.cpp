#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "recovery/recovery_fixture.hpp"

/// The master is lost with all copies. A new machine has k4t.toml and the keys; everything else the cluster tells.

namespace k4t::testing::lab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class Adopt : public RecoveryCluster {
 protected:
  /// The master's machine is gone, and another one takes its place.
  static void lose_master() {
    static unsigned number = 0;
    const std::string name = "master" + std::to_string(++number);
    cluster().lab().add(name);
    Machine& old = cluster().master();
    cluster().move_master(name);
    old.power_off();
  }
  static Cluster::Command plan() { return cluster().k4t({"plan", "-f", "services"}); }
  /// A service that nobody sends traffic to.
  static void worker(unsigned replicas) {
    cluster().service("worker", "[[service]]\nname = \"worker\"\nreplicas = " + std::to_string(replicas) +
                                    "\nimage = \"app\"\nentrypoint = [\"/app\"]\ncommand = [\"http\"]\n"
                                    "[[service.port]]\nname = \"http\"\nport = 8080\n");
  }
  /// The witness's folder cannot be reached, while its machine answers.
  static void silence(const std::string& machine) {
    cluster()[machine].must({"sh", "-c", "mv /var/lib/k4t /var/lib/away && touch /var/lib/k4t"});
  }
  static void wake(const std::string& machine) {
    cluster()[machine].must({"sh", "-c", "rm /var/lib/k4t && mv /var/lib/away /var/lib/k4t"});
  }
};

TEST_F(Adopt, ThePlanIsAsEmptyAsBeforeTheLoss) {
  worker(2);
  deploy(3, "kept");
  deploy(2, "kept");  // nothing new is made for that
  const auto plan_before = plan();
  ASSERT_THAT(plan_before.out, HasSubstr("Nothing to do: "));
  const auto load = cluster().load("web");
  const auto web = running();
  const auto workers = running("worker");
  lose_master();

  // Killed at any moment it has adopted all or nothing.
  for (const char* moment : {"1 before store COMMIT", "3 after store COMMIT", "1 before claim *"}) {
    const auto killed = cluster().k4t({"adopt", "--yes"}, {{"K4T_KILL_AT_STEP", moment}});
    EXPECT_EQ(killed.exit_code, 128 + SIGKILL) << moment << killed.out << killed.err;
    cluster().master().must({"rm", "-rf", "/root/k4t/state"});
  }
  const auto adopted = k4t({"adopt", "--yes"});
  EXPECT_THAT(adopted.out, AllOf(HasSubstr("3 of 3 witnesses tell."), HasSubstr("Adopted 2 services.")));
  EXPECT_THAT(adopted.out, Not(HasSubstr("Left to do"))) << adopted.out;
  EXPECT_EQ(plan().out, plan_before.out);
  EXPECT_EQ(running(), web);
  EXPECT_EQ(running("worker"), workers);
  EXPECT_EQ(disturbance(load), "");
  const auto again = cluster().k4t({"adopt", "--yes"});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.err, HasSubstr("nothing is to be rebuilt"));
}

TEST_F(Adopt, AChangeThatWasDecidedIsFinished) {
  deploy(2, "calm");
  const auto load = cluster().load("web");
  cluster().web(2, "decided");
  const auto killed = cluster().k4t({"apply", "-f", "services"}, {{"K4T_KILL_AT_STEP", "2 after vote *"}});
  ASSERT_EQ(killed.exit_code, 128 + SIGKILL) << killed.out << killed.err;
  const auto before = running();
  ASSERT_THAT(before, SizeIs(4));
  lose_master();
  const auto adopted = k4t({"adopt", "--yes"});
  EXPECT_THAT(adopted.out, AllOf(HasSubstr("service web runs in 2 revisions"),
                                 HasSubstr("is the newest that is served"), HasSubstr("- web: remove 2 instances")));
  EXPECT_EQ(running(), before) << "nothing is stopped by looking";
  expect_greeting("decided from web");
  k4t({"repair", "--yes"});
  EXPECT_THAT(running(), SizeIs(2));
  for (const auto& one : running()) EXPECT_TRUE(before.contains(one)) << one << " was restarted";
  EXPECT_EQ(disturbance(load), "");
  EXPECT_THAT(plan().out, HasSubstr("Nothing to do: "));
}

TEST_F(Adopt, OneWitnessIsEnoughToKnowAndTooFewToChange) {
  deploy(2, "calm");
  lose_master();
  for (const char* machine : {"gw1", "gw2"}) silence(machine);
  const auto adopted = cluster().k4t({"adopt", "--yes"});
  const auto refused = cluster().k4t({"apply", "-f", "services"});
  for (const char* machine : {"gw1", "gw2"}) wake(machine);
  EXPECT_EQ(adopted.exit_code, 4) << adopted.out << adopted.err;
  EXPECT_THAT(adopted.out, HasSubstr("as 1 of 3 witnesses tells, which is no majority."));
  EXPECT_THAT(adopted.err,
              HasSubstr("the metadata is rebuilt as far as it is known; the next command learns the rest"));
  EXPECT_EQ(refused.exit_code, 4) << refused.out << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("no majority of the 3 witnesses can be asked"));
  k4t({"txn", "recover", "--take-over"});
  EXPECT_THAT(plan().out, HasSubstr("Nothing to do: "));
}

TEST_F(Adopt, WhatIsNotSeenIsNotTakenForGone) {
  deploy(3, "calm");
  cluster()["n2"].unplug();
  lose_master();
  const auto blind = cluster().k4t({"adopt", "--yes"});
  const auto unnamed = cluster().k4t({"adopt"});
  cluster()["n2"].plug();
  EXPECT_EQ(blind.exit_code, 1) << blind.out << blind.err;
  EXPECT_THAT(blind.out, HasSubstr("! node 'n2' cannot be read"));
  EXPECT_THAT(blind.err, HasSubstr("nothing has changed"));
  EXPECT_THAT(k4t({"status", "-o", "json"}).json().at("services"), IsEmpty());
  EXPECT_EQ(unnamed.exit_code, 2) << "nobody can be asked";
  // One that k4t.toml was not told of: what runs there is served, and its declaration is not to be had.
  cluster().edit_config("name = \"n2\"", "name = \"other\"");
  k4t({"adopt", "--yes"});
  EXPECT_THAT(plan().out, HasSubstr("Nothing to do: "));
}

}  // namespace
}  // namespace k4t::testing::lab
