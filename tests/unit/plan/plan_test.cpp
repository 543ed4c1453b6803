#include "plan/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include "plan/routing.hpp"
#include "plan_lab.hpp"

namespace k4t::plan {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<gateway::Endpoint> routed_endpoints(const model::State& state) {
  const auto endpoints = Routes(state).endpoints();
  return {endpoints.begin(), endpoints.end()};
}

std::vector<std::string> nodes_of(const std::vector<Creation>& creations) {
  std::vector<std::string> nodes;
  for (const auto& creation : creations) nodes.push_back(creation.placed.node);
  return nodes;
}

TEST(Plan, NothingWantedAndNothingThereIsEmpty) { EXPECT_TRUE(Lab(cluster_of({"a"})).plan({}).empty()); }

TEST(Plan, ANewServiceIsSpreadAndRouted) {
  Lab lab(cluster_of({"a", "b"}));
  const Plan plan = lab.plan({service_of("web", 3)});
  EXPECT_THAT(nodes_of(plan.creations), ElementsAre("a", "b", "a"));
  EXPECT_THAT(routed_endpoints(plan.state),
              ElementsAre(gateway::Endpoint{"192.0.2.1", 20000}, gateway::Endpoint{"192.0.2.1", 20001},
                          gateway::Endpoint{"192.0.2.2", 20000}));
  EXPECT_TRUE(plan.state_changes);
  EXPECT_TRUE(plan.complete);
  EXPECT_THAT(plan.problems, IsEmpty());
}

TEST(Plan, TheSameWishTwiceChangesNothing) {
  Lab lab(cluster_of({"a", "b"}));
  const std::vector<model::Service> wish{service_of("api", 2), service_of("web", 3)};
  lab.carry_out(lab.plan(wish));
  const Plan again = lab.plan(wish);
  EXPECT_TRUE(again.empty());
  EXPECT_THAT(again.kept, SizeIs(5));
}

TEST(Plan, ScalingUpKeepsEveryRunningInstance) {
  Lab lab(cluster_of({"a", "b"}));
  lab.carry_out(lab.plan({service_of("web", 2)}));
  const Plan plan = lab.plan({service_of("web", 5)});
  EXPECT_THAT(plan.creations, SizeIs(3));
  EXPECT_THAT(plan.removals, IsEmpty());
  EXPECT_THAT(plan.kept, SizeIs(2));
}

TEST(Plan, ScalingDownStaysSpread) {
  Lab lab(cluster_of({"a", "b"}));
  lab.carry_out(lab.plan({service_of("web", 6)}));
  const Plan plan = lab.plan({service_of("web", 2)});
  ASSERT_THAT(plan.kept, SizeIs(2));
  EXPECT_NE(plan.kept[0].node, plan.kept[1].node);
  EXPECT_THAT(plan.removals, SizeIs(4));
  EXPECT_EQ(scaled_down_percent(plan), 66u);
}

TEST(Plan, ANewRevisionStartsAllItsInstancesBeforeTheOldOnesGo) {
  Lab lab(cluster_of({"a", "b"}));
  lab.carry_out(lab.plan({service_of("web", 2)}));
  auto changed = service_of("web", 2);
  changed.env["GREETING"] = "hi";
  const Plan plan = lab.plan({changed});
  EXPECT_THAT(plan.creations, SizeIs(2));
  ASSERT_THAT(plan.removals, SizeIs(2));
  EXPECT_EQ(plan.removals[0].cause, Cause::replaced);
  for (const auto& creation : plan.creations) {
    for (const auto& removal : plan.removals) EXPECT_NE(creation.placed.endpoints(), removal.placed.endpoints());
  }
}

TEST(Plan, WhatOnlyConcernsRoutingMakesNoNewInstances) {
  Lab lab(cluster_of({"a"}));
  lab.carry_out(lab.plan({service_of("web", 1)}));
  auto changed = service_of("web", 1);
  changed.expose[0].path = "/web";
  const Plan plan = lab.plan({changed});
  EXPECT_THAT(plan.creations, IsEmpty());
  EXPECT_THAT(plan.removals, IsEmpty());
  EXPECT_TRUE(plan.state_changes);
}

TEST(Plan, WhereRoomIsShortAnUpdateGoesInRounds) {
  Lab lab(cluster_of({"a"}));
  auto service = service_of("web", 3);
  service.memory_bytes = 1024 * mib;  // room for four
  lab.carry_out(lab.plan({service}));
  service.env["V"] = "2";
  int rounds = 0;
  for (Plan plan = lab.plan({service}); !plan.empty(); plan = lab.plan({service})) {
    ASSERT_THAT(plan.problems, IsEmpty());
    EXPECT_GE(plan.kept.size() + plan.creations.size(), 3u) << "never fewer than wanted";
    EXPECT_EQ(plan.complete, plan.removals.size() == 1 && plan.kept.size() == 2 && rounds == 2);
    lab.carry_out(plan);
    ASSERT_LT(++rounds, 10);
  }
  EXPECT_EQ(rounds, 3);
}

TEST(Plan, WithoutRoomForASingleNewInstanceItIsAProblemAndSaysWhatHelps) {
  Lab lab(cluster_of({"a"}));
  auto service = service_of("web", 4);
  service.memory_bytes = 1024 * mib;
  lab.carry_out(lab.plan({service}));
  service.env["V"] = "2";
  const Plan plan = lab.plan({service});
  EXPECT_THAT(plan.problems, ElementsAre("service 'web' lacks room for 4 of its 4 instances: a: needs 1024 MiB of "
                                         "memory, 0 MiB free. Add a node, or lower the service's replicas, memory or "
                                         "cpu"));
}

TEST(Plan, AnUnreadableNodeKeepsItsInstancesAndItsRoutes) {
  Lab lab(cluster_of({"a", "b"}));
  lab.carry_out(lab.plan({service_of("web", 2)}));
  lab.world().last_known = lab.plan({service_of("web", 2)}).kept;
  lab.view("b").problem = Error{Status::unavailable, "cannot reach the Docker Engine", {}};
  lab.view("b").instances.clear();
  const Plan plan = lab.plan({service_of("web", 2)});
  EXPECT_TRUE(plan.empty()) << "unknown is never empty";
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("node 'b' cannot be read")));

  const Plan more = lab.plan({service_of("web", 3)});
  EXPECT_THAT(nodes_of(more.creations), ElementsAre("a"));
  EXPECT_THAT(routed_endpoints(more.state), Contains(gateway::Endpoint{"192.0.2.2", 20000}));
}

