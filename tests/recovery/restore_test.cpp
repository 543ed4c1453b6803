#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdio>

#include "recovery/recovery_fixture.hpp"

/// The master is lost, and a new machine takes its place with nothing but the backup key and the address of a copy.

namespace k4t::testing::lab {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Restore : public RecoveryCluster {
 protected:
  void SetUp() override {
    const bool is_new = shared == nullptr;
    LabCluster::SetUp();
    if (!is_new || shared == nullptr) return;
    add_to_config(backup_on("n1", "1m") + backup_on("n2", "1m"));
    // A file of the master's machine alone, without which the DNS servers refuse every change.
    const std::string tsig = (cluster().lab().folder() / "k4t.key").string();
    cluster().master().write("/root/k4t/tsig.key", cluster().master().read(tsig), 0600);
    for (int server = 0; server < 2; ++server) cluster().edit_config('"' + tsig + '"', "\"/root/k4t/tsig.key\"");
    k4t({"init"});
    key = cluster().master().read("/root/k4t/backup.key");
  }

  /// A machine with the key, SSH's keys, and nothing else.
  static Machine& new_machine(const std::string& name) {
    Machine& machine = cluster().lab().add(name);
    machine.write("/root/safe/key", key, 0600);
    return machine;
  }
  static Cluster::Command on(Machine& machine, const std::vector<std::string>& arguments,
                             const std::string& environment = "K4T_IN_A_TEST=1") {
    std::vector<std::string> argv{"sh",
                                  "-c",
                                  "mkdir -p /root/k4t && cd /root/k4t && exec \"$@\" >out.txt 2>err.txt",
                                  "sh",
                                  "env",
                                  environment,
                                  K4T_BINARY_DIR "/bin/k4t",
                                  "-c",
                                  "/root/k4t/k4t.toml"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const auto ran = machine.run(argv, {}, std::chrono::minutes(5));
    return {ran.exit_code, machine.read("/root/k4t/out.txt"), machine.read("/root/k4t/err.txt")};
  }
  static std::vector<std::string> restore_from(const std::string& node, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"restore",
                                       "--from",
                                       "ssh://root@" + cluster()[node].address(),
                                       "--key",
                                       "/root/safe/key",
                                       "--identity",
                                       (cluster().lab().folder() / "id_ed25519").string(),
                                       "--known-hosts",
                                       (cluster().lab().folder() / "known_hosts").string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  static std::string another(const std::string& name) {
    return "[[service]]\nname = \"" + name +
           "\"\nimage = \"app\"\nentrypoint = [\"/app\"]\ncommand = [\"http\"]\nstop_timeout = \"2s\"\n"
           "[[service.port]]\nname = \"http\"\nport = 8080\n[[service.expose]]\nlisten = 80\n";
  }
  /// When a copy was made, as --at takes it: k4t-20261127T113000Z-…
  static std::string time_of(const std::string& copy) {
    return copy.substr(4, 4) + "-" + copy.substr(8, 2) + "-" + copy.substr(10, 2) + "T" + copy.substr(13, 2) + ":" +
           copy.substr(15, 2) + ":" + copy.substr(17, 2) + "Z";
  }

  static inline std::string key;
};

TEST_F(Restore, AMasterThatDiedInTheMiddleOfADeployComesBackFromTheOnlyCopyLeft) {
  deploy(3, "calm");
  const auto load = cluster().load("web");
  cluster().web(3, "decided");
  const auto killed = cluster().k4t({"apply", "-f", "services"}, {{"K4T_KILL_AT_STEP", "2 after vote *"}});
  ASSERT_EQ(killed.exit_code, 128 + SIGKILL) << killed.out << killed.err;
  const std::string service = cluster().master().read("/root/k4t/services/web.toml");
  cluster().master().power_off();
  cluster()["n2"].must({"rm", "-rf", "/var/lib/k4t/backup"});
  const auto before = running();

  Machine& successor = new_machine("successor");
  const auto began = std::chrono::steady_clock::now();
  const auto restored = on(successor, restore_from("n1"));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("restored in %.1f s\n", took.count());
  EXPECT_EQ(restored.exit_code, 0) << restored.out << restored.err;
  EXPECT_THAT(
      restored.out,
      AllOf(HasSubstr("Restored version 1 of cluster demo"), HasSubstr("Restored /root/k4t/tsig.key."),
            HasSubstr("Decided since: up to version 2"), HasSubstr("Declared since, and taken from what runs: web."),
            HasSubstr("service web also runs in another revision")));
  EXPECT_EQ(successor.must({"stat", "-c", "%a", "/root/k4t/tsig.key"}), "600\n");
  // What was decided is served by both pairs now, and nothing that runs was touched.
  expect_greeting("decided from web");
  const auto after = running();
  for (const auto& one : before) EXPECT_TRUE(after.contains(one)) << one;

  successor.write("/root/k4t/services/web.toml", service);
  const auto applied = on(successor, {"apply", "-f", "services"});
  EXPECT_EQ(applied.exit_code, 0) << applied.out << applied.err;
  EXPECT_THAT(applied.out, HasSubstr("Metadata copied to n1, n2.")) << "the copies are made anew";
  EXPECT_EQ(disturbance(load), "");
  EXPECT_THAT(running(), SizeIs(3)) << "none is left over, none is doubled";
  for (const auto& one : running()) EXPECT_TRUE(before.contains(one)) << one << " was started by the restore";
  const auto status = on(successor, {"status", "-o", "json"});
  std::set<int> served;
  for (const auto& [member, version] : testing::served_versions(status)) served.insert(version);
  EXPECT_THAT(served, SizeIs(1)) << "both pairs are identical";
  EXPECT_THAT(on(successor, {"apply", "-f", "services"}).out, HasSubstr("Nothing to do."));

  // Where there is metadata already nothing is replaced, and everything stays as it is.
  const auto metadata = successor.must({"sha256sum", "/root/k4t/state/metadata.db"});
  const auto refused = on(successor, restore_from("n1"));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("--force puts it in its place"));
  EXPECT_EQ(successor.must({"sha256sum", "/root/k4t/state/metadata.db"}), metadata);
}

TEST_F(Restore, FromEachOfSeveralTimes) {
  Machine& successor = cluster()["successor"];
  for (const char* greeting : {"one", "two"}) {
    successor.must({"sh", "-c", "sleep 1.1"});  // copies' names tell seconds
    std::string text = successor.read("/root/k4t/services/web.toml");
    const auto at = text.find("GREETING = \"") + 12;
    text.replace(at, text.find('"', at) - at, greeting);
    successor.write("/root/k4t/services/web.toml", text);
    successor.write("/root/k4t/services/once.toml", another("once"));
    const auto applied = on(successor, {"apply", "-f", "services"});
    ASSERT_EQ(applied.exit_code, 0) << applied.out << applied.err;
  }
  // One service is there in some of the copies only, one in none of them.
  successor.must({"sh", "-c", "rm /root/k4t/services/once.toml; sleep 1.1"});
  ASSERT_EQ(on(successor, {"delete", "once", "--yes"}).exit_code, 0);
  successor.write("/root/k4t/late.toml", another("late"));
  cluster()["n1"].must({"sh", "-c", "mv /var/lib/k4t/backup /var/lib/k4t/away && touch /var/lib/k4t/backup"});
  ASSERT_EQ(on(successor, {"apply", "-f", "late.toml"}).exit_code, 0);
  cluster()["n1"].must({"sh", "-c", "rm /var/lib/k4t/backup && mv /var/lib/k4t/away /var/lib/k4t/backup"});
  const auto there = copies("n1");
  ASSERT_GE(there.size(), 4U);
  const auto before = running();
  const auto late = running("late");
  unsigned number = 0;
  unsigned knew_of_once = 0;
  for (const auto& name : there) {
    const std::string at = time_of(name);
    Machine& machine = new_machine("time" + std::to_string(++number));
    const auto restored = on(machine, restore_from("n1", {"--at", at}));
    EXPECT_EQ(restored.exit_code, 0) << at << restored.out << restored.err;
    EXPECT_THAT(restored.out, ContainsRegex("Declared since, and taken from what runs: .*late"));
    if (restored.out.find("Deleted since, as nothing of it runs or is served: once.") != std::string::npos) {
      ++knew_of_once;
    }
    EXPECT_EQ(restored.out.find("does not run"), std::string::npos) << restored.out;
    machine.write("/root/k4t/services/web.toml", successor.read("/root/k4t/services/web.toml"));
    const auto applied = on(machine, {"apply", "-f", "services"});
    EXPECT_EQ(applied.exit_code, 0) << at << applied.out << applied.err;
    EXPECT_EQ(running(), before) << at << ": something was started or stopped";
    EXPECT_EQ(running("late"), late) << at;
    EXPECT_THAT(running("once"), IsEmpty()) << at << ": it was deleted";
    expect_greeting("two from web");
    machine.power_off();
  }
  EXPECT_EQ(knew_of_once, 2U);
  EXPECT_EQ(on(new_machine("early"), restore_from("n1", {"--at", "2001-01-01T00:00:00Z"})).exit_code, 1);
}

// Whatever was done when it died, doing it again or the next command brings the rest.
TEST_F(Restore, KilledAtEachOfItsStepsItIsFinishedByTheNextCommand) {
  const std::string web = cluster()["successor"].read("/root/k4t/services/web.toml");
  const auto oldest = copies("n1").front();
  const auto from_the_oldest = restore_from("n1", {"--at", time_of(oldest)});
  const auto before = running();
  Machine& machine = new_machine("killed");
  machine.must({"mkdir", "-p", "/root/k4t"});
  const auto again = [&](const std::string& environment) {
    machine.must({"sh", "-c", "rm -rf /root/k4t/state /root/k4t/k4t.toml /root/k4t/tsig.key /root/k4t/backup.key"});
    return on(machine, from_the_oldest, environment);
  };
  ASSERT_EQ(again("K4T_STEPS_FILE=/root/steps").exit_code, 0);
  std::istringstream steps(machine.read("/root/steps"));
  unsigned count = 0;
  for (std::string step; std::getline(steps, step);) ++count;
  ASSERT_GT(count, 10U);
  unsigned killed = 0;
  for (unsigned at = 1; at <= count; ++at) {
    const auto dead = again("K4T_KILL_AT_STEP=" + std::to_string(at));
    if (dead.exit_code != 128 + SIGKILL) continue;  // fewer steps this time
    ++killed;
    const bool installed = machine.run({"test", "-e", "/root/k4t/k4t.toml"}).exit_code == 0;
    const auto finished = installed ? on(machine, {"--take-over", "status"}) : on(machine, from_the_oldest);
    EXPECT_EQ(finished.exit_code, 0) << at << finished.out << finished.err;
    machine.write("/root/k4t/services/web.toml", web);
    const auto planned = on(machine, {"plan", "-f", "services"});
    EXPECT_THAT(planned.out, HasSubstr("Nothing to do: ")) << at << planned.out << planned.err;
    EXPECT_EQ(running(), before) << at;
  }
  EXPECT_GT(killed, 10U);
  std::printf("killed at %u moments\n", killed);
  machine.power_off();
}

TEST_F(Restore, ANodeThatDoesNotAnswerIsNotTakenForOneThatRunsNothing) {
  cluster()["n3"].unplug();
  const auto restored = on(new_machine("blind"), restore_from("n1"));
  cluster()["n3"].plug();
  EXPECT_EQ(restored.exit_code, 0) << restored.out << restored.err;
  EXPECT_THAT(restored.out, HasSubstr("! what runs on these nodes is not known, they do not answer: n3"));
  EXPECT_EQ(restored.out.find("does not run"), std::string::npos) << restored.out;
  EXPECT_EQ(restored.out.find("What runs is what is declared"), std::string::npos);
}

TEST_F(Restore, WhatCannotBeTrustedTouchesNothing) {
  Machine& machine = new_machine("wary");
  const auto expect_refused = [&](const std::vector<std::string>& arguments, int exit_code, const std::string& why) {
    const auto refused = on(machine, arguments);
    EXPECT_EQ(refused.exit_code, exit_code) << refused.out << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(why));
    EXPECT_EQ(machine.run({"sh", "-c", "ls -d /root/k4t/k4t.toml /root/k4t/state 2>/dev/null"}).out, "");
  };
  expect_refused(restore_from("n1", {"--cluster", "other"}), 1, "there are no copies of the cluster 'other'");
  expect_refused(restore_from("n3"), 1, "there are no copies in /var/lib/k4t/backup on ssh://root@");
  const std::string name = copies("n1").back();
  const std::string file = std::string(copies_folder) + "/" + name;
  cluster()["n1"].must({"cp", file, "/root/kept.copy"});
  cluster()["n1"].must({"truncate", "-s", "-1", file});
  expect_refused(restore_from("n1"), 2, "damaged, forged or cut short");
  cluster()["n1"].must({"cp", "/root/kept.copy", file});
  cluster()["n1"].must({"cp", file, std::string(copies_folder) + "/k4t-20990101T000000Z-v9-00000000.copy"});
  expect_refused(restore_from("n1"), 1, "under another's name");
  cluster()["n1"].must({"rm", std::string(copies_folder) + "/k4t-20990101T000000Z-v9-00000000.copy"});
  std::string other = key;
  other.replace(other.size() - 5, 4, other.substr(other.size() - 5, 4) == "0000" ? "1111" : "0000");
  machine.write("/root/safe/key", other, 0600);
  expect_refused(restore_from("n1"), 2, "or the key is another cluster's");
}

}  // namespace
}  // namespace k4t::testing::lab
