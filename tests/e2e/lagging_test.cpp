#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/dns_proxy.hpp"
#include "support/real_cluster.hpp"
#include "support/traffic.hpp"

/// Invariant 2 on real servers: members that are away for a while, or return as somebody else, have a defined outcome
/// that `k4t status` shows and a command that mends it; meanwhile the other members answer every client.

namespace k4t::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Pair;

/// A cluster that serves "one" as version 1.
class Lagging : public ::testing::Test {
 protected:
  void SetUp() override {
    K4T_REQUIRE_CLUSTER();
    cluster_ = std::make_unique<RealCluster>();
    want("one");
    const auto applied = cluster_->apply();
    ASSERT_EQ(applied.exit_code, 0) << applied.out << applied.err;
  }

  void want(const std::string& greeting) {
    cluster_->web(1, greeting);
    add_text(greeting);
  }

  /// Changes DNS records alone, so that no instance is made.
  void add_text(const std::string& text) {
    const auto file = cluster_->folder() / "services/web.toml";
    std::string service = Scratch::read(file);
    const auto at = service.find("txt = ");
    if (at != std::string::npos) service.erase(at, service.find('\n', at) + 1 - at);
    service.insert(service.find("stop_timeout"), "txt = [\"" + text + "\"]\n");
    cluster_->service("web", service);
  }

  /// What a member does for its clients, asked until the object ends.
  std::unique_ptr<Traffic> clients_of_gateway(const std::string& address) {
    return std::make_unique<Traffic>([this, address] {
      const auto answer = cluster_->get(address, "web");
      return answer.status == 200 ? std::string() : std::to_string(answer.status) + " " + answer.body;
    });
  }
  std::unique_ptr<Traffic> clients_of_dns(std::size_t server) {
    return std::make_unique<Traffic>([this, server] {
      const auto answer = cluster_->dns(server).dig(web_name(), "A");
      return answer == "127.0.20.1\n127.0.20.2" ? std::string() : "'" + answer + "'";
    });
  }
  [[nodiscard]] static std::string web_name() { return std::string("web.") + RealCluster::domain; }

  /// What `k4t status` says of a member.
  std::string standing(const std::string& member) {
    const auto status = cluster_->k4t({"status", "-o", "json"});
    const Json json = status.json();
    std::string found = "absent";
    bool all_current = true;
    for (const auto& one : json.at("members")) {
      if (one.at("name") == member) found = one.at("standing");
      all_current = all_current && one.at("standing") == "current";
    }
    EXPECT_EQ(status.exit_code, all_current ? 0 : 3) << status.out << status.err;
    return found;
  }

  void expect_serves(const std::string& greeting, int version) {
    for (const char* gateway : {RealCluster::nginx_address, RealCluster::haproxy_address}) {
      EXPECT_THAT(cluster_->get(gateway, "web").body, HasSubstr(greeting + " from web")) << gateway;
    }
    for (std::size_t server : {0, 1}) {
      EXPECT_EQ(cluster_->dns(server).dig(web_name(), "TXT"), "\"" + greeting + "\"") << server;
    }
    EXPECT_THAT(cluster_->served_versions(), Each(Pair(::testing::_, version)));
    EXPECT_EQ(cluster_->k4t({"ps", "-o", "json"}).json().size(), 1u);
  }

  void expect_exit(const RealCluster::Command& command, int code) {
    EXPECT_EQ(command.exit_code, code) << command.out << command.err;
  }

