#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lab/servers.hpp"
#include "support/docker_engine.hpp"
#include "support/packed_image.hpp"
#include "support/real_cluster.hpp"

/// Images from node to node, on machines of their own: what leaves the master and what each node sends is counted where
/// it goes through, at their network interfaces.

namespace k4t::testing::lab {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t base_bytes = 8'000'000;
constexpr std::size_t top_bytes = 2'000'000;
/// SSH, TCP, and everything that is no layer.
constexpr double besides = 1.15;
const std::vector<std::string> nodes{"n1", "n2", "n3"};

std::string noise(std::size_t bytes, unsigned seed) {
  std::string text(bytes, '\0');
  for (auto& byte : text) byte = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24U);
  return text;
}

std::uint64_t sent_bytes(const Machine& machine) {
  return std::stoull(machine.must({"cat", "/sys/class/net/eth0/statistics/tx_bytes"}));
}

/// A master and three nodes with Docker. k4t logs in on n1 as a user who is only in Docker's group.
class LabImages : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!missing().empty() || !DockerEngine::missing().empty()) return;
    lab = std::make_unique<Lab>();
    const Keys keys(*lab);
    std::string config =
        "[cluster]\nname = \"demo\"\ndomain = \"demo.example.net\"\n[plugins]\nfolders = [\"" K4T_BINARY_DIR
        "/plugins\"]\n[ssh]\nidentity = [\"" +
        keys.identity() + "\"]\nknown_hosts = \"" + keys.known_hosts() +
        "\"\nconnect_timeout = \"3s\"\n[[dns]]\nname = \"ns1\"\ndriver = \"bind\"\naddress = "
        "\"192.0.2.99\"\noptions.key_file = \"/root/key\"\n";
    lab->add("master").write("/root/key", "", 0600);
    for (const auto& name : nodes) {
      Machine& node = lab->add(name);
      const std::string user = name == "n1" ? "k4t" : "root";
      if (user != "root") {
        node.must({"useradd", "--create-home", "--shell", "/bin/sh", "--password", "*", "--groups", "docker", user});
      }
      keys.run_sshd(node);
      run_docker(node);
      config += "[[node]]\nname = \"" + name + "\"\ndriver = \"docker\"\naddress = \"" + node.address() +
                "\"\noptions.host = \"ssh://" + user + "@" + node.address() + "\"\n";
    }
    (*lab)["master"].write("/root/k4t.toml", config);
  }
  static void TearDownTestSuite() { lab.reset(); }

  void SetUp() override {
    for (const auto& why : {missing(), DockerEngine::missing()}) {
      if (!why.empty()) K4T_SKIP_OR_FAIL(why);
    }
  }
  void TearDown() override {
    if (lab == nullptr) return;
    for (const auto& name : nodes) {
      node(name).must({"sh", "-c", "docker image ls -q | sort -u | xargs -r docker image rm -f"});
      EXPECT_EQ(leftovers(name), "") << name;
    }
  }

  static Machine& master() { return (*lab)["master"]; }
  static Machine& node(const std::string& name) { return (*lab)[name]; }

  /// What sharing and taking leave on a node; it ends a moment after k4t.
  static std::string leftovers(const std::string& name) {
    std::string left;
    eventually([&] {
      left = node(name).must({"sh", "-c", "ls -d /var/tmp/k4t-* /tmp/tmp.* 2>/dev/null; pgrep -af '[k]4t-share'; :"});
      return left.empty();
    });
    return left;
  }

  static K4tCommand k4t(const std::vector<std::string>& arguments, const std::string& environment = "K4T=") {
    std::vector<std::string> argv{
        "env", environment, "sh", "-c", "exec \"$@\" >out.txt 2>err.txt", "sh", K4T_BINARY_DIR "/bin/k4t"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const auto ran = master().run(argv, {}, std::chrono::minutes(5));
    return {ran.exit_code, master().read("/root/out.txt"), master().read("/root/err.txt")};
  }

  /// An archive that every machine sees.
  static std::string archive(const std::vector<std::string>& layers, const std::string& name) {
    const Scratch scratch;
    const auto made = make_tar(scratch, saved(layers, Json::array({name})));
    const auto path = lab->folder() / "images.tar";
    std::filesystem::copy_file(made, path, std::filesystem::copy_options::overwrite_existing);
    return path.string();
  }

  /// `image push`, its rows by node, and what each machine sent meanwhile.
  struct Push {
    std::map<std::string, Json> rows;
    std::map<std::string, std::uint64_t> sent;
    std::string err;
  };
  static Push push(const std::vector<std::string>& layers, const std::string& name, int exit_code = 0) {
    const auto path = archive(layers, name);
    std::map<std::string, std::uint64_t> before{{"master", sent_bytes(master())}};
    for (const auto& each : nodes) before[each] = sent_bytes(node(each));
    const auto command = k4t({"-o", "json", "image", "push", "--archive", path});
    EXPECT_EQ(command.exit_code, exit_code) << command.out << command.err;
    Push push;
    push.err = command.err;
    for (const auto& row : command.json()) push.rows[row.at("node")] = row;
    for (const auto& [machine, bytes] : before) push.sent[machine] = sent_bytes((*lab)[machine]) - bytes;
    return push;
  }
  static bool has_image(const std::string& name, const std::string& image) {
    return node(name).run({"docker", "image", "inspect", image}).exit_code == 0;
  }

  static inline std::unique_ptr<Lab> lab;
  static inline const std::string base = layer_of("base", noise(base_bytes, 1));
  static inline const std::string top = layer_of("top", noise(top_bytes, 2));
};

