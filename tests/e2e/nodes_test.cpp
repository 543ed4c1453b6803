#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <set>

#include "support/real_cluster.hpp"
#include "support/traffic.hpp"

/// Nodes come, are emptied, die and return under load, through the k4t program, on real servers.

namespace k4t::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

RealClusterOptions with_nodes(unsigned count) {
  RealClusterOptions options;
  options.nodes = count;
  return options;
}

class NodesUnderLoad : public ::testing::Test {
 protected:
  void begin(unsigned nodes) { cluster_ = std::make_unique<RealCluster>(with_nodes(nodes)); }

  void deploy(unsigned replicas) {
    cluster_->web(replicas, "hello");
    const auto applied = cluster_->apply();
    ASSERT_EQ(applied.exit_code, 0) << applied.out << applied.err;
  }
  /// Runs a command that must end so.
  RealCluster::Command k4t(const std::vector<std::string>& arguments, int exit_code = 0) {
    auto command = cluster_->k4t(arguments);
    EXPECT_EQ(command.exit_code, exit_code) << arguments.front() << ' ' << arguments.back() << '\n'
                                            << command.out << command.err;
    return command;
  }
  std::vector<std::string> nodes_of_instances() {
    std::vector<std::string> nodes;
    for (const auto& one : k4t({"ps", "-o", "json"}).json()) nodes.push_back(one.at("node"));
    std::sort(nodes.begin(), nodes.end());
    return nodes;
  }
  Json node(const std::string& name) { return k4t({"node", "show", name, "-o", "json"}).json(); }

  Clients clients() {
    Clients all;
    for (const char* gateway : {RealCluster::nginx_address, RealCluster::haproxy_address}) {
      all.push_back(std::make_unique<Traffic>([this, gateway] {
        const auto answer = cluster_->get(gateway, "web");
        return answer.status == 200 ? std::string() : std::to_string(answer.status) + " " + answer.body;
      }));
    }
    return all;
  }
  /// From now on the node cannot be read, while what it runs goes on; and back.
  void cut_off(unsigned number) const {
    cluster_->edit_config("\"" + cluster_->process_folder(number).string() + "\"", elsewhere());
  }
  void join(unsigned number) const {
    cluster_->edit_config(elsewhere(), "\"" + cluster_->process_folder(number).string() + "\"");
  }
  /// A file, so that no folder can be there.
  [[nodiscard]] std::string elsewhere() const { return "\"" + cluster_->config().string() + "\""; }

  std::unique_ptr<RealCluster> cluster_;
};

TEST_F(NodesUnderLoad, ADrainLosesNoRequest) {
  K4T_REQUIRE_CLUSTER();
  begin(3);
  deploy(4);
  const auto load = clients();
  const auto drained = k4t({"node", "drain", "n2", "--yes", "--why", "new disks"});
  EXPECT_THAT(drained.out, HasSubstr("~ n2: draining (new disks)"));
  EXPECT_THAT(drained.out, HasSubstr("(its node is drained)"));
  const auto nodes = nodes_of_instances();
  EXPECT_EQ(nodes.size(), 4U);
  EXPECT_EQ(std::count(nodes.begin(), nodes.end(), "n2"), 0);
  EXPECT_EQ(node("n2").at("state"), "drained");
  EXPECT_THAT(k4t({"status"}).out, HasSubstr("drained, by root on "));
  EXPECT_THAT(k4t({"node", "drain", "n2", "--yes"}).out, HasSubstr("Nothing to do."));
  // The other way round: the next one may come here again.
  k4t({"node", "uncordon", "n2"});
  k4t({"node", "drain", "n1", "--yes"});
  const auto after = nodes_of_instances();
  EXPECT_EQ(std::count(after.begin(), after.end(), "n1"), 0);
  EXPECT_GT(std::count(after.begin(), after.end(), "n2"), 0);
  EXPECT_EQ(disturbance(load), "");
  EXPECT_THAT(cluster_->apply().out, HasSubstr("Nothing to do."));
}

TEST_F(NodesUnderLoad, ADrainThatIsKilledIsFinishedOrUndoneAndLosesNoRequest) {
  K4T_REQUIRE_CLUSTER();
  begin(2);
  deploy(2);
  const auto load = clients();
  const std::vector<std::pair<std::string, bool>> moments{
      {"1 after start *", false}, {"1 before vote *", false}, {"1 after vote *", true}, {"1 before stop *", true}};
  for (const auto& [moment, finished] : moments) {
    const auto killed = cluster_->k4t({"node", "drain", "n2", "--yes"}, {{"K4T_KILL_AT_STEP", moment}});
    EXPECT_EQ(killed.exit_code, 128 + SIGKILL) << moment << killed.out << killed.err;
    k4t({"status"});
    EXPECT_EQ(node("n2").at("state"), finished ? "drained" : "ready") << moment;
    EXPECT_THAT(nodes_of_instances(), ElementsAre("n1", finished ? "n1" : "n2")) << moment;
    k4t({"node", "drain", "n2", "--yes"});
    EXPECT_THAT(nodes_of_instances(), ElementsAre("n1", "n1")) << moment;
    k4t({"node", "uncordon", "n2"});
    k4t({"node", "drain", "n1", "--yes"});
    k4t({"node", "uncordon", "n1"});
    deploy(1);
    deploy(2);
  }
  EXPECT_EQ(disturbance(load), "");
}