  /// Runs an apply in which `member` goes away after it has prepared and before anything is voted for: ns1's answer to
  /// its own prepare is held back until then.
  RealCluster::Command apply_losing(const std::string& member) {
    const auto marks = cluster_->folder() / "marks";
    fs::remove(marks);
    bool stopped = false;
    const auto lose = [&](bool update, std::string& /*answer*/) {
      if (!update || stopped) return true;
      const std::string prepared = "after prepare " + std::string(member[0] == 'g' ? "gateway " : "dns ") + member;
      stopped = eventually([&] { return Scratch::read(marks).find(prepared) != std::string::npos; });
      cluster_->stop_member(member);
      return true;
    };
    const DnsProxy relay(cluster_->ns1().port(), lose);
    const std::string direct = "options.port = " + std::to_string(cluster_->ns1().port()) + "\n";
    const std::string relayed = "options.port = " + std::to_string(relay.port()) + "\n";
    cluster_->edit_config(direct, relayed);
    const auto applied = cluster_->apply({{"K4T_STEPS_FILE", marks.string()}});
    cluster_->edit_config(relayed, direct);
    EXPECT_TRUE(stopped) << member << " did not prepare";
    return applied;
  }

  std::unique_ptr<RealCluster> cluster_;
};

TEST_F(Lagging, MembersThatAreDownAtPrepareAreShownAndCatchUp) {
  for (const auto& [gateway, server] : {std::pair{"gw1", "ns1"}, {"gw2", "ns2"}}) {
    const bool first = std::string(gateway) == "gw1";
    const std::string greeting = first ? "two" : "three";
    const auto clients = clients_of_gateway(first ? RealCluster::haproxy_address : RealCluster::nginx_address);
    const auto resolvers = clients_of_dns(first ? 1 : 0);
    cluster_->stop_member(gateway);
    cluster_->stop_member(server);
    want(greeting);
    const auto applied = cluster_->apply();
    expect_exit(applied, 3);
    EXPECT_THAT(applied.out, HasSubstr(gateway));
    EXPECT_THAT(applied.out, HasSubstr(server));
    EXPECT_EQ(standing(gateway), "unknown");
    EXPECT_EQ(standing(server), "unknown");
    cluster_->start_member(gateway);
    cluster_->start_member(server);
    EXPECT_EQ(standing(gateway), "behind");
    EXPECT_EQ(standing(server), "behind");
    expect_exit(cluster_->k4t({"sync"}), 0);
    EXPECT_EQ(disturbance(*clients), "");
    EXPECT_EQ(disturbance(*resolvers), "");
    expect_serves(greeting, first ? 2 : 3);
  }
}

TEST_F(Lagging, AMemberThatGoesAwayBetweenPrepareAndCommitCatchesUp) {
  int version = 1;
  for (const std::string member : {"gw1", "gw2", "ns2"}) {
    const auto clients =
        clients_of_gateway(member == "gw1" ? RealCluster::haproxy_address : RealCluster::nginx_address);
    const auto resolvers = clients_of_dns(0);
    const std::string greeting = "without-" + member;
    want(greeting);
    const auto applied = apply_losing(member);
    expect_exit(applied, 3);
    EXPECT_THAT(applied.out, HasSubstr(member));
    EXPECT_EQ(standing(member), "unknown");
    cluster_->start_member(member);
    EXPECT_EQ(standing(member), "behind");
    expect_exit(cluster_->k4t({"sync"}), 0);
    EXPECT_EQ(disturbance(*clients), "");
    EXPECT_EQ(disturbance(*resolvers), "");
    expect_serves(greeting, ++version);
  }
}

TEST_F(Lagging, MembersThatWereDownForFiftyTransactionsCatchUpWithTheNextApply) {
  const auto clients = clients_of_gateway(RealCluster::haproxy_address);
  const auto resolvers = clients_of_dns(0);
  cluster_->stop_member("gw1");
  cluster_->stop_member("ns2");
  constexpr int transactions = 50;
  for (int number = 1; number <= transactions; ++number) {
    add_text("text " + std::to_string(number));
    expect_exit(cluster_->apply(), 3);
    if (HasFailure()) return;
  }
  cluster_->start_member("gw1");
  cluster_->start_member("ns2");
  EXPECT_EQ(standing("gw1"), "behind");
  EXPECT_EQ(standing("ns2"), "behind");
  want("two");
  expect_exit(cluster_->apply(), 0);
  EXPECT_EQ(disturbance(*clients), "");
  EXPECT_EQ(disturbance(*resolvers), "");
  expect_serves("two", transactions + 2);
}

