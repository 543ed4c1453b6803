#include "lab_fixture.hpp"

#include <csignal>
#include <set>

/// A cluster whose every part is a machine of its own, reached over SSH, and of another vendor than its twin: what goes
/// wrong there goes wrong as it does in a machine room.

namespace k4t::testing::lab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MixedLab : public LabCluster {
 protected:
  void SetUp() override { set_up({.dns = {"bind", "samba"}}); }
};

TEST_F(MixedLab, AServiceIsSpreadOverTheNodesAndReachedThroughBothGateways) {
  deploy(3, "one");
  expect_greeting("one from web");
  for (const char* server : {"ns1", "ns2"}) {
    EXPECT_THAT(cluster().resolve(server, "web", "A"), ElementsAre(gateway(1), gateway(2)));
  }
  std::set<std::string> nodes;
  for (const auto& instance : cluster().k4t({"ps", "-o", "json"}).json()) nodes.insert(instance.at("node"));
  EXPECT_EQ(nodes.size(), 3u);
  const auto again = cluster().apply();
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("Nothing to do."));
}

TEST_F(MixedLab, AGatewayCutOffForThreeDeploysCatchesUpWhenItIsBack) {
  deploy(3, "before");
  cluster()["gw1"].unplug();
  for (const char* greeting : {"first", "second", "third"}) {
    deploy(3, greeting, 3);
    EXPECT_EQ(cluster().ask(gateway(2), 80, "web", std::string(greeting) + " from web"), "");
  }
  EXPECT_THAT(cluster().k4t({"status"}).out, HasSubstr("gw1"));
  cluster()["gw1"].plug();
  const auto synced = cluster().k4t({"sync"});
  EXPECT_EQ(synced.exit_code, 0) << synced.out << synced.err;
  expect_greeting("third from web");
  EXPECT_EQ(cluster().k4t({"status"}).exit_code, 0);
}

TEST_F(MixedLab, ADnsServerCutOffIsBroughtUpToDateWhenItIsBack) {
  deploy(3, "named");
  cluster()["ns2"].unplug();
  cluster().service("more",
                    "[[service]]\nname = \"more\"\nimage = \"app\"\nentrypoint = [\"/app\"]\ncommand = [\"http\"]\n"
                    "[[service.port]]\nname = \"http\"\nport = 8080\n[[service.expose]]\nlisten = 80\n");
  EXPECT_EQ(cluster().apply().exit_code, 3);
  EXPECT_THAT(cluster().resolve("ns1", "more", "A"), ElementsAre(gateway(1), gateway(2)));
  cluster()["ns2"].plug();
  EXPECT_THAT(cluster().resolve("ns2", "more", "A"), ElementsAre());
  EXPECT_EQ(cluster().k4t({"sync"}).exit_code, 0);
  EXPECT_THAT(cluster().resolve("ns2", "more", "A"), ElementsAre(gateway(1), gateway(2)));
  cluster().remove_service_file("more");
  EXPECT_EQ(cluster().k4t({"delete", "more", "--yes"}).exit_code, 0);
}

TEST_F(MixedLab, WhenTheMasterDiesAnotherMachineTakesOverWithNothingButTheFiles) {
  deploy(3, "calm");
  const int version = cluster().served_versions().at("gw1");
  // Its machine goes when everything is decided and nothing is served yet.
  cluster().web(3, "decided");
  const auto killed = cluster().k4t({"apply", "-f", "services"}, {{"K4T_KILL_AT_STEP", "2 after vote *"}});
  ASSERT_EQ(killed.exit_code, 128 + SIGKILL) << killed.out << killed.err;
  cluster().master().power_off();
  expect_greeting("calm from web");
  cluster().lab().add("successor");
  cluster().move_master("successor");
  const auto refused = cluster().apply();
  EXPECT_EQ(refused.exit_code, 1) << refused.out;
  EXPECT_THAT(refused.err, HasSubstr("--take-over"));
  const auto applied = cluster().k4t({"apply", "-f", "services", "--take-over"});
  EXPECT_EQ(applied.exit_code, 0) << applied.out << applied.err;
  expect_greeting("decided from web");
  EXPECT_GT(cluster().served_versions().at("gw1"), version);
  EXPECT_EQ(cluster().k4t({"ps", "-o", "json"}).json().size(), 3u) << "none is left over, none is doubled";
}

}  // namespace
}  // namespace k4t::testing::lab
