#include "bind_test.hpp"

/// What is not k4t's to change, and servers that do not let it, on a real named.

namespace k4t::dns_bind {
namespace {

using testing::BindOptions;
using testing::BindServer;

class Borders : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!BindServer::installed()) K4T_SKIP_OR_FAIL("BIND 9 with its tools is not installed");
  }
  void serve(const BindOptions& options = {}) { server_ = std::make_unique<BindServer>(options); }
  [[nodiscard]] Handle with_key(const std::string& file) const { return Handle(*server_, {{"key_file", file}}); }
  [[nodiscard]] std::string dig(const std::string& label, const std::string& type = "A") const {
    return server_->dig(label + "." + Handle::suffix, type);
  }
  std::unique_ptr<BindServer> server_;
  const Register one_ = at_version(1);
  const Register two_ = at_version(2, "run0.2");
  const dns::State web_ = state_of({a_record("web", {"192.0.2.1"})});
};

TEST_F(Borders, KeysThatTheServerDoesNotAcceptAreExplained) {
  serve();
  const auto why = [&](const std::string& file) {
    Handle handle = with_key(file);
    const auto outcome = handle.prepare({}, one_, web_);
    EXPECT_EQ(outcome.status(), Status::invalid_argument);
    return outcome ? "" : outcome.error().message;
  };
  EXPECT_NE(why(server_->wrong_file()).find("another secret"), std::string::npos);
  EXPECT_NE(why(server_->unknown_file()).find("does not know the TSIG key 'unknown-key'"), std::string::npos);
  EXPECT_NE(why(server_->reader_file()).find("update-policy or allow-update"), std::string::npos);
  Handle keyless(server_->address(), server_->port(), Json::object());
  EXPECT_EQ(*keyless.observe(), Observation{}) << "reading needs no key here";
  EXPECT_EQ(keyless.prepare({}, one_, web_).status(), Status::invalid_argument);
  EXPECT_EQ(dig("_k4t", "TXT"), "");
  with_key(server_->admin_file()).put({}, one_, web_);
}

TEST_F(Borders, AnotherZoneThanTheServersIsNeverBlank) {
  serve();
  Handle too_deep(*server_, {{"zone", "k4t.example.net"}});
  const auto outcome = too_deep.observe();
  ASSERT_EQ(outcome.status(), Status::invalid_argument);
  EXPECT_NE(outcome.error().message.find("zone example.net"), std::string::npos) << outcome.error().message;
  EXPECT_EQ(too_deep.prepare({}, one_, web_).status(), Status::invalid_argument);
  EXPECT_THROW(Handle(*server_, {{"zone", "example.org"}}), std::runtime_error);
  serve({"example.org", {}, true, "zonesub"});
  EXPECT_EQ(Handle(*server_).observe().status(), Status::invalid_argument);
}

TEST_F(Borders, AZoneOfItsOwnKeepsItsServers) {
  serve({"k4t.example.net", {}, true, "zonesub"});
  Handle handle(*server_, {{"zone", "k4t.example.net"}});
  handle.put({}, one_, web_);
  EXPECT_EQ(handle.observe(Expected<dns::State>{one_, web_})->content, Content::clean);
  handle.put(one_, two_, state_of({}));
  EXPECT_EQ(dig("ns1"), "127.0.0.1");
  EXPECT_EQ(server_->dig("k4t.example.net", "NS"), "ns1.k4t.example.net.");
  const auto taken = handle.prepare(two_, at_version(3), state_of({a_record("ns1", {"192.0.2.1"})}), state_of({}));
  EXPECT_EQ(taken.status(), Status::invalid_argument);
}

TEST_F(Borders, WhatExistedBeforeIsDriftOnceTheDomainIsOurs) {
  serve({"example.net",
         {"web.k4t A 198.51.100.1", "old.k4t A 198.51.100.2", "alias.k4t CNAME old.k4t"},
         true,
         "zonesub"});
  Handle handle(*server_);
  const auto state = state_of({a_record("new", {"192.0.2.1"})});
  handle.put({}, one_, state);
  EXPECT_EQ(dig("web"), "198.51.100.1");
  const auto observed = handle.observe(Expected<dns::State>{one_, state});
  EXPECT_EQ(observed->content, Content::drifted);
  EXPECT_NE(observed->detail.find("foreign web.k4t.example.net A"), std::string::npos) << observed->detail;
  handle.put(one_, at_version(1, "run1.1"), state);
  EXPECT_EQ(dig("web"), "") << "once the suffix is k4t's, a repair removes what is not";
}