TEST_F(Lagging, MembersThatReturnBlankAreFilledAgain) {
  for (const bool by_apply : {false, true}) {
    const auto clients = clients_of_gateway(RealCluster::haproxy_address);
    const auto resolvers = clients_of_dns(0);
    cluster_->stop_member("gw1");
    fs::remove_all(cluster_->nginx().folder());
    cluster_->start_member("gw1");
    for (const char* name : {"_k4t", "_k4t-try", "web", "_http._tcp.web"}) {
      cluster_->ns2().update_by_hand({"update delete " + std::string(name) + "." + RealCluster::domain});
    }
    EXPECT_EQ(standing("gw1"), "blank");
    EXPECT_EQ(standing("ns2"), "blank");
    if (by_apply) want("two");
    expect_exit(by_apply ? cluster_->apply() : cluster_->k4t({"sync"}), 0);
    EXPECT_EQ(disturbance(*clients), "");
    EXPECT_EQ(disturbance(*resolvers), "");
    expect_serves(by_apply ? "two" : "one", by_apply ? 2 : 1);
  }
}

TEST_F(Lagging, AHaproxyThatReturnsBlankIsFilledAgain) {
  const auto clients = clients_of_gateway(RealCluster::nginx_address);
  cluster_->stop_member("gw2");
  fs::remove_all(cluster_->haproxy().file().string() + ".k4t");
  std::ofstream(cluster_->haproxy().file(), std::ios::trunc).flush();
  cluster_->start_member("gw2");
  EXPECT_EQ(standing("gw2"), "blank");
  expect_exit(cluster_->k4t({"sync"}), 0);
  EXPECT_EQ(disturbance(*clients), "");
  expect_serves("one", 1);
}

TEST_F(Lagging, WhatSomebodyEditedByHandIsShownAndRepairedOnlyOnRequest) {
  const auto resolvers = clients_of_dns(0);
  for (const bool by_apply : {false, true}) {
    cluster_->stop_member("gw1");
    const auto live = cluster_->nginx().folder() / "live" / "http.conf";
    std::ofstream(live, std::ios::app) << "# somebody was here\n";
    cluster_->start_member("gw1");
    cluster_->stop_member("gw2");
    std::ofstream(cluster_->haproxy().file(), std::ios::app) << "# somebody was here\n";
    cluster_->start_member("gw2");
    cluster_->ns2().update_by_hand({"update add stranger." + std::string(RealCluster::domain) + " 60 A 192.0.2.7"});
    for (const char* member : {"gw1", "gw2", "ns2"}) EXPECT_EQ(standing(member), "drifted") << member;
    EXPECT_EQ(standing("ns1"), "current");
    if (by_apply) {
      want("two");
      expect_exit(cluster_->apply(), 0);
    } else {
      expect_exit(cluster_->k4t({"sync"}), 3);
      EXPECT_EQ(standing("gw1"), "drifted") << "nothing is overwritten that nobody asked for";
      expect_exit(cluster_->k4t({"sync", "--repair"}), 0);
    }
    EXPECT_EQ(cluster_->dns(1).dig("stranger." + std::string(RealCluster::domain), "A"), "");
    for (const char* member : {"gw1", "gw2", "ns2"}) EXPECT_EQ(standing(member), "current") << member;
    expect_serves(by_apply ? "two" : "one", by_apply ? 2 : 1);
  }
  EXPECT_EQ(disturbance(*resolvers), "");
}