TEST_F(NodesUnderLoad, WhatALostNodeRanIsPlacedAnewAndTidiedUpWhenItReturns) {
  K4T_REQUIRE_CLUSTER();
  begin(2);
  deploy(2);
  const auto load = clients();
  k4t({"node", "ls"});
  cut_off(2);
  EXPECT_THAT(cluster_->apply().out, HasSubstr("Nothing to do.")) << "unknown is never empty";
  const Json unreachable = node("n2");
  EXPECT_EQ(unreachable.at("state"), "unreachable");
  EXPECT_FALSE(unreachable.contains("cpu_offered_millis"));
  EXPECT_EQ(unreachable.at("last_known").at("instances").size(), 1U);
  EXPECT_TRUE(unreachable.at("last_known").contains("at_s"));

  EXPECT_EQ(k4t({"repair"}, 2).out, "") << "nobody can be asked";
  const auto repaired = k4t({"repair", "--yes", "--why", "fire"});
  EXPECT_THAT(repaired.out, HasSubstr("- web: give up 1 instance on n2 (its node is lost)"));
  EXPECT_THAT(nodes_of_instances(), ElementsAre("n1", "n1"));
  EXPECT_EQ(node("n2").at("state"), "lost");
  EXPECT_THAT(k4t({"repair", "--yes"}).out, HasSubstr("Nothing to do."));

  join(2);
  EXPECT_THAT(nodes_of_instances(), ElementsAre("n1", "n1", "n2")) << "it ran all the time";
  EXPECT_THAT(k4t({"repair", "--yes"}).out, HasSubstr("its node was lost and has returned"));
  EXPECT_THAT(nodes_of_instances(), ElementsAre("n1", "n1"));
  EXPECT_EQ(node("n2").at("state"), "ready");
  EXPECT_EQ(disturbance(load), "");
}

TEST_F(NodesUnderLoad, ARepairReplacesWhatDiedWithoutAnyServiceFile) {
  K4T_REQUIRE_CLUSTER();
  begin(1);
  cluster_->web(2, "hello");
  const auto file = cluster_->folder() / "services" / "web.toml";
  std::string text = Scratch::read(file);
  text.insert(text.find("replicas"), "restart = \"never\"\n");
  cluster_->service("web", text);
  ASSERT_EQ(cluster_->apply().exit_code, 0);
  const auto before = k4t({"ps", "-o", "json"}).json();
  const std::string victim = before.at(0).at("name");
  const std::string kept = before.at(1).at("name");
  cluster_->remove_service_file("web");
  const Json status = Json::parse(Scratch::read(cluster_->process_folder(1) / victim / "status.json"));
  ASSERT_EQ(::kill(status.at("pid").get<pid_t>(), SIGKILL), 0);
  ASSERT_TRUE(
      eventually([&] { return k4t({"ps"}).out.find("exited") != std::string::npos; }, std::chrono::seconds(20)));
  k4t({"repair", "--yes"});
  const auto after = k4t({"ps", "-o", "json"}).json();
  ASSERT_EQ(after.size(), 2U);
  std::set<std::string> names;
  for (const auto& one : after) names.insert(one.at("name"));
  EXPECT_TRUE(names.contains(kept));
  EXPECT_FALSE(names.contains(victim));
}

