#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "support/real_cluster.hpp"
#include "support/sshd_server.hpp"

/// Clusters of real servers whose DNS servers are witnesses, through the program as a user sees it.

namespace k4t::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

void add_to_config(const RealCluster& cluster, const std::string& text) {
  std::ofstream(cluster.config(), std::ios::app) << text;
}

std::string folder_witness(const std::string& id) {
  return "\n[[witness]]\nid = \"" + id + "\"\npath = \"" + id + "\"\n";
}

std::string dns_witness(const std::string& id, const std::string& server) {
  return "\n[[witness]]\nid = \"" + id + "\"\ndns = \"" + server + "\"\n";
}

Json witness_row(RealCluster& cluster, const std::string& id) {
  for (const auto& row : cluster.k4t({"witness", "ls", "-o", "json"}).json()) {
    if (row.at("id") == id) return row;
  }
  return {};
}

/// Another master of the cluster: the same k4t.toml but for its state folder, run in the same place.
RealCluster::Command as_other_master(RealCluster& cluster, std::vector<std::string> arguments) {
  std::string text = Scratch::read(cluster.config());
  const std::string from = "state = \"state\"";
  text.replace(text.find(from), from.size(), "state = \"state-of-another\"");
  std::ofstream(cluster.folder() / "other.toml") << text;
  arguments.insert(arguments.begin(), {"-c", "other.toml"});
  return cluster.k4t(arguments);
}

TEST(DnsWitness, TwoFoldersAndADnsServerOutliveAnyOneOfThem) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  add_to_config(cluster, folder_witness("w1") + folder_witness("w2") + dns_witness("d1", "ns1"));
  cluster.web(1, "one");
  const auto first = cluster.apply();
  ASSERT_EQ(first.exit_code, 0) << first.out << first.err;
  EXPECT_THAT(cluster.dns(0).dig(std::string("_k4t-w-d1.") + RealCluster::domain, "TXT"), HasSubstr("\"1 demo "));
  EXPECT_EQ(witness_row(cluster, "d1").at("dns"), "ns1");
  EXPECT_EQ(witness_row(cluster, "d1").at("vote").at("version"), 1);

  cluster.stop_member("ns1");
  cluster.web(1, "two");
  EXPECT_EQ(cluster.apply().exit_code, 3) << "decided by the folders; ns1 lags";
  EXPECT_EQ(witness_row(cluster, "d1").at("state"), "silent");
  cluster.start_member("ns1");
  EXPECT_EQ(cluster.k4t({"sync"}).exit_code, 0);

  fs::rename(cluster.folder() / "w1", cluster.folder() / "w1.away");
  std::ofstream(cluster.folder() / "w1") << "not a folder";
  cluster.web(1, "three");
  const auto third = cluster.apply();
  EXPECT_EQ(third.exit_code, 0) << third.out << third.err << "decided by a folder and DNS";
  fs::remove(cluster.folder() / "w1");
  fs::rename(cluster.folder() / "w1.away", cluster.folder() / "w1");

  const auto other = as_other_master(cluster, {"apply", "-f", "services"});
  EXPECT_EQ(other.exit_code, 0) << other.out << other.err << "a master without metadata finds it all";
  cluster.web(1, "four");
  EXPECT_EQ(as_other_master(cluster, {"apply", "-f", "services"}).exit_code, 0);
  EXPECT_EQ(cluster.apply().exit_code, 0);
  EXPECT_THAT(cluster.get(RealCluster::nginx_address, "web").body, HasSubstr("four from web"));
  EXPECT_EQ(cluster.k4t({"diff"}).exit_code, 0) << "registers are no drift";
}