TEST_F(Lagging, AGatewayThatReturnsWithAnOlderDiskIsBroughtForward) {
  const auto folder = cluster_->nginx().folder();
  const auto old = cluster_->folder() / "old";
  const auto copy = [](const fs::path& from, const fs::path& to) {
    fs::remove_all(to);
    fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  };
  copy(folder, old);
  want("two");
  expect_exit(cluster_->apply(), 0);
  want("three");
  expect_exit(cluster_->apply(), 0);
  const auto clients = clients_of_gateway(RealCluster::haproxy_address);
  cluster_->stop_member("gw1");
  copy(old, folder);
  cluster_->start_member("gw1");
  EXPECT_EQ(standing("gw1"), "behind");
  expect_exit(cluster_->k4t({"sync"}), 0);
  EXPECT_EQ(disturbance(*clients), "");
  expect_serves("three", 3);
}

TEST_F(Lagging, AMemberThatKnowsANewerVersionThanTheWitnessesStopsEveryChange) {
  const auto clients = clients_of_gateway(RealCluster::nginx_address);
  const auto resolvers = clients_of_dns(0);
  const std::string name = "_k4t." + std::string(RealCluster::domain);
  const std::string held = cluster_->ns2().dig(name, "TXT");
  const std::string newer = "\"1 demo 9 0123456789abcdef0123456789abcdef fedcba9876543210fedcba9876543210.1\"";
  cluster_->ns2().update_by_hand({"update delete " + name, "update add " + name + " 0 TXT " + newer});
  EXPECT_EQ(standing("ns2"), "ahead");
  want("two");
  for (const auto& refused : {cluster_->apply(), cluster_->k4t({"sync"})}) {
    EXPECT_NE(refused.exit_code, 0) << refused.out;
    EXPECT_THAT(refused.out + refused.err, HasSubstr("ns2"));
  }
  EXPECT_EQ(cluster_->ns2().dig(name, "TXT"), newer) << "nobody goes back";
  EXPECT_EQ(cluster_->ns1().dig(web_name(), "TXT"), "\"one\"");
  cluster_->ns2().update_by_hand({"update delete " + name, "update add " + name + " 0 TXT " + held});
  expect_exit(cluster_->apply(), 0);
  EXPECT_EQ(disturbance(*clients), "");
  EXPECT_EQ(disturbance(*resolvers), "");
  expect_serves("two", 2);
}

TEST_F(Lagging, AvailabilityCountsForEachGroupByItself) {
  cluster_->edit_config("gateways = \"one\"", "gateways = \"all\"");
  const auto clients = clients_of_gateway(RealCluster::nginx_address);
  want("two");
  cluster_->stop_member("gw2");
  const auto refused = cluster_->apply();
  expect_exit(refused, 1);
  EXPECT_THAT(refused.err, HasSubstr("gw2"));
  EXPECT_EQ(standing("gw1"), "current");
  cluster_->start_member("gw2");
  expect_serves("one", 1);

  cluster_->stop_member("ns2");
  expect_exit(cluster_->apply(), 3);
  cluster_->start_member("ns2");
  expect_exit(cluster_->k4t({"sync"}), 0);
  expect_serves("two", 2);

  cluster_->edit_config("dns = \"one\"", "dns = \"all\"");
  want("three");
  cluster_->stop_member("ns1");
  expect_exit(cluster_->apply(), 1);
  cluster_->start_member("ns1");
  expect_exit(cluster_->apply(), 0);
  EXPECT_EQ(disturbance(*clients), "");
  expect_serves("three", 3);
}

TEST_F(Lagging, WithNobodyOfAGroupNothingIsChangedAndTheOtherGroupServesOn) {
  const auto resolvers = clients_of_dns(1);
  cluster_->stop_member("gw1");
  cluster_->stop_member("gw2");
  want("two");
  expect_exit(cluster_->apply(), 1);
  cluster_->start_member("gw1");
  cluster_->start_member("gw2");
  EXPECT_EQ(disturbance(*resolvers), "");
  expect_serves("one", 1);
  expect_exit(cluster_->apply(), 0);
  expect_serves("two", 2);
}

}  // namespace
}  // namespace k4t::testing
