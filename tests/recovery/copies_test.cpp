#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "backup/copy_file.hpp"
#include "recovery/recovery_fixture.hpp"

/// Copies of the metadata on other machines, reached over SSH as everything else is.

namespace k4t::testing::lab {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class Copies : public RecoveryCluster {
 protected:
  void SetUp() override {
    const bool is_new = shared == nullptr;
    LabCluster::SetUp();
    if (!is_new || shared == nullptr) return;
    add_to_config(backup_on("n1", "1m") + backup_on("n2", "1h"));
    const auto made = k4t({"init"});
    EXPECT_THAT(made.out, HasSubstr("New backup key: /root/k4t/backup.key"));
    EXPECT_THAT(made.out, HasSubstr("Keep a copy of this file away"));
    EXPECT_THAT(k4t({"init"}).out, HasSubstr("is there already"));
  }

  static std::string newest(const std::string& node) { return std::string(copies_folder) + "/" + copies(node).back(); }
  static Json standing(const std::string& place) {
    const Json status = k4t({"status", "-o", "json"}).json();
    for (const auto& one : status.at("copies")) {
      if (one.at("place") == place) return one;
    }
    return {};
  }
};

TEST_F(Copies, AChangeIsCopiedBeforeTheCommandEnds) {
  cluster().web(2, "copied");
  const auto applied = k4t({"apply", "-f", "services"});
  EXPECT_THAT(applied.out, EndsWith("Metadata copied to n1, n2.\n"));
  EXPECT_EQ(cluster()["n1"].must({"stat", "-c", "%a", newest("n1")}), "600\n");
  EXPECT_EQ(cluster()["n1"].must({"stat", "-c", "%a", copies_folder}), "700\n");

  const auto key = backup::Key::read(cluster().master().at("/root/k4t/backup.key").string());
  ASSERT_TRUE(key.ok()) << key.error().message;
  for (const char* node : {"n1", "n2"}) {
    ASSERT_THAT(copies(node), Not(IsEmpty()));
    const auto text = cluster()[node].read(newest(node));
    EXPECT_THAT(text, Not(HasSubstr("GREETING"))) << "it is encrypted";
    const auto copy = backup::unseal(text, &*key);
    ASSERT_TRUE(copy.ok()) << copy.error().message;
    EXPECT_THAT(copy->metadata, HasSubstr("GREETING"));
    EXPECT_THAT(copy->files.at("k4t.toml"), HasSubstr("[[backup]]"));
    EXPECT_EQ(copy->header.version, 1U);
    EXPECT_TRUE(standing(node).at("current")) << standing(node);
  }
  const auto count = copies("n1").size();
  EXPECT_THAT(k4t({"apply", "-f", "services"}).out, AllOf(HasSubstr("Nothing to do."), Not(HasSubstr("copied"))));
  EXPECT_THAT(copies("n1"), SizeIs(count));
}

TEST_F(Copies, EachPlaceHasItsInterval) {
  deploy(2, "first");
  const auto here = copies("n1").size();
  const auto there = copies("n2").size();
  deploy(1, "second");
  EXPECT_THAT(copies("n1"), SizeIs(here + 1)) << "the shortest interval keeps every change";
  EXPECT_THAT(copies("n2"), SizeIs(there)) << "it had one less than an hour ago";
  EXPECT_THAT(k4t({"status"}).out, HasSubstr("COPIES ON"));
  EXPECT_FALSE(standing("n2").at("current"));
  EXPECT_THAT(k4t({"backup", "now"}).out, HasSubstr("Metadata copied to n1, n2."));
  EXPECT_TRUE(standing("n2").at("current"));
}

TEST_F(Copies, ADeadPlaceDelaysNothingWhileAnotherOneAnswers) {
  cluster().edit_config("every = \"1h\"", "every = \"1m\"");  // both have the shortest interval now
  cluster().edit_config("connect_timeout = \"3s\"", "connect_timeout = \"60s\"");
  cluster()["n2"].must({"iptables", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "DROP"});
  const auto began = std::chrono::steady_clock::now();
  const auto cordoned = cluster().k4t({"node", "cordon", "n3", "--why", "to see"});
  const auto took = std::chrono::steady_clock::now() - began;
  cluster()["n2"].must({"iptables", "-D", "INPUT", "-p", "tcp", "--dport", "22", "-j", "DROP"});
  EXPECT_EQ(cordoned.exit_code, 0) << cordoned.out << cordoned.err;
  EXPECT_THAT(cordoned.out,
              AllOf(HasSubstr("no copy: copies on n2: it does not answer"), HasSubstr("Metadata copied to n1.")));
  EXPECT_LT(took, std::chrono::seconds(50)) << "the silent one's time-out was waited for";
  cluster().edit_config("connect_timeout = \"60s\"", "connect_timeout = \"3s\"");
  cluster().edit_config("n2\"\nevery = \"1m\"", "n2\"\nevery = \"1h\"");
  k4t({"node", "uncordon", "n3"});
}

TEST_F(Copies, AChangeThatIsCopiedNowhereSaysSoWithItsExitCodeAndItsLastLine) {
  for (const char* node : {"n1", "n2"}) {
    cluster()[node].must({"sh", "-c", "mv /var/lib/k4t/backup /var/lib/k4t/away && touch /var/lib/k4t/backup"});
  }
  const auto cordoned = cluster().k4t({"node", "cordon", "n3"});
  EXPECT_EQ(cordoned.exit_code, 5) << cordoned.out << cordoned.err;
  EXPECT_THAT(cordoned.out, HasSubstr("no copy: copies on n1: "));
  EXPECT_THAT(
      cordoned.out,
      EndsWith("not copied: the metadata of this change is on this machine only; `k4t backup now` tries again\n"));
  const auto doctor = cluster().k4t({"doctor"});
  EXPECT_THAT(doctor.out, HasSubstr("copies on n1: the last one is older than the metadata"));
  for (const char* node : {"n1", "n2"}) {
    cluster()[node].must({"sh", "-c", "rm /var/lib/k4t/backup && mv /var/lib/k4t/away /var/lib/k4t/backup"});
  }
  // The next command makes up for it, unless it takes back what was not copied.
  EXPECT_THAT(k4t({"node", "cordon", "n3", "--why", "again"}).out, HasSubstr("Metadata copied to n1"));
  k4t({"node", "uncordon", "n3"});
}

TEST_F(Copies, AForgedOneAndOneOfAnotherNameAreFound) {
  deploy(1, "sound");
  EXPECT_THAT(k4t({"backup", "verify"}).out, HasSubstr("sound"));
  EXPECT_THAT(k4t({"backup", "ls", "n1"}).out, Not(HasSubstr("n2")));
  const std::string name = copies("n1").back();
  const std::string forged = std::string(copies_folder) + "/k4t-20990101T000000Z-v9-00000000.copy";
  cluster()["n1"].must({"cp", newest("n1"), forged});
  auto verified = cluster().k4t({"backup", "verify", "n1"});
  EXPECT_EQ(verified.exit_code, 1);
  EXPECT_THAT(verified.out, HasSubstr(" is the copy " + name + " under another's name"));
  cluster()["n1"].must({"rm", forged});

  cluster()["n1"].must({"sh", "-c", "printf x | dd of=" + newest("n1") + " bs=1 seek=900 conv=notrunc status=none"});
  verified = cluster().k4t({"backup", "verify", "n1"});
  EXPECT_EQ(verified.exit_code, 1);
  EXPECT_THAT(verified.out, HasSubstr("damaged, forged or cut short"));
  cluster()["n1"].must({"rm", newest("n1")});
  EXPECT_EQ(cluster().k4t({"backup", "ls", "nobody"}).exit_code, 2);
}

// Disks that are full, that can only be read, and that forget.

TEST_F(Copies, APlaceWhoseDiskIsFullOrReadOnlyKeepsWhatItHasAndGetsNoHalfCopy) {
  deploy(1, "before");
  constexpr const char* disk = "/var/lib/k4t/backup";
  cluster()["n1"].must({"mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk});
  deploy(1, "fits");
  EXPECT_THAT(copies("n1"), SizeIs(1));
  const auto whole = copies("n1");
  const auto expect_refusal = [&](const std::string& greeting, const std::string& why) {
    cluster().web(1, greeting);
    const auto applied = k4t({"apply", "-f", "services"});
    EXPECT_THAT(applied.out, HasSubstr("no copy: "));
    EXPECT_THAT(applied.out, HasSubstr(why));
    EXPECT_THAT(applied.out, HasSubstr("Metadata copied to n2."));
    EXPECT_EQ(copies("n1"), whole) << "what was there is there, and nothing else";
    EXPECT_THAT(k4t({"backup", "verify", "n1"}).out, HasSubstr("sound"));
  };
  cluster()["n1"].run({"sh", "-c", std::string("dd if=/dev/zero of=") + disk + "/filler bs=1k status=none"});
  expect_refusal("full", "No space left on device");
  cluster()["n1"].must({"rm", std::string(disk) + "/filler"});
  cluster()["n1"].must({"mount", "-o", "remount,ro", disk});
  expect_refusal("read-only", "Read-only file system");
  cluster()["n1"].must({"umount", disk});
  EXPECT_THAT(k4t({"backup", "now"}).out, HasSubstr("Metadata copied to n1, n2."));
}

TEST_F(Copies, AMasterWhoseDiskIsFullOrReadOnlySaysSoAndChangesNothing) {
  deploy(1, "room");
  cluster().master().must(
      {"sh", "-c",
       "mv /root/k4t/state /root/k4t/real && mkdir -m 700 /root/k4t/state && mount -t tmpfs -o "
       "size=512k,mode=700 tmpfs /root/k4t/state && cp /root/k4t/real/metadata.db /root/k4t/state"});
  cluster().web(1, "refused");
  const auto expect_refusal = [&](const std::string& why) {
    const auto applied = cluster().k4t({"apply", "-f", "services"});
    EXPECT_NE(applied.exit_code, 0) << applied.out;
    EXPECT_THAT(applied.err, HasSubstr(why));
    expect_greeting("room from web");
  };
  cluster().master().run({"sh", "-c", "dd if=/dev/zero of=/root/k4t/state/filler bs=1k status=none"});
  expect_refusal("full: free some space");
  cluster().master().must({"rm", "/root/k4t/state/filler"});
  cluster().master().must({"mount", "-o", "remount,ro", "/root/k4t/state"});
  expect_refusal("/root/k4t/state/metadata.db");
  cluster().master().must({"mount", "-o", "remount,rw", "/root/k4t/state"});
  deploy(1, "refused");
  expect_greeting("refused from web");
  cluster().master().must({"sh", "-c",
                           "cp /root/k4t/state/metadata.db /root/k4t/real/ && umount /root/k4t/state && rmdir "
                           "/root/k4t/state && mv /root/k4t/real /root/k4t/state"});
}

TEST_F(Copies, ABitThatFlippedInTheMetadataIsFoundAndACopyTakesItsPlace) {
  deploy(1, "sound");
  cluster().master().must({"sh", "-c",
                           "cd /root/k4t/state && printf '\\377' | dd of=metadata.db bs=1 seek=9000 conv=notrunc "
                           "status=none"});
  const auto status = cluster().k4t({"status"});
  EXPECT_EQ(status.exit_code, 1) << status.out;
  EXPECT_THAT(status.err, HasSubstr("metadata.db is damaged: move it away and restore a metadata copy"));
  const auto restored = k4t({"restore", "--from", "n1"});
  EXPECT_THAT(restored.out, AllOf(HasSubstr("Restored version "), HasSubstr("What was here before is in "),
                                  HasSubstr("What runs is what is declared.")));
  EXPECT_THAT(k4t({"plan", "-f", "services"}).out, HasSubstr("Nothing to do: "));
}

}  // namespace
}  // namespace k4t::testing::lab