TEST_F(Borders, DelegatedNamesAndOtherClustersAreLeftAlone) {
  serve({"example.net",
         {"sub.k4t NS ns.example.org.", "_k4t.b.k4t TXT \"1 b 1 x y\"", "web.b.k4t A 198.51.100.1"},
         true,
         "zonesub"});
  Handle handle(*server_);
  handle.put({}, one_, web_);
  EXPECT_EQ(handle.observe(Expected<dns::State>{one_, web_})->content, Content::clean);
  for (const std::string label : {"x.sub", "sub", "web.b"}) {
    const auto state = state_of({a_record(label, {"192.0.2.1"})});
    EXPECT_EQ(handle.prepare(one_, two_, state).status(), Status::invalid_argument) << label;
  }
  const auto below = state_of({a_record("x.sub", {"192.0.2.1"}), a_record("web", {"192.0.2.1"})});
  EXPECT_EQ(handle.prepare(one_, two_, below, web_).status(), Status::invalid_argument);
  handle.put(one_, two_, state_of({}));
  EXPECT_EQ(dig("web.b"), "198.51.100.1");
}

TEST_F(Borders, ADelegatedNameIsFoundAmongManyNewOnes) {
  for (const bool transfer : {true, false}) {
    serve({"example.net", {"sub.k4t NS ns.example.org."}, transfer, "zonesub"});
    Handle handle(*server_);
    handle.put({}, one_, web_);
    std::vector<dns::RecordSet> records = web_.records;
    for (int i = 0; i < 150; ++i) records.push_back(a_record("h" + std::to_string(1000 + i), {"192.0.2.2"}));
    EXPECT_TRUE(handle.prepare(one_, two_, state_of(records), web_)) << transfer;
    records.push_back(a_record("x.sub", {"192.0.2.2"}));
    EXPECT_EQ(handle.prepare(one_, two_, state_of(records), web_).status(), Status::invalid_argument) << transfer;
  }
}

TEST_F(Borders, WithoutTransferKnowledgeIsPartialAndSaysSo) {
  serve({"example.net", {}, false, "zonesub"});
  Handle handle(*server_);
  handle.put({}, one_, web_);
  const auto clean = handle.observe(Expected<dns::State>{one_, web_});
  EXPECT_EQ(clean->content, Content::clean);
  EXPECT_NE(clean->detail.find("does not allow the configured key to transfer"), std::string::npos);
  const auto both = state_of({a_record("api", {"192.0.2.2"}), a_record("web", {"192.0.2.1"})});
  handle.put(one_, two_, both, web_);
  server_->update_by_hand({"update delete api.k4t.example.net A"});
  EXPECT_EQ(handle.observe(Expected<dns::State>{two_, both})->content, Content::drifted);
  const Register repaired = at_version(2, "run1.1");
  handle.put(two_, repaired, both);
  EXPECT_EQ(dig("api"), "192.0.2.2");
  // A handle that knows neither base nor expectation cannot know what to delete.
  Handle stranger(*server_);
  const auto blind = stranger.prepare(repaired, at_version(3), web_);
  ASSERT_EQ(blind.status(), Status::unavailable);
  EXPECT_NE(blind.error().message.find("allow-transfer"), std::string::npos);
}

TEST_F(Borders, AStateThatCannotBeServedChangesNothing) {
  serve();
  Handle handle(*server_);
  std::vector<std::string> many;
  for (int i = 0; i < 101; ++i) many.push_back("192.0.2." + std::to_string(i));
  for (const auto& set : {a_record("-web", {"192.0.2.1"}), a_record("*", {"192.0.2.1"}), a_record("web", many),
                          a_record(std::string(64, 'a'), {"192.0.2.1"})}) {
    EXPECT_EQ(handle.prepare({}, one_, state_of({set})).status(), Status::invalid_argument) << set.name;
  }
  EXPECT_EQ(handle.prepare({}, one_, {"example.net", {}}).status(), Status::invalid_argument);
  EXPECT_EQ(*handle.observe(), Observation{});
  EXPECT_EQ(dig("_k4t-try", "TXT"), "");
}

TEST_F(Borders, AKeyThatIsGrantedTheDomainAloneIsEnough) {
  serve({"example.net", {}, true, "subdomain k4t.example.net."});
  Handle handle(*server_);
  handle.put({}, one_, web_);
  handle.put(one_, two_, state_of({}), web_);
  EXPECT_EQ(handle.observe(Expected<dns::State>{two_, state_of({})})->content, Content::clean);
}

TEST_F(Borders, OptionsAreCheckedWhenOpened) {
  serve();
  EXPECT_THROW(Handle(*server_, {{"key_file", "/nonexistent.key"}}), std::runtime_error);
  EXPECT_THROW(Handle(*server_, {{"timeout_ms", "soon"}}), std::runtime_error);
}

}  // namespace
}  // namespace k4t::dns_bind