TEST_F(LabImages, WhatAllLackLeavesTheMasterOnce) {
  auto first = push({base}, "shop/web:1");
  EXPECT_LT(static_cast<double>(first.sent["master"]), base_bytes * besides) << first.err;
  EXPECT_GT(first.sent["n1"], 2 * base_bytes) << "to both of the others";
  for (const auto& name : nodes) {
    EXPECT_EQ(first.rows[name].value("from", ""), "n1") << first.rows[name];
    EXPECT_EQ(first.rows[name].value("sent_layers", 0), 1);
    EXPECT_TRUE(has_image(name, "shop/web:1")) << name;
  }
  EXPECT_THAT(first.err, HasSubstr("images on n1: shared\n"));

  // A node that has nothing, and two that have the base.
  node("n3").must({"docker", "image", "rm", "shop/web:1"});
  auto second = push({base, top}, "shop/web:2");
  EXPECT_LT(static_cast<double>(second.sent["master"]), (base_bytes + top_bytes) * besides) << second.err;
  EXPECT_GT(second.sent["n3"], 2 * top_bytes) << "what lacks most shares";
  EXPECT_LT(second.sent["n3"], 2 * top_bytes * besides) << "each takes only what it lacks";
  EXPECT_EQ(second.rows["n3"].value("sent_layers", 0), 2);
  for (const char* name : {"n1", "n2"}) {
    EXPECT_EQ(second.rows[name].value("from", ""), "n3") << second.rows[name];
    EXPECT_EQ(second.rows[name].value("sent_layers", 0), 1);
    EXPECT_TRUE(has_image(name, "shop/web:2"));
  }
}

TEST_F(LabImages, ANodeThatIsCutOffFromTheOneThatSharesIsServedByTheMaster) {
  node("n3").must({"iptables", "-A", "OUTPUT", "-d", node("n1").address(), "-j", "DROP"});
  auto pushed = push({base}, "shop/web:1");
  node("n3").must({"iptables", "-D", "OUTPUT", "-d", node("n1").address(), "-j", "DROP"});
  EXPECT_EQ(pushed.rows["n2"].value("from", ""), "n1");
  EXPECT_EQ(pushed.rows["n3"].value("result", ""), "loaded");
  EXPECT_EQ(pushed.rows["n3"].value("from", "here"), "here");
  EXPECT_THAT(pushed.err, HasSubstr("warning: node 'n3': ssh: connect to host " + node("n1").address()));
  EXPECT_GT(pushed.sent["master"], 2 * base_bytes);
  for (const auto& name : nodes) EXPECT_TRUE(has_image(name, "shop/web:1")) << name;
}