TEST_F(NodesUnderLoad, AnAddedNodeIsOneLikeAnyOtherUntilItIsRemoved) {
  K4T_REQUIRE_CLUSTER();
  begin(1);
  deploy(1);
  const auto add = [&](const std::string& name, const std::string& address, const std::string& ports) {
    std::vector<std::string> words{"node", "add", name, "--driver", "process", "--address", address, "--ports", ports};
    for (const auto& option : cluster_->process_options(2)) {
      words.emplace_back("--option");
      words.push_back(option);
    }
    words.insert(words.end(), {"--label", "zone=b", "--memory", "1GiB"});
    return words;
  };
  EXPECT_THAT(k4t(add("n1", "127.0.0.9", "21000-21999"), 1).err, HasSubstr("there is a node 'n1' already"));
  EXPECT_THAT(k4t(add("n2", "127.0.0.1", "20500-21999"), 1).err, HasSubstr("node 'n1' has the address 127.0.0.1"));
  EXPECT_THAT(k4t(add("n2", "localhost", "21000-21999"), 2).err, HasSubstr("'address' is \"localhost\""));
  auto unreadable = add("n2", "127.0.0.2", "21000-21999");
  unreadable.insert(unreadable.end(), {"--option", "folder=" + cluster_->config().string()});
  EXPECT_THAT(k4t(unreadable, 1).err, HasSubstr("nothing was stored, --force adds it all the same"));
  auto odd = add("n2", "127.0.0.2", "21000-21999");
  odd.insert(odd.end(), {"--option", "colour=red"});
  EXPECT_THAT(k4t(odd, 2).err, HasSubstr("unknown option \"colour\""));
  EXPECT_EQ(k4t({"node", "ls", "-o", "json"}).json().size(), 1U) << "nothing was stored by any of them";

  k4t(add("n2", "127.0.0.2", "21000-21999"));
  const Json added = node("n2");
  EXPECT_EQ(added.at("from"), "node add");
  EXPECT_EQ(added.at("labels").at("zone"), "b");
  EXPECT_EQ(added.at("memory_offered_bytes"), 1 << 30);
  EXPECT_THAT(k4t({"config", "check"}).out, HasSubstr("2 nodes"));
  deploy(2);
  EXPECT_THAT(nodes_of_instances(), ElementsAre("n1", "n2"));

  EXPECT_THAT(k4t({"node", "rm", "n2"}, 1).err, HasSubstr("`k4t node drain n2`"));
  EXPECT_THAT(k4t({"node", "rm", "n1"}, 2).err, HasSubstr("take its [[node]] table out of the file"));
  const auto load = clients();
  k4t({"node", "drain", "n2", "--yes"});
  k4t({"node", "rm", "n2"});
  EXPECT_EQ(k4t({"node", "ls", "-o", "json"}).json().size(), 1U);
  EXPECT_THAT(nodes_of_instances(), ElementsAre("n1", "n1"));

  k4t(add("n2", "127.0.0.2", "21000-21999"));
  EXPECT_EQ(node("n2").at("state"), "ready") << "the mark went with the node";
  EXPECT_EQ(disturbance(load), "");

  // A table of the same name counts, and the added node can be forgotten.
  cluster_->edit_config("[[gateway]]\nname = \"gw1\"",
                        "[[node]]\nname = \"n2\"\naddress = \"127.0.0.3\"\ndriver = \"process\"\n"
                        "options.folder = \"" +
                            cluster_->process_folder(2).string() + "\"\n\n[[gateway]]\nname = \"gw1\"");
  EXPECT_EQ(node("n2").at("address"), "127.0.0.3");
  EXPECT_EQ(node("n2").at("from"), "k4t.toml");
  EXPECT_THAT(k4t({"doctor"}).out, HasSubstr("`k4t node rm n2` forgets the added one"));
  k4t({"node", "cordon", "n2"});
  k4t({"node", "rm", "n2"});
  EXPECT_EQ(node("n2").at("state"), "cordoned") << "it is the table's";
  EXPECT_EQ(k4t({"doctor"}).out.find("forgets the added one"), std::string::npos);
}

TEST_F(NodesUnderLoad, AnAddedNodeThatIsLostIsRemovedOnceWhatItRanIsPlacedAnew) {
  K4T_REQUIRE_CLUSTER();
  begin(1);
  deploy(1);
  std::vector<std::string> add{"node",      "add",       "n2",      "--driver",   "process",
                               "--address", "127.0.0.2", "--ports", "21000-21999"};
  for (const auto& option : cluster_->process_options(2)) add.insert(add.end(), {"--option", option});
  k4t(add);
  deploy(2);
  EXPECT_THAT(k4t({"node", "rm", "n2", "--lost", "--yes"}, 1).err, HasSubstr("node 'n2' answers"));
  const auto folder = cluster_->process_folder(2);
  std::filesystem::rename(folder, folder.string() + ".burnt");
  cluster_->scratch().write(folder.filename().string(), "no folder");
  EXPECT_THAT(k4t({"node", "rm", "n2"}, 1).err, HasSubstr("say --lost"));
  const auto removed = k4t({"node", "rm", "n2", "--lost", "--yes", "--why", "fire"});
  EXPECT_THAT(removed.out, HasSubstr("give up 1 instance on n2"));
  EXPECT_THAT(nodes_of_instances(), ElementsAre("n1", "n1"));
  EXPECT_EQ(k4t({"node", "ls", "-o", "json"}).json().size(), 1U);
  EXPECT_EQ(k4t({"node", "drain", "n2", "--yes"}, 2).out, "");
}

}  // namespace
}  // namespace k4t::testing