TEST(Plan, AnEndpointThatTrafficMayStillReachIsNotUsedAgain) {
  Lab lab(cluster_of({"a"}));
  lab.world().not_reusable = {{"192.0.2.1", 20000}};
  const Plan plan = lab.plan({service_of("web", 1)});
  EXPECT_THAT(routed_endpoints(plan.state), ElementsAre(gateway::Endpoint{"192.0.2.1", 20001}));
}

TEST(Plan, ADeadInstanceIsReplacedAtAnotherEndpoint) {
  Lab lab(cluster_of({"a"}));
  lab.carry_out(lab.plan({service_of("web", 1)}));
  lab.view("a").instances[0].phase = runtime::Phase::exited;
  const Plan plan = lab.plan({service_of("web", 1)});
  ASSERT_THAT(plan.removals, SizeIs(1));
  EXPECT_EQ(plan.removals[0].cause, Cause::not_running);
  EXPECT_THAT(routed_endpoints(plan.state), ElementsAre(gateway::Endpoint{"192.0.2.1", 20001}));
}

TEST(Plan, ALeftoverThatNeverServedGoesBeforeOneThatDoes) {
  Lab lab(cluster_of({"a"}));
  lab.carry_out(lab.plan({service_of("web", 1)}));
  const auto serving = lab.view("a").instances[0].name;
  const auto served = *lab.world().latest;
  lab.carry_out(lab.plan({service_of("web", 2)}));  // killed before its state was decided
  lab.world().latest = served;
  const Plan undo = lab.plan({service_of("web", 1)});
  ASSERT_THAT(undo.kept, SizeIs(1));
  EXPECT_EQ(undo.kept[0].name, serving);
  EXPECT_FALSE(undo.state_changes);
}

