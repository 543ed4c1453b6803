#include "operation/suggestion.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace k4t::operation {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// "gw1@1 ns1@1 n1@2": things and the machines that they are on.
model::Cluster cluster_of(const std::string& things) {
  model::Cluster cluster;
  std::istringstream words(things);
  for (std::string word; words >> word;) {
    const auto at = word.find('@');
    model::Driven thing{word.substr(0, at), "fake", "192.0.2." + word.substr(at + 1), Json::object()};
    if (thing.name.starts_with("ns")) {
      cluster.dns.push_back(thing);
      continue;
    }
    thing.options["host"] = "ssh://root@192.0.2." + word.substr(at + 1);
    if (thing.name.starts_with("gw")) {
      cluster.gateways.push_back(thing);
    } else {
      model::Node node;
      static_cast<model::Driven&>(node) = thing;
      cluster.nodes.push_back(node);
    }
  }
  return cluster;
}

Suggestion suggest(const std::string& things) {
  return suggest_witnesses(cluster_of(things), [](const model::Driven&) { return true; });
}

std::vector<std::string> ids(const Suggestion& suggestion) {
  std::vector<std::string> all;
  for (const auto& one : suggestion.witnesses) all.push_back(one.id + (one.dns ? " dns" : ""));
  return all;
}

TEST(Suggestion, FollowsTheOrderOfMachines) {
  EXPECT_THAT(ids(suggest("gw1@1 ns1@2 n1@3")), ElementsAre("gw1", "n1", "ns1 dns"));
  EXPECT_THAT(ids(suggest("gw1@1 ns1@1 gw2@2 ns2@2 n1@3")), ElementsAre("gw1", "gw2", "n1"));
  EXPECT_THAT(ids(suggest("gw1@1 ns1@1 n1@1 gw2@2 ns2@2 n2@2")), ElementsAre("gw1"));
  EXPECT_THAT(ids(suggest("ns1@1 n1@2")), ElementsAre("ns1 dns"));
  EXPECT_THAT(ids(suggest("ns1@1 n1@2 n2@3")), ElementsAre("n1", "n2", "ns1 dns"));
  EXPECT_THAT(ids(suggest("gw1@1 gw2@2 ns1@3 ns2@4 n1@5")), ElementsAre("gw1", "gw2", "n1"));
  EXPECT_THAT(ids(suggest("gw1@1 gw2@2 ns1@3 ns2@4 n1@5 n2@6 n3@7")), ElementsAre("gw1", "gw2", "n1", "n2", "n3"));
}

TEST(Suggestion, KeepsRecordsOnAFolderWhereDnsCanDecideAlone) {
  const auto lone = suggest("ns1@1 n1@2");
  EXPECT_THAT(lone.records, ElementsAre(model::RecordFolder{"ssh://root@192.0.2.2", "/var/lib/k4t/records"}));
  EXPECT_THAT(suggest("ns1@1 ns2@2 n1@3").records, ::testing::SizeIs(1)) << "two of three hold none";
  EXPECT_THAT(suggest("gw1@1 ns1@2 n1@3").records, IsEmpty());
  EXPECT_THAT(render_toml(lone), HasSubstr("[[witness]]\nid = \"ns1\"\ndns = \"ns1\"\n[[record]]\nhost = "
                                           "\"ssh://root@192.0.2.2\"\npath = \"/var/lib/k4t/records\"\n"));
}

TEST(Suggestion, NeverTakesTheMastersMachine) {
  auto cluster = cluster_of("gw1@1 ns1@1 n1@1");
  for (const char* host : {"", "local", "unix:///var/run/docker.sock"}) {
    cluster.nodes[0].options["host"] = host;
    const auto none = suggest_witnesses(cluster, [](const model::Driven&) { return true; });
    EXPECT_THAT(none.witnesses, IsEmpty()) << host;
    EXPECT_THAT(render_toml(none), HasSubstr("the one in the state folder stands"));
  }
}

TEST(Suggestion, SaysWhereSshIsAGuess) {
  auto cluster = cluster_of("gw1@1 ns1@2 n1@3");
  cluster.nodes[0].options["host"] = "tcp://192.0.2.3:2375";
  cluster.nodes[0].address = "2001:db8::3";
  const auto suggestion = suggest_witnesses(cluster, [](const model::Driven&) { return true; });
  EXPECT_THAT(ids(suggestion), ElementsAre("gw1", "n1", "ns1 dns"));
  EXPECT_EQ(suggestion.witnesses[1].host, "ssh://[2001:db8::3]");
  EXPECT_THAT(suggestion.notes, ElementsAre(HasSubstr("how n1 is reached over SSH")));
}

TEST(Suggestion, LeavesOutServersWhoseDriverCannot) {
  const auto suggestion = suggest_witnesses(cluster_of("ns1@1 n1@2"), [](const model::Driven&) { return false; });
  EXPECT_THAT(ids(suggestion), ElementsAre("n1"));
}

TEST(Suggestion, GivesThingsOfOneNameIdsOfTheirOwn) {
  auto cluster = cluster_of("gw1@1 n1@2 ns1@3");
  cluster.nodes[0].name = cluster.dns[0].name = "gw1";
  const auto suggestion = suggest_witnesses(cluster, [](const model::Driven&) { return true; });
  EXPECT_THAT(ids(suggestion), ElementsAre("gw1", "gw1-2", "gw1-3 dns"));
}

}  // namespace
}  // namespace k4t::operation
