#include "plan/adoption.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "plan_lab.hpp"

namespace k4t::plan {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Adoption adopt(Lab& lab) { return adopt(lab.cluster(), lab.world().nodes, lab.world().latest); }

/// Declares, and lets it run.
void run(Lab& lab, const std::vector<model::Service>& services) {
  for (int round = 0; round < 10; ++round) {
    const Plan plan = lab.plan(services);
    ASSERT_THAT(plan.problems, IsEmpty());
    if (plan.empty()) return;
    lab.carry_out(plan);
  }
  FAIL() << "no end";
}

TEST(Adoption, NothingRunsAndNothingWasDecided) {
  Lab lab(cluster_of({"a"}));
  const auto found = adopt(lab);
  EXPECT_THAT(found.services, IsEmpty());
  EXPECT_THAT(found.unexplained, IsEmpty());
}

TEST(Adoption, WhatRunsAndIsServedIsWhatWasDeclared) {
  Lab lab(cluster_of({"a", "b"}));
  const std::vector<model::Service> wish{service_of("api", 2), service_of("web", 3)};
  run(lab, wish);
  const auto found = adopt(lab);
  EXPECT_THAT(found.unexplained, IsEmpty());
  EXPECT_EQ(found.declared, wish);
  EXPECT_TRUE(lab.plan(found.declared).empty());
}

TEST(Adoption, WhatChangedWithoutNewInstancesIsReadFromWhatIsServed) {
  Lab lab(cluster_of({"a", "b"}));
  auto web = service_of("web", 3);
  web.txt = {"v=1"};
  web.health = {"http", {gateway::Protocol::http, "/", 2000, 1000, 2, 3}, 60};
  run(lab, {web});
  web.replicas = 2;
  web.txt = {"owner=shop", "v=2"};
  web.health->check.path = "/ready";
  web.expose[0].host = "*";
  web.expose[0].path = "/shop";
  web.expose[0].rate_limit = gateway::RateLimit{10, 20};
  model::Expose tcp;
  tcp.port = "http";
  tcp.protocol = gateway::Protocol::tcp;
  tcp.listen = 9000;
  tcp.balance = gateway::Balance::source_hash;
  web.expose.push_back(tcp);
  run(lab, {web});
  EXPECT_EQ(adopt(lab).declared, std::vector{web});
  web.expose.clear();
  web.reach = model::Reach::instances;
  run(lab, {web});
  auto found = adopt(lab).declared;
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].reach, model::Reach::instances);
  EXPECT_TRUE(lab.plan(found).empty());
}

TEST(Adoption, ACheckThatWasTakenAwayStaysAway) {
  Lab lab(cluster_of({"a"}));
  auto web = service_of("web", 1);
  web.health = {"http", {}, 60};
  run(lab, {web});
  web.health.reset();
  run(lab, {web});
  EXPECT_EQ(adopt(lab).declared, std::vector{web});
}

// Whatever was declared one after another: what is adopted asks for nothing to be done.
TEST(Adoption, AfterAnyHistoryThePlanIsAsEmptyAsBefore) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    std::mt19937 random(seed);
    const auto draw = [&random](unsigned sides) { return random() % sides; };
    Lab lab(cluster_of({"a", "b", "c"}));
    // Two services whose backends' names are alike ("a-b-c-80"), and one with listeners of its own.
    const auto declare = [&](const std::string& name, const std::string& port, std::uint16_t listen) {
      auto service = service_of(name, 1 + draw(3));
      service.env["V"] = std::to_string(draw(3));
      service.ports = {{"http", 8080}, {port, 9090}};
      service.expose.clear();
      for (unsigned number = draw(3); number > 0; --number) {
        model::Expose expose;
        expose.port = draw(2) == 0 ? "http" : port;
        expose.listen = static_cast<std::uint16_t>(listen + number);
        if (listen > 80 && draw(2) == 0) expose.protocol = gateway::Protocol::tcp;
        if (expose.protocol == gateway::Protocol::http) expose.path = "/" + std::to_string(draw(3));
        if (draw(3) == 0) expose.balance = gateway::Balance::least_connections;
        if (draw(3) == 0) expose.connection_limit = gateway::ConnectionLimit{5};
        service.expose.push_back(expose);
      }
      if (draw(2) == 0) service.txt = {"b", "a" + std::to_string(draw(2))};
      if (draw(2) == 0) service.health = {"http", {}, 30};
      if (draw(4) == 0) service.reach = model::Reach::instances;
      return service;
    };
    std::vector<model::Service> wish;
    for (int change = 0; change < 4; ++change) {
      wish = {declare("a", "b-c", 80), declare("a-b", "c", 80), declare("other", "admin", 3000)};
      if (draw(4) == 0) wish.pop_back();
      run(lab, wish);
    }
    const auto found = adopt(lab);
    EXPECT_THAT(found.unexplained, IsEmpty()) << "seed " << seed;
    EXPECT_THAT(found.odd, IsEmpty()) << "seed " << seed;
    const Plan plan = lab.plan(found.declared);
    EXPECT_TRUE(plan.empty()) << "seed " << seed;
    EXPECT_TRUE(lab.plan(wish).empty()) << "seed " << seed;
  }
}