TEST(Plan, ADeletedServiceLosesItsInstancesAndRoutes) {
  Lab lab(cluster_of({"a"}));
  lab.carry_out(lab.plan({service_of("api", 1), service_of("web", 1)}));
  const Plan plan = lab.plan({service_of("web", 1)});
  ASSERT_THAT(plan.removals, SizeIs(1));
  EXPECT_EQ(plan.removals[0].cause, Cause::service_deleted);
  EXPECT_EQ(scaled_down_percent(plan), 0u);
  EXPECT_THAT(plan.state.gateways.backends, SizeIs(1));
}

TEST(Plan, AForeignContainerWithBrokenLabelsIsLeftAlone) {
  Lab lab(cluster_of({"a"}));
  runtime::Instance odd;
  odd.name = "odd";
  odd.labels = {{"k4t.cluster", "demo"}, {"k4t.service", "web"}};
  lab.view("a").instances.push_back(odd);
  const Plan plan = lab.plan({});
  EXPECT_TRUE(plan.empty());
  EXPECT_THAT(plan.warnings, ElementsAre(HasSubstr("instance 'odd' on node 'a'")));
}

TEST(Plan, NodesThatShareAnAddressNeverShareAPort) {
  auto cluster = cluster_of({"a", "b"});
  cluster.nodes[1].address = cluster.nodes[0].address;
  Lab lab(cluster);
  const Plan plan = lab.plan({service_of("web", 4)});
  EXPECT_THAT(routed_endpoints(plan.state), SizeIs(4));
}

void set_apart(Lab& lab, const std::string& node, model::Mark mark) { lab.view(node).mark = {node, mark, "", "", 0}; }

TEST(Nodes, ACordonedOneKeepsWhatItRunsAndGetsNothingNew) {
  Lab lab(cluster_of({"a", "b"}));
  lab.carry_out(lab.plan({service_of("web", 2)}));
  set_apart(lab, "a", model::Mark::cordoned);
  EXPECT_TRUE(lab.plan({service_of("web", 2)}).empty());
  const Plan more = lab.plan({service_of("web", 4)});
  EXPECT_THAT(nodes_of(more.creations), ElementsAre("b", "b"));
  EXPECT_THAT(more.kept, SizeIs(2));
}

TEST(Nodes, WithoutAnotherTheProblemSaysWhyNothingIsPlacedThere) {
  Lab lab(cluster_of({"a"}));
  set_apart(lab, "a", model::Mark::cordoned);
  EXPECT_THAT(lab.plan({service_of("web", 1)}).problems,
              ElementsAre("service 'web' lacks room for 1 of its 1 instances: a: is cordoned. Add a node, or lower the "
                          "service's replicas, memory or cpu"));
}

TEST(Nodes, WhatADrainedOneRunsMovesElsewhere) {
  Lab lab(cluster_of({"a", "b", "c"}));
  lab.carry_out(lab.plan({service_of("web", 3)}));
  set_apart(lab, "b", model::Mark::draining);
  const Plan plan = lab.plan({service_of("web", 3)});
  EXPECT_THAT(nodes_of(plan.creations), ElementsAre("a"));
  ASSERT_THAT(plan.removals, SizeIs(1));
  EXPECT_EQ(plan.removals[0].placed.node, "b");
  EXPECT_EQ(to_string(plan.removals[0].cause), "its node is drained");
  EXPECT_EQ(scaled_down_percent(plan), 0u);
  lab.carry_out(plan);
  EXPECT_TRUE(lab.plan({service_of("web", 3)}).empty());
}

TEST(Nodes, WhatFindsNoRoomElsewhereStaysOnADrainedOneAndSaysWhy) {
  Lab lab(cluster_of({"a", "b"}));
  auto service = service_of("web", 4);
  service.memory_bytes = 1536 * mib;  // room for two on each
  lab.carry_out(lab.plan({service}));
  set_apart(lab, "b", model::Mark::draining);
  const Plan plan = lab.plan({service});
  EXPECT_TRUE(plan.empty());
  EXPECT_TRUE(plan.complete);
  EXPECT_THAT(plan.problems, IsEmpty());
  EXPECT_THAT(plan.left_undone,
              ElementsAre("web: 2 instances stay on b: a: needs 1536 MiB of memory, 1024 MiB free; b: "
                          "is draining"));
  EXPECT_THAT(plan.kept, SizeIs(4));
}

