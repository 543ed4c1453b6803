#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recovery/recovery_fixture.hpp"

/// Half a master: it is switched on, does what is queued, and may be switched off.

namespace k4t::testing::lab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class HalfAMaster : public RecoveryCluster {
 protected:
  void SetUp() override {
    const bool is_new = shared == nullptr;
    LabCluster::SetUp();
    if (shared == nullptr) return;
    if (is_new) {
      // What powers a machine off is configured; here it leaves a word.
      add_to_config("[master]\npower_off = [\"cp\", \"/proc/uptime\", \"/root/off\"]\n\n" + backup_on("n1", "1m"));
      k4t({"init"});
    }
    cluster().master().run({"rm", "-f", "/root/off"});
  }

  static bool is_off() { return cluster().master().run({"test", "-e", "/root/off"}).exit_code == 0; }
  static Json queue() { return k4t({"queue", "ls", "-o", "json"}).json(); }
  static Cluster::Command run_and_power_off() { return cluster().k4t({"master", "run", "--then", "poweroff"}); }
};

TEST_F(HalfAMaster, DoesWhatWasQueuedWithTheFilesOfThatTimeAndPowersOff) {
  cluster().web(2, "queued");
  k4t({"queue", "add", "--", "apply", "-f", "services"});
  cluster().web(2, "later");
  const auto must_stay = cluster().k4t({"master", "status"});
  EXPECT_EQ(must_stay.exit_code, 6);
  EXPECT_THAT(must_stay.out, HasSubstr("- work is queued: 1: apply -f web.toml"));
  EXPECT_THAT(k4t({"queue", "ls"}).out, AllOf(HasSubstr("apply -f web.toml"), HasSubstr("waits")));

  const auto ran = run_and_power_off();
  EXPECT_EQ(ran.exit_code, 0) << ran.out << ran.err;
  EXPECT_TRUE(is_off());
  expect_greeting("queued from web");
  EXPECT_THAT(queue(), IsEmpty());
  EXPECT_THAT(k4t({"master", "status"}).out, HasSubstr("may be powered off"));
  EXPECT_TRUE(k4t({"status", "-o", "json"}).json().at("copies").at(0).at("current"));
}

TEST_F(HalfAMaster, WhatFailsIsKeptWithItsReasonAndHoldsNothingUp) {
  deploy(1, "calm");
  cluster().service("broken", "[[service]]\nname = \"broken\"\nimage = \"registry.example.net/absent:1\"\n");
  k4t({"queue", "add", "--", "apply", "-f", "services/broken.toml"});
  cluster().remove_service_file("broken");
  cluster().web(2, "after it");
  k4t({"queue", "add", "--", "apply", "-f", "services/web.toml"});
  const auto ran = run_and_power_off();
  EXPECT_EQ(ran.exit_code, 0) << ran.out << ran.err;
  EXPECT_TRUE(is_off());
  expect_greeting("after it from web");
  const Json left = queue();
  ASSERT_THAT(left, SizeIs(1));
  EXPECT_THAT(left.at(0).value("failed", ""), HasSubstr("absent"));
  k4t({"queue", "rm", std::to_string(left.at(0).at("id").get<int>())});
  EXPECT_THAT(k4t({"queue", "ls"}).out, HasSubstr("Nothing is queued."));
}

TEST_F(HalfAMaster, StaysOnWhileTheLastChangeHasNoCopy) {
  deploy(1, "copied");
  cluster()["n1"].must({"sh", "-c", "mv /var/lib/k4t/backup /var/lib/k4t/away && touch /var/lib/k4t/backup"});
  EXPECT_EQ(cluster().k4t({"node", "cordon", "n3", "--why", "no copy"}).exit_code, 5);
  const auto must_stay = cluster().k4t({"master", "status"});
  EXPECT_EQ(must_stay.exit_code, 6);
  EXPECT_THAT(must_stay.out, HasSubstr("has no verified copy on another machine"));
  cluster()["n1"].must({"sh", "-c", "rm /var/lib/k4t/backup && mv /var/lib/k4t/away /var/lib/k4t/backup"});
  EXPECT_EQ(run_and_power_off().exit_code, 0);
  EXPECT_TRUE(is_off());
  k4t({"node", "uncordon", "n3"});
}

TEST_F(HalfAMaster, StaysOnWhileAnotherCommandRuns) {
  deploy(1, "busy");
  const auto ran = cluster().master().run(
      {"sh", "-c",
       "cd /root/k4t && { flock state/metadata.db.lock sleep 6 & } && sleep 1 && timeout -s KILL 4 " K4T_BINARY_DIR
       "/bin/k4t master run --then poweroff; wait"});
  EXPECT_THAT(ran.out, HasSubstr("- another command is running"));
  EXPECT_FALSE(is_off());
  EXPECT_EQ(run_and_power_off().exit_code, 0);
  EXPECT_TRUE(is_off());
}

TEST_F(HalfAMaster, WhenThePlugIsPulledTheNextRunDoesTheRest) {
  deploy(1, "before");
  cluster().web(1, "after");
  k4t({"queue", "add", "--", "apply", "-f", "services"});
  // The command is killed between decision and commit, and its run a moment later, as by a power cut.
  cluster().master().run({"sh", "-c",
                          "cd /root/k4t && K4T_KILL_AT_STEP='1 after vote *' timeout -s KILL 10 " K4T_BINARY_DIR
                          "/bin/k4t master run --then poweroff"});
  EXPECT_FALSE(is_off());
  expect_greeting("before from web");
  const auto ran = run_and_power_off();
  EXPECT_EQ(ran.exit_code, 0) << ran.out << ran.err;
  EXPECT_TRUE(is_off());
  expect_greeting("after from web");
  EXPECT_THAT(queue(), IsEmpty());
}

TEST_F(HalfAMaster, WhatNobodyCouldAnswerIsNotQueued) {
  const auto refusal = [](const std::vector<std::string>& command) {
    std::vector<std::string> arguments{"queue", "add", "--"};
    arguments.insert(arguments.end(), command.begin(), command.end());
    const auto refused = cluster().k4t(arguments);
    EXPECT_EQ(refused.exit_code, 2) << refused.out;
    return refused.err;
  };
  EXPECT_THAT(refusal({"delete", "web"}), HasSubstr("add --yes"));
  EXPECT_THAT(refusal({"node", "drain", "n1"}), HasSubstr("add --yes"));
  EXPECT_THAT(refusal({"status"}), HasSubstr("'status' cannot be queued"));
  EXPECT_THAT(refusal({"apply", "-f", "nowhere.toml"}), HasSubstr("nowhere.toml"));
  cluster().master().write("/root/k4t/wrong.toml", "[[service]]\nname = \"web\"\nreplica = 1\n");
  EXPECT_THAT(refusal({"apply", "-f", "wrong.toml"}), HasSubstr("unknown key \"replica\""));
  EXPECT_THAT(k4t({"queue", "ls"}).out, HasSubstr("Nothing is queued."));
}

}  // namespace
}  // namespace k4t::testing::lab