TEST(Adoption, ACopyKnowsWhatNeitherLabelsNorServersShow) {
  Lab lab(cluster_of({"a"}));
  auto web = service_of("web", 1);
  run(lab, {web});
  web.drain_timeout_s = 7;
  web.txt = {"v=2"};
  run(lab, {web});
  auto copied = web;
  copied.txt = {"v=1"};
  const auto found = adopt(lab.cluster(), lab.world().nodes, lab.world().latest, {copied});
  EXPECT_EQ(found.declared, std::vector{web});
  copied.image = "web:0";
  EXPECT_EQ(adopt(lab.cluster(), lab.world().nodes, lab.world().latest, {copied}).declared[0].drain_timeout_s,
            service_of("web", 1).drain_timeout_s)
      << "it speaks of an older revision";
}

TEST(Adoption, OneThatDiedIsStillWanted) {
  Lab lab(cluster_of({"a", "b"}));
  run(lab, {service_of("web", 2)});
  lab.view("a").instances.clear();
  const auto found = adopt(lab);
  ASSERT_THAT(found.services, SizeIs(1));
  EXPECT_EQ(found.services[0].service.replicas, 2u);
  EXPECT_THAT(found.unexplained, IsEmpty());
  EXPECT_THAT(lab.plan(found.declared).creations, SizeIs(1));
}

TEST(Adoption, WhatHasEndedAndIsNotServedIsNotWanted) {
  Lab lab(cluster_of({"a", "b"}));
  auto worker = service_of("worker", 2);
  worker.expose.clear();
  run(lab, {service_of("web", 1), worker});
  const auto end = [&](const char* node) {
    for (auto& instance : lab.view(node).instances) {
      if (instance.labels[runtime::label::service] == "worker") instance.phase = runtime::Phase::exited;
    }
  };
  end("a");
  worker.replicas = 1;
  EXPECT_EQ(adopt(lab).declared, (std::vector{service_of("web", 1), worker}));
  end("b");
  EXPECT_EQ(adopt(lab).declared, std::vector{service_of("web", 1)});
}

TEST(Adoption, ADecidedRolloutIsFinishedAndAnUndecidedOneUndone) {
  Lab lab(cluster_of({"a", "b"}));
  const auto before = service_of("web", 2);
  auto after = before;
  after.env["V"] = "2";
  run(lab, {before});
  const Plan rollout = lab.plan({after});
  Plan started = rollout;
  started.removals.clear();
  started.state = *lab.world().latest;
  lab.carry_out(started);
  EXPECT_EQ(adopt(lab).declared, std::vector{before});
  EXPECT_THAT(adopt(lab).services[0].doubt, HasSubstr("is the newest that is served"));
  Plan decided;
  decided.state = rollout.state;
  lab.carry_out(decided);
  const auto found = adopt(lab);
  EXPECT_EQ(found.declared, std::vector{after});
  EXPECT_THAT(found.unexplained, IsEmpty());
  EXPECT_THAT(lab.plan(found.declared).removals, SizeIs(2)) << "the old ones";
}

TEST(Adoption, OfServicesWithoutTrafficTheNewestCompleteRevisionCounts) {
  Lab lab(cluster_of({"a", "b"}));
  auto before = service_of("worker", 2);
  before.expose.clear();
  auto after = before;
  after.env["V"] = "2";
  run(lab, {before});
  Plan rollout = lab.plan({after});
  rollout.removals.clear();
  Plan half = rollout;
  half.creations.pop_back();
  lab.carry_out(half);
  EXPECT_EQ(adopt(lab).declared, std::vector{before});
  rollout.creations.erase(rollout.creations.begin());
  lab.carry_out(rollout);
  EXPECT_EQ(adopt(lab).declared, std::vector{after});
}

