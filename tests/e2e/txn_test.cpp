#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "support/real_cluster.hpp"

/// The redo log, differences and witnesses on real servers, through the program as a user sees it.

namespace k4t::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// Three witnesses in folders beside the default one's.
void name_witnesses(RealCluster& cluster, const std::vector<std::string>& ids) {
  std::string text = Scratch::read(cluster.config());
  if (const auto at = text.find("\n[[witness]]"); at != std::string::npos) text.erase(at);
  for (const auto& id : ids) text += "\n[[witness]]\nid = \"" + id + "\"\npath = \"" + id + "\"\n";
  std::ofstream(cluster.config()) << text;
}

Json member_of(const Json& status, const std::string& name) {
  for (const auto& member : status.at("members")) {
    if (member.at("name") == name) return member;
  }
  return {};
}

TEST(Txn, TheLogAndStatusTellVersionsLagsAndWitnesses) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  cluster.web(1, "one");
  ASSERT_EQ(cluster.apply().exit_code, 0);
  EXPECT_EQ(cluster.k4t({"diff"}).exit_code, 0);
  cluster.nginx().stop();
  cluster.web(1, "two");
  ASSERT_EQ(cluster.apply().exit_code, 3);

  const auto log = cluster.k4t({"txn", "ls", "-o", "json"});
  ASSERT_EQ(log.exit_code, 0) << log.err;
  const auto newest = log.json().at("versions").at(0);
  EXPECT_EQ(newest.at("version"), 2);
  EXPECT_EQ(newest.at("decided"), true);
  EXPECT_THAT(newest.at("by").get<std::string>(), HasSubstr("apply"));
  EXPECT_EQ(newest.at("unknown"), Json({"gateway gw1"}));
  const auto shown = cluster.k4t({"txn", "show", newest.at("txn").get<std::string>().substr(0, 8)});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("endpoint web-http-"));

  const auto differs = cluster.k4t({"diff"});
  EXPECT_EQ(differs.exit_code, 6);
  EXPECT_THAT(differs.out, HasSubstr("gateway gw1: not known"));
  cluster.nginx().start();
  const auto lags = cluster.k4t({"diff", "web"});
  EXPECT_EQ(lags.exit_code, 6);
  EXPECT_THAT(lags.out, HasSubstr("gateway gw1: serves version 1 of 2; to the latest version:"));
  const auto status = cluster.k4t({"status", "-o", "json"}).json();
  EXPECT_EQ(member_of(status, "gw1").at("versions_behind"), 1);
  EXPECT_EQ(status.at("witnesses").at(0).at("state"), "answers");
  EXPECT_EQ(status.at("witnesses").at(0).at("vote").at("version"), 2);
  EXPECT_EQ(cluster.k4t({"txn", "recover"}).exit_code, 0);
  EXPECT_EQ(cluster.k4t({"diff"}).exit_code, 0);
  cluster.web(3, "two");
  const auto wanted = cluster.k4t({"diff", "-f", "services"});
  EXPECT_EQ(wanted.exit_code, 6);
  EXPECT_THAT(wanted.out, HasSubstr("Wanted by the files beyond version 2"));
}

TEST(Txn, DiffNamesAHandEdit) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  cluster.web(1, "one");
  ASSERT_EQ(cluster.apply().exit_code, 0);
  std::ofstream(cluster.haproxy().file(), std::ios::app) << "# somebody was here\n";
  const auto differs = cluster.k4t({"diff"});
  EXPECT_EQ(differs.exit_code, 6) << differs.out;
  EXPECT_THAT(differs.out, HasSubstr("gateway gw2: changed by hand"));
  EXPECT_EQ(cluster.k4t({"sync", "--repair"}).exit_code, 0);
  EXPECT_EQ(cluster.k4t({"diff"}).exit_code, 0);
}