TEST(Nodes, AnUpdateAndADrainThatShareTheRoomGoInRounds) {
  Lab lab(cluster_of({"a", "b"}));
  auto moving = service_of("api", 1);
  moving.memory_bytes = 2048 * mib;
  moving.node_labels = {};
  auto leaving = service_of("web", 1);
  leaving.memory_bytes = 3072 * mib;
  lab.carry_out(lab.plan({moving, leaving}));
  const auto drained = lab.view("a").instances.front().labels.at("k4t.service") == "api" ? "a" : "b";
  set_apart(lab, drained, model::Mark::draining);
  const Plan first = lab.plan({moving});  // web is deleted, and only then there is room for api
  EXPECT_FALSE(first.complete);
  EXPECT_THAT(first.creations, IsEmpty());
  lab.carry_out(first);
  const Plan second = lab.plan({moving});
  EXPECT_TRUE(second.complete);
  EXPECT_THAT(second.left_undone, IsEmpty());
  EXPECT_THAT(second.creations, SizeIs(1));
}

TEST(Nodes, WhatALostOneRanIsPlacedAnewAndItsEndpointsAreNoLongerRouted) {
  Lab lab(cluster_of({"a", "b"}));
  const std::vector<model::Service> wish{service_of("web", 2)};
  lab.carry_out(lab.plan(wish));
  lab.world().last_known = lab.plan(wish).kept;
  lab.view("b").problem = Error{Status::unavailable, "no route to host", {}};
  const auto instances = std::exchange(lab.view("b").instances, {});
  EXPECT_TRUE(lab.plan(wish).empty()) << "it may be back in a moment";
  set_apart(lab, "b", model::Mark::lost);
  const Plan plan = lab.plan(wish);
  EXPECT_THAT(nodes_of(plan.creations), ElementsAre("a"));
  EXPECT_THAT(plan.removals, IsEmpty()) << "nothing there can be called";
  ASSERT_THAT(plan.given_up, SizeIs(1));
  EXPECT_THAT(routed_endpoints(plan.state),
              ElementsAre(gateway::Endpoint{"192.0.2.1", 20000}, gateway::Endpoint{"192.0.2.1", 20001}));
  lab.carry_out(plan);

  lab.view("b").problem.reset();
  lab.view("b").instances = instances;
  const Plan back = lab.plan(wish);
  ASSERT_THAT(back.removals, SizeIs(1)) << "never doubled";
  EXPECT_EQ(back.removals[0].placed.node, "b");
  EXPECT_EQ(to_string(back.removals[0].cause), "its node was lost and has returned");
  EXPECT_EQ(scaled_down_percent(back), 0u);
  EXPECT_THAT(back.creations, IsEmpty());
  EXPECT_FALSE(back.state_changes);
}

TEST(Nodes, WhatReturnsWithALostOneIsUsedWhereItIsStillMissing) {
  Lab lab(cluster_of({"a", "b"}));
  const std::vector<model::Service> wish{service_of("web", 2)};
  lab.carry_out(lab.plan(wish));
  set_apart(lab, "b", model::Mark::lost);
  EXPECT_TRUE(lab.plan(wish).empty()) << "it was back before anything was placed anew";
}

TEST(Nodes, OfAServiceWithoutRoutesTheNewInstanceStaysWhenTheOldOneReturns) {
  Lab lab(cluster_of({"a", "b"}));
  auto service = service_of("job", 1);
  service.expose.clear();
  lab.carry_out(lab.plan({service}));
  lab.view("a").instances[0].started_at_s = 1;
  const auto old = std::exchange(lab.view("a").instances, {});
  lab.view("a").problem = Error{Status::unavailable, "no route to host", {}};
  set_apart(lab, "a", model::Mark::lost);
  lab.carry_out(lab.plan({service}));
  lab.view("b").instances[0].started_at_s = 2;
  lab.view("a").problem.reset();
  lab.view("a").instances = old;
  const Plan back = lab.plan({service});
  ASSERT_THAT(back.removals, SizeIs(1));
  EXPECT_EQ(back.removals[0].placed.node, "a");
}