TEST(Adoption, WhatIsServedAndNotSeenIsUnknownAndNotGone) {
  Lab lab(cluster_of({"a", "b"}));
  run(lab, {service_of("api", 1), service_of("web", 1)});
  lab.view("a").instances.clear();  // all that is known of api
  EXPECT_THAT(adopt(lab).unexplained, Contains(HasSubstr("http :80 api.demo.example.net/")));
  EXPECT_THAT(adopt(lab.cluster(), lab.world().nodes, lab.world().latest, {service_of("api", 1), service_of("web", 1)})
                  .unexplained,
              IsEmpty())
      << "a copy knows of it";
  lab.view("b").problem = Error{Status::unavailable, "no answer", {}};
  EXPECT_THAT(adopt(lab).unexplained, Contains(HasSubstr("http :80 web.demo.example.net/")))
      << "all of it that is known is there";
  lab.view("a").problem = Error{Status::unavailable, "no answer", {}};
  EXPECT_THAT(adopt(lab).unread,
              ElementsAre("node 'a' cannot be read: no answer", "node 'b' cannot be read: no answer"));
}

TEST(Adoption, WhatAnUnreadNodeAlsoRunsNeedsNoOtherExplanation) {
  for (const auto reach : {model::Reach::gateways, model::Reach::instances}) {
    Lab lab(cluster_of({"a", "b"}));
    auto web = service_of("web", 4);
    web.reach = reach;
    run(lab, {web});
    lab.view("a").problem = Error{Status::unavailable, "no answer", {}};
    const auto found = adopt(lab);
    EXPECT_THAT(found.unread, SizeIs(1));
    EXPECT_THAT(found.unexplained, IsEmpty());
    EXPECT_EQ(found.declared, std::vector{web}) << "as many as are served";
  }
}

TEST(Adoption, AFormerRevisionIsNotTakenForTheOneThatIsOutOfSight) {
  Lab lab(cluster_of({"a", "b"}));
  auto before = service_of("web", 1);
  before.memory_bytes = 3000 * mib;  // a node has room for one
  auto after = before;
  after.env["V"] = "2";
  run(lab, {before});
  Plan rollout = lab.plan({after});
  ASSERT_THAT(rollout.creations, SizeIs(1));
  ASSERT_THAT(rollout.removals, SizeIs(1));
  const std::string new_home = rollout.creations[0].placed.node;
  ASSERT_NE(new_home, rollout.removals[0].placed.node);
  rollout.removals.clear();  // the master died before that
  lab.carry_out(rollout);
  lab.view(new_home).problem = Error{Status::unavailable, "no answer", {}};
  const auto found = adopt(lab);
  EXPECT_THAT(found.services, IsEmpty());
  EXPECT_THAT(found.unexplained, Contains(HasSubstr("service web, by instances that are not seen")));
  const auto with_copy = adopt(lab.cluster(), lab.world().nodes, lab.world().latest, {after});
  EXPECT_EQ(with_copy.declared, std::vector{after});
  EXPECT_THAT(with_copy.unexplained, IsEmpty());
}

TEST(Adoption, ANodeThatK4tTomlDoesNotNameIsMissed) {
  for (const auto reach : {model::Reach::gateways, model::Reach::instances}) {
    Lab lab(cluster_of({"a", "b"}));
    auto web = service_of("web", 2);
    web.reach = reach;
    run(lab, {web});
    lab.cluster().nodes.pop_back();
    EXPECT_THAT(adopt(lab).unexplained, Contains(HasSubstr("192.0.2.2")));
  }
}

TEST(Adoption, AnotherConfigurationIsNotedBeforeItTakesSomethingAway) {
  Lab lab(cluster_of({"a"}));
  run(lab, {service_of("web", 1)});
  lab.cluster().gateways.pop_back();
  EXPECT_THAT(adopt(lab).unexplained, ElementsAre(HasSubstr("dns  web.demo.example.net 5 AAAA 2001:db8::2")));
}

TEST(Adoption, ALabelThatDoesNotFitIsNotBelieved) {
  Lab lab(cluster_of({"a"}));
  run(lab, {service_of("web", 1)});
  auto& instance = lab.view("a").instances[0];
  const std::string good = instance.labels[runtime::label::declaration];
  for (const std::string& bad : {std::string(), std::string("{"), std::string("[]"), std::string(R"({"name":"web"})"),
                                 Json(service_of("api", 1)).dump()}) {
    instance.labels[runtime::label::declaration] = bad;
    const auto found = adopt(lab);
    EXPECT_THAT(found.services, IsEmpty()) << bad;
    EXPECT_THAT(found.odd, ElementsAre(HasSubstr("does not say what it was made from"))) << bad;
    EXPECT_THAT(found.unexplained, Not(IsEmpty())) << bad;
  }
  instance.labels[runtime::label::declaration] = good;
  EXPECT_THAT(adopt(lab).unexplained, IsEmpty());
}

}  // namespace
}  // namespace k4t::plan
