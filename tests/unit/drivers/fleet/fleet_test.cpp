#include "drivers/fleet.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes/world.hpp"

namespace k4t::drivers {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

/// Answers every call with one reply, as a driver that lies would.
class Liar final : public Callee {
 public:
  explicit Liar(Json reply) : reply_(std::move(reply)) {}
  Result<Json> call(std::string_view /*method*/, const JsonText& /*request*/, const CallOptions& /*options*/) override {
    return reply_;
  }

 private:
  Json reply_;
};

class FleetTest : public ::testing::Test {
 protected:
  FleetTest() {
    cluster_.name = "demo";
    model::Node node;
    node.name = "n1";
    cluster_.nodes = {node};
    model::Driven gateway;
    gateway.name = "gw1";
    cluster_.gateways = {gateway};
    world_.add_node("n1", "192.0.2.1");
    world_.add_gateway("gw1");
  }

  Fleet honest() {
    return {cluster_, [this](const std::string&, const std::string& kind, const OpenRequest& request) {
              return world_.open(kind, request.name);
            }};
  }
  Fleet answering(const Json& reply) {
    return {cluster_,
            [reply](const std::string&, const std::string&, const OpenRequest&) -> Result<std::unique_ptr<Callee>> {
              return std::unique_ptr<Callee>(std::make_unique<Liar>(reply));
            }};
  }

  fakes::World world_;
  model::Cluster cluster_;
};

TEST_F(FleetTest, OneMissingPluginHidesNobodyElse) {
  const Fleet fleet(cluster_, [this](const std::string&, const std::string& kind, const OpenRequest& request) {
    if (kind == gateway::Kind::name) return Result<std::unique_ptr<Callee>>(Error{Status::not_found, "no plugin", {}});
    return world_.open(kind, request.name);
  });
  EXPECT_TRUE(fleet.node("n1")->info());
  EXPECT_THAT(fleet.gateways().front()->connections({}).error().message, HasSubstr("no plugin"));
  EXPECT_EQ(fleet.node("n2"), nullptr);
  EXPECT_EQ(fleet.participant({txn::Group::dns, "gw1"}), nullptr) << "names are unique in their group only";
}

TEST_F(FleetTest, ANodeThatDoesNotAnswerIsNeverEmpty) {
  world_.node("n1").faults.down = true;
  const auto listed = honest().node("n1")->list("demo");
  EXPECT_EQ(listed.status(), Status::unavailable);
  EXPECT_THAT(listed.error().message, HasSubstr("n1"));
}

TEST_F(FleetTest, AListWithAnotherClustersInstanceIsWorthless) {
  runtime::Instance theirs;
  theirs.name = "theirs";
  theirs.labels = {{runtime::label::cluster, "other"}};
  const runtime::ListReply reply{{theirs}};
  EXPECT_EQ(answering(Json(reply)).node("n1")->list("demo").status(), Status::fatal);
}

TEST_F(FleetTest, CountsOfOtherEndpointsAreNoDrainEvidence) {
  const std::vector<gateway::Endpoint> asked{{"192.0.2.1", 20000}, {"192.0.2.1", 20001}};
  const auto right = honest().gateways().front()->connections(asked);
  ASSERT_TRUE(right) << right.error().message;
  EXPECT_THAT(*right, SizeIs(2));
  gateway::ConnectionsReply other{{{{"192.0.2.9", 20000}, 0}, {{"192.0.2.9", 20001}, 0}}};
  EXPECT_EQ(answering(Json(other)).gateways().front()->connections(asked).status(), Status::fatal);
  other.counts.clear();
  EXPECT_EQ(answering(Json(other)).gateways().front()->connections(asked).status(), Status::fatal);
}

TEST_F(FleetTest, RepliesOfAnotherFormAreFatal) {
  EXPECT_EQ(answering(Json::array()).node("n1")->info().status(), Status::fatal);
}

TEST(InheritSsh, TheClustersOptionsHoldWhereTheDriverKnowsThemAndTheUserSaysNothingElse) {
  const Json knowing = {{"properties", {{"host", Json::object()}, {"ssh", Json::object()}}}};
  const Json ignorant = {{"properties", {{"host", Json::object()}}}};
  transport::SshOptions ssh;
  ssh.known_hosts = "/etc/k4t/known_hosts";
  const auto inherited = [&](Json options, const Json& schema) {
    model::Driven thing;
    thing.options = std::move(options);
    inherit_ssh(thing, schema, ssh);
    return thing.options;
  };
  const Json far = {{"host", "ssh://192.0.2.21"}};
  EXPECT_EQ(inherited(far, knowing).at("ssh").at("known_hosts"), "/etc/k4t/known_hosts");
  EXPECT_EQ(inherited(far, ignorant), far);
  EXPECT_EQ(inherited(Json::object(), knowing), Json::object());
  const Json near = {{"host", "local"}};
  EXPECT_EQ(inherited(near, knowing), near);
  const Json own = {{"host", "ssh://192.0.2.21"}, {"ssh", {{"jump", "ssh://192.0.2.1"}}}};
  EXPECT_EQ(inherited(own, knowing), own);
}

}  // namespace
}  // namespace k4t::drivers