TEST(Nodes, ARepairGoesAsFarAsThereIsRoom) {
  Lab lab(cluster_of({"a", "b"}));
  auto service = service_of("web", 4);
  service.memory_bytes = 1024 * mib;
  lab.carry_out(lab.plan({service}));
  service.replicas = 6;
  lab.world().as_room_allows = true;
  set_apart(lab, "b", model::Mark::cordoned);
  const Plan plan = lab.plan({service});
  EXPECT_THAT(plan.creations, SizeIs(2));
  lab.carry_out(plan);
  service.replicas = 9;
  const Plan more = lab.plan({service});
  EXPECT_THAT(more.problems, IsEmpty());
  EXPECT_THAT(more.left_undone, Contains(HasSubstr("service 'web' lacks room for")));
}

/// Plays a plan in its order and tells the fewest instances that were alive at any moment.
std::size_t fewest_alive(Lab& lab, const Plan& plan, const std::string& service) {
  std::size_t alive = 0;
  for (const auto& view : lab.world().nodes) {
    alive += static_cast<std::size_t>(
        std::count_if(view.instances.begin(), view.instances.end(), [&](const runtime::Instance& instance) {
          return instance.phase == runtime::Phase::running && instance.labels.at("k4t.service") == service;
        }));
  }
  alive += plan.creations.size();
  std::size_t fewest = alive;
  for (const auto& removal : plan.removals) {
    if (removal.placed.service == service && removal.placed.alive()) fewest = std::min(fewest, --alive);
  }
  return fewest;
}

TEST(Nodes, WithRoomADrainNeverLeavesFewerInstancesThanWantedAndNoRouteToNowhere) {
  for (unsigned seed = 0; seed < 400; ++seed) {
    std::mt19937 random(seed);
    const auto draw = [&random](unsigned below) { return random() % below; };
    Lab lab(cluster_of({"a", "b", "c", "d"}));
    const std::uint32_t replicas = 1 + draw(6);
    auto service = service_of("web", replicas);
    service.memory_bytes = (1 + draw(3)) * 256 * mib;
    lab.carry_out(lab.plan({service}));
    const std::string names = "abcd";
    for (unsigned i = 0; i < 1 + draw(2); ++i) {
      set_apart(lab, std::string(1, names[draw(4)]), draw(3) == 0 ? model::Mark::cordoned : model::Mark::draining);
    }
    int rounds = 0;
    for (Plan plan = lab.plan({service}); !plan.empty(); plan = lab.plan({service})) {
      ASSERT_THAT(plan.problems, IsEmpty()) << seed;
      ASSERT_GE(fewest_alive(lab, plan, "web"), replicas) << seed;
      lab.carry_out(plan);
      ASSERT_EQ(routed_endpoints(plan.state).size(), replicas) << seed;
      ASSERT_LT(++rounds, 5) << seed;
    }
    for (const auto& view : lab.world().nodes) {
      if (view.mark && view.mark->mark == model::Mark::draining) {
        EXPECT_THAT(view.instances, IsEmpty()) << seed;
      }
    }
  }
}

TEST(Plan, TooLongAnInstanceNameIsAProblem) {
  Lab lab(cluster_of({"a"}));
  const Plan plan = lab.plan({service_of(std::string(60, 'x'), 1)});
  EXPECT_THAT(plan.problems, ElementsAre(HasSubstr("longer than 63 characters")));
}

TEST(Routing, NamesLeadToTheGatewaysAndSrvToTheirPort) {
  Lab lab(cluster_of({"a"}));
  auto service = service_of("web", 1);
  service.txt = {"team=\"shop\""};
  const Plan plan = lab.plan({service});
  EXPECT_THAT(
      plan.state.dns.records,
      ElementsAre(dns::RecordSet{"_http._tcp.web.demo.example.net", dns::Type::srv, 5, {"0 0 80 web.demo.example.net"}},
                  dns::RecordSet{"web.demo.example.net", dns::Type::a, 5, {"198.51.100.1"}},
                  dns::RecordSet{"web.demo.example.net", dns::Type::aaaa, 5, {"2001:db8::2"}},
                  dns::RecordSet{"web.demo.example.net", dns::Type::txt, 5, {"team=\"shop\""}}));
}