TEST(DnsWitness, AZoneThatLostTheRegisterGetsAnother) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  add_to_config(cluster, folder_witness("w1") + folder_witness("w2") + dns_witness("d1", "ns1"));
  cluster.web(1, "one");
  ASSERT_EQ(cluster.apply().exit_code, 0);
  cluster.ns1().update_by_hand({std::string("update delete _k4t-w-d1.") + RealCluster::domain + " TXT"});
  EXPECT_EQ(witness_row(cluster, "d1").at("state"), "blank");
  EXPECT_THAT(cluster.k4t({"doctor"}).out, HasSubstr("k4t witness replace d1"));
  cluster.web(1, "two");
  EXPECT_EQ(cluster.apply().exit_code, 0);
  EXPECT_EQ(witness_row(cluster, "d1").at("state"), "blank") << "never made again under its id";
  const auto replaced = cluster.k4t({"witness", "replace", "d1"});
  EXPECT_EQ(replaced.exit_code, 0) << replaced.out << replaced.err;
  EXPECT_THAT(replaced.err, HasSubstr("witness d1 is now d1-x"));
}

TEST(DnsWitness, OneDnsServerDecidesAndAFolderOverSshKeepsTheRecord) {
  RealClusterOptions options;
  options.gateways = {};
  options.dns = {"bind"};
  if (const auto why = RealCluster::missing(options); !why.empty()) K4T_SKIP_OR_FAIL(why);
  if (!SshdServer::available()) K4T_SKIP_OR_FAIL("sshd is not installed, or this is not root");
  RealCluster cluster(options);
  SshdServer node;
  node.start();
  cluster.edit_config("accept_single_copy = true", "accept_single_copy = false");
  add_to_config(cluster, "\n[ssh]\nidentity = [\"" + node.identity() + "\"]\nknown_hosts = \"" + node.known_hosts() +
                             "\"\n" + dns_witness("d1", "ns1") + "\n[[record]]\nhost = \"" + node.url() +
                             "\"\npath = \"" + (node.scratch().path() / "records").string() + "\"\n");
  cluster.web(1, "one");
  const auto first = cluster.apply();
  ASSERT_EQ(first.exit_code, 0) << first.out << first.err;
  EXPECT_THAT(cluster.k4t({"txn", "show", "1"}).out, HasSubstr("folder " + node.url()));

  const auto other = as_other_master(cluster, {"apply", "-f", "services"});
  EXPECT_EQ(other.exit_code, 0) << other.out << other.err << "found through DNS and the node";

  node.kill();
  cluster.web(2, "one");
  const auto alone = cluster.apply();
  EXPECT_EQ(alone.exit_code, 5) << alone.out << alone.err;
  EXPECT_THAT(alone.out, HasSubstr("single copy"));
  cluster.web(3, "one");
  const auto stopped = as_other_master(cluster, {"apply", "-f", "services"});
  EXPECT_EQ(stopped.exit_code, 1) << "nobody but the first master can read version 2" << stopped.out;
  EXPECT_THAT(stopped.err, HasSubstr("cannot be read from any witness that voted for it"));
  node.start();
  const auto again = cluster.apply();
  EXPECT_EQ(again.exit_code, 0) << again.out << again.err;
}

TEST(DnsWitness, TheConfigurationNamesWhatCannotBe) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  add_to_config(cluster, dns_witness("d1", "ns3"));
  const auto checked = cluster.k4t({"config", "check"});
  EXPECT_EQ(checked.exit_code, 2);
  EXPECT_THAT(checked.err, HasSubstr("there is no [[dns]] server \"ns3\""));
  EXPECT_EQ(cluster.k4t({"witness", "suggest"}).exit_code, 2);
  cluster.edit_config("dns = \"ns3\"", "dns = \"ns2\"");
  const auto suggested = cluster.k4t({"witness", "suggest"});
  EXPECT_EQ(suggested.exit_code, 0);
  EXPECT_THAT(suggested.out, HasSubstr("the one in the state folder stands")) << "all is on this machine";
  EXPECT_THAT(suggested.out, Not(HasSubstr("[[witness]]")));
}

}  // namespace
}  // namespace k4t::testing
