#include "cli/render_node.hpp"

#include <gtest/gtest.h>

#include "cli/render.hpp"

namespace k4t::cli {
namespace {

using operation::NodeSight;

constexpr std::uint64_t mib = 1 << 20;

plan::Placed placed(const std::string& node, const std::string& id) {
  plan::Placed one;
  one.node = node;
  one.name = "demo-web-" + id;
  one.service = "web";
  one.instance = id;
  one.revision = "0123456789ab";
  one.address = "192.0.2.1";
  one.ports = {{"http", 20000}};
  one.phase = runtime::Phase::running;
  one.started_at_s = 940;
  one.cpu_millis = 500;
  one.memory_bytes = 256 * mib;
  return one;
}

/// A node that answers, with one instance.
NodeSight ready(const std::string& name) {
  NodeSight node;
  node.config.name = name;
  node.config.driver = "docker";
  node.config.address = "192.0.2.1";
  node.config.labels = {{"disk", "ssd"}, {"zone", "a"}};
  node.view.name = name;
  node.view.info = {4, 4096 * mib, "x86_64", "Debian 12", "Docker 24", {}, {}};
  runtime::Instance instance;
  instance.cpu_millis = 500;
  instance.memory_bytes = 256 * mib;
  node.view.instances = {instance};
  node.instances = {placed(name, "a1")};
  node.usage = {{0.5, 1024 * mib, 12288 * mib, 40960 * mib}};
  return node;
}

/// One that answered 60 s ago.
NodeSight unreachable(const std::string& name) {
  NodeSight node = ready(name);
  node.last = operation::NodeFacts{940, node.view.info};
  node.view.info = {};
  node.view.instances.clear();
  node.usage.reset();
  node.view.problem = Error{Status::unavailable, "node '" + name + "': no route to host", {}};
  return node;
}

model::NodeMark mark(model::Mark what, const std::string& why = {}) {
  return {"n1", what, why, "alpha root 2026-01-31T12:00:00Z node drain", 900};
}

TEST(NodeState, HasAWordForEachCase) {
  plan::NodeView view;
  EXPECT_EQ(node_state(view), "ready");
  view.mark = mark(model::Mark::cordoned);
  EXPECT_EQ(node_state(view), "cordoned");
  view.mark = mark(model::Mark::draining);
  EXPECT_EQ(node_state(view), "drained");
  view.instances.emplace_back();
  EXPECT_EQ(node_state(view), "draining");
  view.mark = mark(model::Mark::lost);
  EXPECT_EQ(node_state(view), "returned");
  view.problem = Error{};
  EXPECT_EQ(node_state(view), "lost");
  view.mark = mark(model::Mark::draining);
  EXPECT_EQ(node_state(view), "unreachable") << "what is left there is not known";
}

TEST(NodeText, ListsWhatIsPromisedOfWhatIsOffered) {
  auto limited = ready("n2");
  limited.config.cpu_millis = 1500;
  limited.config.memory_bytes = 1024 * mib;
  limited.config.labels.clear();
  limited.usage = runtime::NodeUsage{{}, {}, {}, 40960 * mib};  // half an answer is none
  limited.view.mark = mark(model::Mark::cordoned, "noisy\x1b[2J");
  EXPECT_EQ(render_nodes({ready("n1"), limited}, 1000, false),
            "NODE  STATE                ADDRESS    DRIVER  RUNTIME    INSTANCES  CPU      MEMORY        DISK           "
            "CONTACT  LABELS\n"
            "n1    ready                192.0.2.1  docker  Docker 24  1          0.5/4    256/4096 MiB  12.0/40.0 GiB  "
            "now      "
            "disk=ssd zone=a\n"
            "n2    cordoned: noisy?[2J  192.0.2.1  docker  Docker 24  1          0.5/1.5  256/1024 MiB  ?              "
            "now\n");
}

TEST(NodeText, ListsAnUnreachableOneAsItWasLastKnown) {
  auto never = unreachable("n3");
  never.last.reset();
  never.instances.clear();
  never.config.labels.clear();
  auto drained = unreachable("n2");
  drained.view.mark = mark(model::Mark::draining);
  EXPECT_EQ(render_nodes({drained, never}, 1000, false),
            "NODE  STATE                                    ADDRESS    DRIVER  RUNTIME           INSTANCES  "
            "CPU           MEMORY               DISK  CONTACT   LABELS\n"
            "n2    unreachable, draining: no route to host  192.0.2.1  docker  ?, was Docker 24  ?, was 1   "
            "?, was 0.5/4  ?, was 256/4096 MiB  ?     60 s ago  disk=ssd zone=a\n"
            "n3    unreachable: no route to host            192.0.2.1  docker  ?                 ?          "
            "?             ?                    ?     never\n");
}

TEST(NodeText, ShowsOneInFull) {
  auto node = ready("n1");
  node.view.mark = mark(model::Mark::draining, "new disks");
  node.view.info.warnings = {"limits are not enforced"};
  node.odd_labels = {"instance 'odd' has odd labels"};
  EXPECT_EQ(render_node(node, 1000, false),
            "node          n1, of k4t.toml\n"
            "state         draining: new disks\n"
            "draining      by root on alpha (2026-01-31T12:00:00Z, node drain): new disks\n"
            "address       192.0.2.1, ports 20000-29999\n"
            "driver        docker\n"
            "runtime       Docker 24\n"
            "machine       Debian 12, x86_64\n"
            "cpu           0.5/4 promised, load 0.50\n"
            "memory        256/4096 MiB promised, in use 1024 MiB\n"
            "disk          in use 12.0/40.0 GiB\n"
            "labels        disk=ssd zone=a\n"
            "contact       now\n"
            "warning: limits are not enforced\n"
            "warning: instance 'odd' has odd labels\n"
            "\n" +
                render_instances(node.instances, 1000, false));
}

TEST(NodeText, ShowsWhatWasLastKnownOfAnUnreachableOne) {
  auto node = unreachable("n1");
  node.added = true;
  const std::string text = render_node(node, 1000, false);
  EXPECT_TRUE(
      text.starts_with("node          n1, added by `k4t node add`\n"
                       "state         unreachable: no route to host\n"))
      << text;
  EXPECT_TRUE(text.ends_with("contact       60 s ago\n\nLast known:\n" + render_instances(node.instances, 1000, false)))
      << text;
}

TEST(NodeJson, LeavesOutWhatIsNotKnown) {
  const Json known = nodes_json({ready("n1")}).at(0);
  EXPECT_EQ(known.at("state"), "ready");
  EXPECT_EQ(known.at("from"), "k4t.toml");
  EXPECT_EQ(known.at("instances"), 1);
  EXPECT_EQ(known.at("cpu_promised_millis"), 500);
  EXPECT_EQ(known.at("cpu_offered_millis"), 4000);
  EXPECT_EQ(known.at("memory_offered_bytes"), 4096 * mib);
  EXPECT_FALSE(known.contains("mark"));
  EXPECT_FALSE(known.contains("last_known"));

  const Json gone = nodes_json({unreachable("n1")}).at(0);
  for (const char* field : {"instances", "cpu_promised_millis", "cpu_offered_millis", "runtime_version", "os"}) {
    EXPECT_FALSE(gone.contains(field)) << field;
    EXPECT_TRUE(gone.at("last_known").contains(field)) << field;
  }
  EXPECT_EQ(gone.at("why"), "no route to host");
  EXPECT_EQ(gone.at("last_known").at("at_s"), 940);

  auto never = unreachable("n1");
  never.last.reset();
  never.instances.clear();
  EXPECT_FALSE(nodes_json({never}).at(0).contains("last_known"));
}

TEST(NodeJson, OfOneNodeHasItsInstances) {
  EXPECT_EQ(node_json(ready("n1")).at("instances").at(0).at("name"), "demo-web-a1");
  const Json gone = node_json(unreachable("n1"));
  EXPECT_FALSE(gone.contains("instances"));
  EXPECT_EQ(gone.at("last_known").at("instances").at(0).at("name"), "demo-web-a1");
}

}  // namespace
}  // namespace k4t::cli