TEST(Routing, WithoutGatewaysNamesLeadToTheInstances) {
  auto cluster = cluster_of({"a", "b"});
  cluster.gateways.clear();
  Lab lab(cluster);
  const Plan plan = lab.plan({service_of("web", 2)});
  EXPECT_THAT(plan.state.gateways.listeners, IsEmpty());
  EXPECT_THAT(plan.state.dns.records,
              Contains(dns::RecordSet{"_http._tcp.web.demo.example.net",
                                      dns::Type::srv,
                                      5,
                                      {"0 0 20000 i1.web.demo.example.net", "0 0 20000 i2.web.demo.example.net"}}));
  EXPECT_THAT(plan.state.dns.records,
              Contains(dns::RecordSet{"web.demo.example.net", dns::Type::a, 5, {"192.0.2.1", "192.0.2.2"}}));
}

TEST(Routing, TwoRoutesShareABackendOnlyWhenTheyWantItAlike) {
  Lab lab(cluster_of({"a"}));
  auto service = service_of("web", 1);
  auto second = service.expose[0];
  second.path = "/b";
  auto third = service.expose[0];
  third.path = "/c";
  third.balance = gateway::Balance::source_hash;
  service.expose.push_back(second);
  service.expose.push_back(third);
  const auto state = lab.plan({service}).state;
  ASSERT_THAT(state.gateways.listeners, SizeIs(1));
  std::vector<std::string> backends;
  for (const auto& route : state.gateways.listeners[0].routes) backends.push_back(route.backend);
  EXPECT_THAT(backends, ElementsAre("web-http-80", "web-http-80", "web-http-80-2"));
}

TEST(Routing, NeededCapabilitiesNameWhatTheStateUses) {
  gateway::State state;
  gateway::Listener listener;
  listener.port = 80;
  listener.routes = {{"", "/", "b", gateway::RateLimit{5, 1}, {}}};
  state.listeners = {listener};
  gateway::Backend backend;
  backend.name = "b";
  backend.health = gateway::Health{};
  state.backends = {backend};
  EXPECT_THAT(needed_capabilities(state), ElementsAre("balance.round_robin", "health.active", "http", "limit.rate"));
}

TEST(Routing, ADifferenceIsToldLineByLine) {
  Lab lab(cluster_of({"a"}));
  const auto before = lab.plan({service_of("web", 1)}).state;
  auto after = before;
  after.gateways.backends[0].endpoints.push_back({"192.0.2.9", 1});
  EXPECT_THAT(describe_difference(before, after), ElementsAre("+ endpoint web-http-80 192.0.2.9:1"));
  EXPECT_THAT(describe_difference(before, before), IsEmpty());
  after = before;
  after.gateways.backends[0].idle_timeout_ms = 1;
  EXPECT_THAT(describe_difference(before, after), ElementsAre("~ settings of routes, limits or health checks"));
}

TEST(InstanceSpec, TellsTheInstanceItsPortsAndLetsTheUserHaveTheLastWord) {
  auto service = service_of("web", 1);
  service.ports.push_back({"admin-ui", 9090});
  service.env = {{"PORT_HTTP", "mine"}, {"A", "b c\"$\n"}};
  const auto spec = make_spec({service, "demo", "op1", "abc123", {20000, 20001}});
  EXPECT_EQ(spec.name, "demo-web-abc123");
  EXPECT_EQ(spec.env.at("PORT"), "8080");
  EXPECT_EQ(spec.env.at("PORT_HTTP"), "mine");
  EXPECT_EQ(spec.env.at("PORT_ADMIN_UI"), "9090");
  EXPECT_EQ(spec.env.at("A"), "b c\"$\n");
  EXPECT_EQ(spec.labels.at("k4t.ports"), "http=20000,admin-ui=20001");
}

