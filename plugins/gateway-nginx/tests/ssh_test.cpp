#include "rig.hpp"
#include "support/sshd_server.hpp"

namespace k4t::nginx::testing {
namespace {

using k4t::testing::SshdServer;

/// The life of a gateway whose machine is reached over SSH.
class OverSsh : public Rig {
 protected:
  void SetUp() override {
    if (!SshdServer::available()) K4T_SKIP_OR_FAIL("sshd is not installed, or this is not root");
    Rig::SetUp();
    if (IsSkipped()) return;
    server_.start();
    driver_ = open({{"host", server_.url()},
                    {"ssh", {{"identity", {server_.identity()}}, {"known_hosts", server_.known_hosts()}}}});
  }

  /// How many commands the machine was asked to run so far.
  [[nodiscard]] std::size_t commands() const {
    const std::string log = Scratch::read(server_.log());
    const std::string mark = "Starting session: ";
    std::size_t count = 0;
    for (auto at = log.find(mark); at != std::string::npos; at = log.find(mark, at + 1)) ++count;
    return count;
  }

  SshdServer server_{"LogLevel DEBUG1\n"};
};

TEST_F(OverSsh, AChangeGoesThroughAllVerbsAndIsServedAfterARestart) {
  EXPECT_EQ(Json(*observe()), Json(Observation{{}, {}, Content::clean, false, {}, {}}));
  const Register one = deploy(web({serve("one")}));
  EXPECT_EQ(request(port_, "app.example.net", "/").body, "one");
  EXPECT_EQ(Json(*observe()), Json(Observation{one, one, Content::clean, false, {}, {}}));

  const Register two = next();
  const auto state = web({serve("two")});
  const auto before = commands();
  ASSERT_GT(before, 0U);
  EXPECT_OK(prepare(one, two, state));
  EXPECT_EQ(commands(), before + 1) << "a prepare is one command";
  EXPECT_OK(commit(one, two));
  EXPECT_EQ(commands(), before + 2) << "a commit is one command, and a question to nginx";
  for (int i = 0; i < 2; ++i) EXPECT_OK(commit(one, two));
  nginx_.restart();
  EXPECT_EQ(request(port_, "app.example.net", "/").body, "two");
  EXPECT_EQ(Json(*observe()), Json(Observation{two, two, Content::clean, false, {}, {}}));
}

TEST_F(OverSsh, APortInTheWayIsRefusedAndAFailedReloadIsPutBack) {
  const Register one = deploy(web({serve("one")}));
  auto state = web({});
  state.listeners.push_back(state.listeners[0]);
  state.listeners[1].port = serve("foreign").port;
  const Register two = next();
  const auto refused = prepare(one, two, state);
  EXPECT_EQ(refused.status(), Status::invalid_argument);
  EXPECT_NE(text_of(refused).find("nginx (pid "), std::string::npos) << text_of(refused);
  EXPECT_TRUE(observe()->staged.empty()) << "what is refused is not staged";

  state.listeners[1].port = free_port();
  EXPECT_OK(prepare(one, two, state));
  NginxServer thief(scratch_, "thief");
  thief.set_http("server { listen 127.0.0.1:" + std::to_string(state.listeners[1].port) + "; return 418; }");
  thief.start();
  const auto outcome = commit(one, two);
  EXPECT_EQ(outcome.status(), Status::unavailable);
  EXPECT_NE(text_of(outcome).find("Address already in use"), std::string::npos) << text_of(outcome);
  EXPECT_EQ(Json(*observe()), Json(Observation{one, one, Content::clean, false, {two.txn}, {}}));
  EXPECT_EQ(request(port_, "app.example.net", "/").body, "one");
}

TEST_F(OverSsh, AMachineThatIsAwayIsUnavailableNeverBlank) {
  const Register one = deploy(web({serve("one")}));
  server_.kill();
  EXPECT_EQ(observe().status(), Status::unavailable);
  EXPECT_EQ(prepare(one, next(), web({})).status(), Status::unavailable);
  EXPECT_EQ(commit(one, next()).status(), Status::unavailable);
  EXPECT_EQ(request(port_, "app.example.net", "/").body, "one");
  server_.start();
  EXPECT_EQ(Json(*observe()), Json(Observation{one, one, Content::clean, false, {}, {}}));
}

}  // namespace
}  // namespace k4t::nginx::testing
