#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "model/subnet.hpp"
#include "plan/routing.hpp"
#include "plan_lab.hpp"

/// How instances are reached without a gateway: by addresses of their own, or behind a public one.

namespace k4t::plan {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr const char* domain = ".demo.example.net";

model::Cluster ipv6_cluster(std::initializer_list<std::string> nodes) {
  auto cluster = cluster_of(nodes);
  cluster.gateways.clear();
  int last = 1;
  for (auto& node : cluster.nodes) {
    node.address = "2001:db8::" + std::to_string(last);
    node.subnet = "2001:db8:0:" + std::to_string(last++) + "::/64";
  }
  return cluster;
}

std::vector<std::string> values_of(const Plan& plan, const std::string& name, dns::Type type) {
  for (const auto& set : plan.state.dns.records) {
    if (set.name == name + domain && set.type == type) return set.values;
  }
  return {};
}

TEST(OwnAddresses, AreOfTheNodesSubnetAndWhatDnsAnswers) {
  Lab lab(ipv6_cluster({"a", "b"}));
  const Plan plan = lab.plan({service_of("web", 2)});
  ASSERT_THAT(plan.creations, SizeIs(2));
  std::vector<std::string> addresses;
  std::vector<std::string> ports;
  for (const auto& creation : plan.creations) {
    const auto& placed = creation.placed;
    const auto subnet = model::Subnet::parse(placed.node == "a" ? "2001:db8:0:1::/64" : "2001:db8:0:2::/64");
    EXPECT_TRUE(subnet->contains(placed.address)) << placed.address;
    EXPECT_EQ(creation.spec.address, placed.address);
    EXPECT_EQ(creation.spec.labels.at("k4t.address"), placed.address);
    EXPECT_EQ(creation.spec.labels.at("k4t.ports"), "http=8080");
    EXPECT_THAT(creation.spec.ports, ElementsAre(runtime::PortMap{8080, 8080, "tcp"}));
    EXPECT_THAT(values_of(plan, placed.instance + ".web", dns::Type::aaaa), ElementsAre(placed.address));
    addresses.push_back(placed.address);
    ports.push_back("0 0 8080 " + placed.instance + ".web" + domain);
  }
  EXPECT_THAT(values_of(plan, "web", dns::Type::aaaa), ::testing::UnorderedElementsAreArray(addresses));
  EXPECT_THAT(values_of(plan, "_http._tcp.web", dns::Type::srv), ::testing::UnorderedElementsAreArray(ports));
}

TEST(OwnAddresses, AreReadBackFromTheLabels) {
  Lab lab(ipv6_cluster({"a"}));
  const std::vector<model::Service> wish{service_of("web", 3)};
  lab.carry_out(lab.plan(wish));
  EXPECT_TRUE(lab.plan(wish).empty());
  lab.cluster().nodes[0].subnet.clear();
  EXPECT_TRUE(lab.plan(wish).empty()) << "what runs keeps its address";
}

TEST(OwnAddresses, ALabelThatIsNoAddressIsLeftAlone) {
  Lab lab(ipv6_cluster({"a"}));
  lab.carry_out(lab.plan({service_of("web", 1)}));
  lab.view("a").instances[0].labels["k4t.address"] = "2001:db8::1 0 0";
  const Plan plan = lab.plan({});
  EXPECT_THAT(plan.removals, IsEmpty());
  EXPECT_THAT(plan.warnings, ElementsAre(HasSubstr("malformed")));
}

TEST(OwnAddresses, NeedNoHostPort) {
  auto cluster = ipv6_cluster({"a"});
  cluster.nodes[0].last_port = cluster.nodes[0].first_port;
  Lab lab(cluster);
  EXPECT_THAT(lab.plan({service_of("web", 5)}).creations, SizeIs(5));
  auto host = service_of("host", 1);
  host.network = runtime::Network::host;
  const Plan plan = lab.plan({host});
  ASSERT_THAT(plan.creations, SizeIs(1));
  EXPECT_EQ(plan.creations[0].placed.address, "2001:db8::1") << "host networking is the node's";
  EXPECT_EQ(plan.creations[0].spec.address, "");
}

TEST(OwnAddresses, OfASmallBlockAreAllUsedAndThenThereIsNoRoom) {
  auto cluster = ipv6_cluster({"a"});
  cluster.nodes[0].address = "192.0.2.1";
  cluster.nodes[0].subnet = "203.0.113.8/29";
  Lab lab(cluster);
  const Plan plan = lab.plan({service_of("web", 6)});
  std::set<std::string> addresses;
  for (const auto& creation : plan.creations) addresses.insert(creation.placed.address);
  EXPECT_THAT(addresses,
              UnorderedElementsAre("203.0.113.10", "203.0.113.11", "203.0.113.12", "203.0.113.13", "203.0.113.14"));
  EXPECT_THAT(plan.problems, ElementsAre(HasSubstr("a: has no free address left in its subnet")));
}

TEST(OwnAddresses, OfTwoNodesWithOneBlockAreGivenOnce) {
  auto cluster = ipv6_cluster({"a", "b"});
  for (auto& node : cluster.nodes) node.subnet = "203.0.113.8/29";
  Lab lab(cluster);
  const Plan plan = lab.plan({service_of("web", 8)});
  std::set<std::string> addresses;
  for (const auto& creation : plan.creations) addresses.insert(creation.placed.address);
  EXPECT_EQ(addresses.size(), 5U);
  EXPECT_EQ(plan.creations.size(), 5U);
  EXPECT_THAT(plan.problems, ElementsAre(HasSubstr("has no free address left in its subnet")));
}

TEST(OwnAddresses, AreNotGivenAgainWhileTrafficMayBeSentThere) {
  auto cluster = ipv6_cluster({"a"});
  cluster.nodes[0].subnet = "203.0.113.8/29";
  Lab lab(cluster);
  for (int last = 10; last < 14; ++last)
    lab.world().not_reusable.push_back({"203.0.113." + std::to_string(last), 8080});
  const Plan plan = lab.plan({service_of("web", 2)});
  ASSERT_THAT(plan.creations, SizeIs(1));
  EXPECT_EQ(plan.creations[0].placed.address, "203.0.113.14");
}

TEST(OwnAddresses, ANodeWhoseRuntimeHasNoSuchNetworkGetsNothing) {
  Lab lab(ipv6_cluster({"a", "b"}));
  lab.view("a").info.subnets = {"2001:db8:0:1::/80", "203.0.113.0/24"};
  lab.view("b").info.subnets = {"2001:db8::/32"};
  const Plan plan = lab.plan({service_of("web", 2)});
  EXPECT_THAT(plan.problems, IsEmpty());
  for (const auto& creation : plan.creations) EXPECT_EQ(creation.placed.node, "b");
  lab.view("b").info.subnets.clear();
  EXPECT_THAT(
      lab.plan({service_of("web", 1)}).problems,
      ElementsAre(HasSubstr("b: its runtime has no network with the addresses of its subnet 2001:db8:0:2::/64")));
}

TEST(Reach, AServiceMayBeReachedAtItsInstancesBesideOthersBehindGateways) {
  Lab lab(cluster_of({"a", "b"}));
  auto direct = service_of("direct", 2);
  direct.reach = model::Reach::instances;
  const Plan plan = lab.plan({direct, service_of("web", 1)});
  ASSERT_THAT(plan.state.gateways.listeners, SizeIs(1));
  EXPECT_THAT(plan.state.gateways.listeners[0].routes, SizeIs(1));
  EXPECT_THAT(values_of(plan, "direct", dns::Type::a), ElementsAre("192.0.2.1", "192.0.2.2"));
  EXPECT_THAT(values_of(plan, "web", dns::Type::a), ElementsAre("198.51.100.1"));
  EXPECT_THAT(values_of(plan, "_http._tcp.web", dns::Type::srv), ElementsAre("0 0 80 web.demo.example.net"));
  EXPECT_THAT(Routes(plan.state).endpoints(),
              UnorderedElementsAre(gateway::Endpoint{"192.0.2.1", 20000}, gateway::Endpoint{"192.0.2.2", 20000},
                                   gateway::Endpoint{"192.0.2.1", 20001}))
      << "not the gateways, though SRV records lead there";
}

TEST(Reach, OfTheClusterCountsWhereAServiceSaysNothing) {
  auto cluster = cluster_of({"a"});
  cluster.reach = model::Reach::instances;
  Lab lab(cluster);
  auto web = service_of("web", 1);
  EXPECT_THAT(lab.plan({web}).state.gateways.listeners, IsEmpty());
  web.reach = model::Reach::gateways;
  EXPECT_THAT(lab.plan({web}).state.gateways.listeners, SizeIs(1));
}

TEST(Reach, OfAServiceChangesWithoutNewInstances) {
  Lab lab(cluster_of({"a"}));
  auto web = service_of("web", 2);
  lab.carry_out(lab.plan({web}));
  web.reach = model::Reach::instances;
  const Plan plan = lab.plan({web});
  EXPECT_THAT(plan.creations, IsEmpty());
  EXPECT_THAT(plan.removals, IsEmpty());
  EXPECT_TRUE(plan.state_changes);
}

TEST(Reach, AnInstanceThatIsUnhealthyIsNotNamedUnlessAllAre) {
  Lab lab(ipv6_cluster({"a"}));
  const std::vector<model::Service> wish{service_of("web", 2)};
  const Plan first = lab.plan(wish);
  lab.carry_out(first);
  lab.view("a").instances[0].health = runtime::Health::unhealthy;
  const Plan without = lab.plan(wish);
  EXPECT_THAT(values_of(without, "web", dns::Type::aaaa), ElementsAre(first.creations[1].placed.address));
  EXPECT_THAT(without.removals, IsEmpty());
  lab.view("a").instances[1].health = runtime::Health::unhealthy;
  EXPECT_TRUE(lab.plan(wish).empty());
}

model::Cluster nat_cluster() {
  auto cluster = cluster_of({"a"});
  cluster.gateways.clear();
  cluster.nodes[0].last_port = 20009;
  cluster.nodes[0].public_address = "203.0.113.7";
  cluster.nodes[0].first_public_port = 30000;
  return cluster;
}

TEST(PublicAddress, IsWhatDnsAnswersWithItsPorts) {
  Lab lab(nat_cluster());
  const Plan plan = lab.plan({service_of("web", 2)});
  EXPECT_THAT(values_of(plan, "web", dns::Type::a), ElementsAre("203.0.113.7"));
  EXPECT_THAT(values_of(plan, "_http._tcp.web", dns::Type::srv),
              ElementsAre("0 0 30000 i1.web.demo.example.net", "0 0 30001 i2.web.demo.example.net"));
  EXPECT_EQ(plan.creations[0].placed.address, "192.0.2.1") << "the master asks for its health where it is";
}

TEST(PublicAddress, InstancesBehindItAreKnownToBeServed) {
  Lab lab(nat_cluster());
  lab.carry_out(lab.plan({service_of("web", 2)}));
  const Plan same = lab.plan({service_of("web", 2)});
  EXPECT_TRUE(same.empty());
  const Routes routes(same.state);
  for (const auto& placed : same.kept) {
    EXPECT_TRUE(routes.lead_to(placed));
    EXPECT_TRUE(routes.name(placed));
  }
  auto stranger = same.kept[0];
  stranger.instance = "other";
  EXPECT_FALSE(routes.lead_to(stranger)) << "its port on the node is not what DNS says";
}

TEST(PublicAddress, PortsThatItStillLeadsToAreNotGivenAgain) {
  Lab lab(nat_cluster());
  lab.world().not_reusable = {{"203.0.113.7", 30000}, {"203.0.113.7", 30001}};
  const Plan plan = lab.plan({service_of("web", 1)});
  EXPECT_EQ(plan.creations[0].placed.ports.at("http"), 20002);
}

TEST(Reach, PlansOfIpv6ClustersComeToRestThroughAnyChange) {
  Lab lab(ipv6_cluster({"a", "b", "c"}));
  std::uint32_t revision = 1;
  for (const std::uint32_t replicas : {3U, 7U, 2U, 0U, 5U}) {
    auto web = service_of("web", replicas);
    web.image = "web:" + std::to_string(++revision);
    const Plan plan = lab.plan({web});
    EXPECT_THAT(plan.problems, IsEmpty());
    EXPECT_EQ(Routes(plan.state).endpoints().size(), replicas);
    lab.carry_out(plan);
    EXPECT_TRUE(lab.plan({web}).empty());
  }
}

}  // namespace
}  // namespace k4t::plan