TEST_F(LabImages, WhereThereIsNoRoomAnotherNodeShares) {
  node("n1").must({"mount", "-t", "tmpfs", "-o", "size=10m,mode=1777", "tmpfs", "/var/tmp"});
  auto pushed = push({base}, "shop/web:1");
  node("n1").must({"umount", "/var/tmp"});
  EXPECT_THAT(pushed.err, HasSubstr("warning: node 'n1': /var/tmp there has only 10 MiB free; it does not share"));
  EXPECT_LT(static_cast<double>(pushed.sent["master"]), base_bytes * besides);
  for (const auto& name : nodes) EXPECT_EQ(pushed.rows[name].value("from", ""), "n2") << name;
}

TEST_F(LabImages, ADeadNodeCostsTheOthersNothing) {
  node("n2").unplug();
  auto pushed = push({base}, "shop/web:1", 7);
  node("n2").plug();
  EXPECT_EQ(pushed.rows["n2"].value("result", ""), "failed");
  EXPECT_EQ(pushed.rows["n3"].value("from", ""), "n1");
  EXPECT_LT(static_cast<double>(pushed.sent["master"]), base_bytes * besides);
}

TEST_F(LabImages, OfAMasterThatDiesNothingGoesOn) {
  const auto path = archive({base}, "shop/web:1");
  const auto killed = k4t({"image", "push", "--archive", path}, "K4T_KILL_AT_STEP=1 after share images on n1");
  EXPECT_EQ(killed.exit_code, 128 + 9) << killed.out << killed.err;
  for (const auto& name : nodes) EXPECT_EQ(leftovers(name), "") << name;
  EXPECT_EQ(push({base}, "shop/web:1").rows["n3"].value("from", ""), "n1");
}

TEST_F(LabImages, WhatIsNotSoundIsRefusedByEveryNode) {
  Members evil = saved({base}, Json::array({"shop/evil:1"}));
  for (auto& [name, content] : evil) {
    if (name.ends_with("layer.tar")) content = layer_of("base", noise(base_bytes, 7));
  }
  const Scratch scratch;
  std::filesystem::copy_file(make_tar(scratch, evil), lab->folder() / "evil.tar");
  const auto pushed = k4t({"-o", "json", "image", "push", "--archive", (lab->folder() / "evil.tar").string()});
  EXPECT_EQ(pushed.exit_code, 1);
  for (const auto& row : pushed.json()) EXPECT_THAT(row.value("why", ""), HasSubstr("no sound image")) << row;
}

/// A node that serves another layer than the one it was given, in place of sshd's command.
TEST_F(LabImages, ANodeThatLiesIsFoundOutByTheOthers) {
  node("n1").write("/usr/local/sbin/sshd",
                   "#!/bin/sh\nfor config; do :; done\nfolder=${config%/*}\n"
                   "printf lie | dd of=$folder/spool bs=1 seek=1000000 conv=notrunc status=none\n"
                   "exec /usr/sbin/sshd \"$@\"\n",
                   0755);
  auto pushed = push({base}, "shop/web:1");
  node("n1").must({"rm", "/usr/local/sbin/sshd"});
  for (const auto& name : nodes) {
    EXPECT_EQ(pushed.rows[name].value("from", "here"), "here") << name;
    EXPECT_THAT(pushed.err, HasSubstr("warning: node '" + name + "': the Docker Engine finds that this is no sound"));
    EXPECT_TRUE(has_image(name, "shop/web:1")) << name;
  }
}

}  // namespace
}  // namespace k4t::testing::lab