TEST(Txn, ASingleCopyIsToldByTheLastLineAndTheExitCode) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  cluster.edit_config("accept_single_copy = true", "accept_single_copy = false");
  cluster.web(1, "one");
  const auto applied = cluster.apply();
  EXPECT_EQ(applied.exit_code, 5) << applied.err;
  const auto last = applied.out.rfind('\n', applied.out.size() - 2);
  EXPECT_THAT(applied.out.substr(last + 1), HasSubstr("single copy"));
}

TEST(Txn, DeleteRefusesWhereNobodyCanBeAsked) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  cluster.web(1, "one");
  ASSERT_EQ(cluster.apply().exit_code, 0);
  const auto refused = cluster.k4t({"delete", "web"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--yes"));
  EXPECT_EQ(cluster.k4t({"ps", "-o", "json"}).json().size(), 1u);
}

TEST(Txn, WitnessesJoinLeaveAndAreReplaced) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  name_witnesses(cluster, {"w1", "w2", "w3"});
  cluster.web(1, "one");
  ASSERT_EQ(cluster.apply().exit_code, 0);
  fs::remove_all(cluster.folder() / "w3");
  EXPECT_THAT(cluster.k4t({"witness", "ls"}).out, HasSubstr("blank"));
  const auto replaced = cluster.k4t({"witness", "replace", "w3"});
  EXPECT_EQ(replaced.exit_code, 0) << replaced.out << replaced.err;
  EXPECT_THAT(replaced.err, HasSubstr("witness w3 is now w3-x"));
  name_witnesses(cluster, {"w1", "w2", "w3", "w4", "w5"});
  EXPECT_EQ(cluster.k4t({"witness", "add", "w4", "w5"}).exit_code, 0);
  name_witnesses(cluster, {"w2", "w3", "w4"});
  EXPECT_EQ(cluster.k4t({"witness", "rm", "w1", "w5"}).exit_code, 0);
  const auto rows = cluster.k4t({"witness", "ls", "-o", "json"}).json();
  int deciding = 0;
  for (const auto& row : rows) deciding += row.at("role") == "decides" && row.at("state") == "answers" ? 1 : 0;
  EXPECT_EQ(deciding, 3) << rows.dump(2);
  cluster.web(1, "two");
  EXPECT_EQ(cluster.apply().exit_code, 0);
}

TEST(Txn, AMajorityThatIsGoneForGoodIsForcedOnlyWithTheClustersName) {
  K4T_REQUIRE_CLUSTER();
  RealCluster cluster;
  name_witnesses(cluster, {"w1", "w2", "w3"});
  cluster.web(1, "one");
  ASSERT_EQ(cluster.apply().exit_code, 0);
  EXPECT_EQ(cluster.k4t({"txn", "recover", "--force=demo", "--why", "try"}).exit_code, 1) << "nothing is lost yet";
  fs::remove_all(cluster.folder() / "w2");
  fs::remove_all(cluster.folder() / "w3");
  cluster.web(1, "two");
  EXPECT_EQ(cluster.apply().exit_code, 1);
  EXPECT_EQ(cluster.k4t({"txn", "recover", "--force", "--why", "disks"}).exit_code, 2) << "nobody can be asked";
  EXPECT_EQ(cluster.k4t({"txn", "recover", "--force=other", "--why", "disks"}).exit_code, 2);
  const auto forced = cluster.k4t({"txn", "recover", "--force=demo", "--why", "disks"});
  ASSERT_EQ(forced.exit_code, 0) << forced.out << forced.err;
  EXPECT_THAT(cluster.k4t({"status"}).out, HasSubstr("was forced by"));
  EXPECT_THAT(cluster.served_versions(), ::testing::Each(::testing::Pair(::testing::_, 1'000'001)));
  EXPECT_EQ(cluster.apply().exit_code, 0);
  EXPECT_EQ(cluster.k4t({"txn", "acknowledge"}).exit_code, 0);
  EXPECT_THAT(cluster.k4t({"status"}).out, ::testing::Not(HasSubstr("was forced by")));
}

}  // namespace
}  // namespace k4t::testing