TEST(InstanceSpec, WithHostNetworkingTheInstanceListensOnTheHostPort) {
  auto service = service_of("web", 1);
  service.network = runtime::Network::host;
  const auto spec = make_spec({service, "demo", "op1", "abc123", {20007}});
  EXPECT_EQ(spec.env.at("PORT"), "20007");
  EXPECT_EQ(spec.ports[0], (runtime::PortMap{20007, 20007, "tcp"}));
}

TEST(InstanceSpec, ItsLabelsTellEverythingBack) {
  const auto service = service_of("web", 1);
  const auto spec = make_spec({service, "demo", "op1", "abc123", {20000}});
  runtime::Instance instance;
  instance.name = spec.name;
  instance.labels = spec.labels;
  const auto placed = read_labels("a", "192.0.2.1", instance);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->service, "web");
  EXPECT_EQ(placed->revision, revision_of(service));
  EXPECT_EQ(placed->operation, "op1");
  EXPECT_EQ(placed->endpoint("http"), (gateway::Endpoint{"192.0.2.1", 20000}));
  const auto declared = decode<model::Service>(Json::parse(instance.labels.at("k4t.declaration")));
  ASSERT_TRUE(declared);
  EXPECT_EQ(*declared, service);
}

/// Whoever changes this replaces every instance of every cluster on the day that k4t is upgraded.
TEST(Revision, IsWhatItWasInTheVersionBefore) {
  model::Service service;
  service.name = "web";
  service.image = "example.net/web:1";
  EXPECT_EQ(revision_of(service), "653834bc0d5c");
  service.entrypoint = {"/bin/web"};
  service.command = {"--listen", "8080"};
  service.env = {{"A", "b"}};
  service.ports = {{"http", 8080}};
  service.network = runtime::Network::host;
  service.cpu_millis = 250;
  service.memory_bytes = 64 * mib;
  service.pids = 100;
  service.user = "web";
  service.read_only = true;
  service.restart = runtime::Restart::on_failure;
  service.stop_timeout_s = 20;
  service.dns_servers = {"192.0.2.53"};
  EXPECT_EQ(revision_of(service), "fb5a8c9ed03a");
}

TEST(Revision, ChangesWithWhatAnInstanceIsMadeOfAndWithNothingElse) {
  const auto web = service_of("web", 1);
  const auto with = [&](auto change) {
    auto other = web;
    change(other);
    return revision_of(other);
  };
  EXPECT_EQ(with([](auto& one) { one.replicas = 7; }), revision_of(web));
  EXPECT_EQ(with([](auto& one) { one.txt = {"v=1"}; }), revision_of(web));
  EXPECT_EQ(with([](auto& one) { one.drain_timeout_s = 1; }), revision_of(web));
  std::set<std::string> all{revision_of(web)};
  all.insert(with([](auto& one) { one.image = "web:2"; }));
  all.insert(with([](auto& one) { one.env = {{"A", ""}}; }));
  all.insert(with([](auto& one) { one.cpu_millis = 1; }));
  all.insert(with([](auto& one) { one.pids = 1; }));
  all.insert(with([](auto& one) { one.read_only = true; }));
  all.insert(with([](auto& one) { one.stop_timeout_s = 0; }));
  all.insert(with([](auto& one) { one.ports.clear(); }));
  EXPECT_EQ(all.size(), 8U) << "each of these needs new instances";
}

TEST(InstanceSpec, MalformedPortLabelsAreRefused) {
  runtime::Instance instance;
  instance.labels = {{"k4t.service", "web"}, {"k4t.revision", "r"}, {"k4t.instance", "i"}};
  for (const char* bad : {"http", "=1", "http=", "http=x", "http=0", "http=70000", "http=1 "}) {
    instance.labels["k4t.ports"] = bad;
    EXPECT_FALSE(read_labels("a", "192.0.2.1", instance)) << bad;
  }
  instance.labels["k4t.ports"] = "";
  EXPECT_TRUE(read_labels("a", "192.0.2.1", instance)) << "a service without ports";
}

}  // namespace
}  // namespace k4t::plan
