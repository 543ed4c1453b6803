#include "support/dns_proxy.hpp"
#include "windows_test.hpp"

/// The participant contract on a real Samba AD domain controller.

namespace k4t::dns_windows {
namespace {

namespace du = k4t::dnsupdate;
using Life = OnSamba;

TEST_F(Life, BlankIsObservedAndTheFirstCommitServes) {
  Handle handle(*server_);
  const auto blank = handle.observe();
  ASSERT_TRUE(blank) << blank.error().message << blank.error().detail;
  EXPECT_EQ(*blank, Observation{});
  const auto state = state_of({a_record("web", {"192.0.2.1", "192.0.2.2"}),
                               {"_http._tcp.web.k4t.example.net", dns::Type::srv, 5, {"0 0 80 web.k4t.example.net"}},
                               {"web.k4t.example.net", dns::Type::aaaa, 5, {"2001:db8::1"}},
                               {"web.k4t.example.net", dns::Type::txt, 5, {"hello"}}});
  const auto prepared = handle.prepare({}, one_, state);
  ASSERT_TRUE(prepared) << prepared.error().message << prepared.error().detail;
  EXPECT_EQ(handle.observe()->staged, std::vector{one_.txn});
  EXPECT_EQ(dig("web"), "") << "a prepared state is not served";
  const auto committed = handle.commit({}, one_);
  ASSERT_TRUE(committed) << committed.error().message << committed.error().detail;
  EXPECT_EQ(dig("web"), "192.0.2.1\n192.0.2.2");
  EXPECT_EQ(dig("web", "AAAA"), "2001:db8::1");
  EXPECT_EQ(dig("web", "TXT"), "\"hello\"");
  EXPECT_EQ(dig("_http._tcp.web", "SRV"), "0 0 80 web.k4t.example.net.");
  EXPECT_EQ(dig("_k4t", "TXT"), "\"1 test 1 " + one_.txn + " run0.1\"");
  EXPECT_EQ(dig("_k4t-try", "TXT"), "");
  const auto observed = handle.observe(Expected<dns::State>{one_, state});
  ASSERT_TRUE(observed);
  EXPECT_EQ(observed->stored, one_);
  EXPECT_EQ(observed->content, Content::clean) << observed->detail;
}

TEST_F(Life, ADifferenceIsSentAgainstTheBase) {
  Handle handle(*server_);
  const auto first =
      state_of({a_record("api", {"192.0.2.9"}), a_record("old", {"192.0.2.3"}), a_record("web", {"192.0.2.1"})});
  const auto second =
      state_of({a_record("api", {"192.0.2.9"}), a_record("new", {"192.0.2.4"}), a_record("web", {"192.0.2.2"})});
  handle.put({}, one_, first);
  ASSERT_TRUE(handle.prepare(one_, two_, second, first));
  const auto committed = handle.commit(one_, two_);
  ASSERT_TRUE(committed) << committed.error().message;
  EXPECT_NE(committed->evidence.find("3 changed record sets"), std::string::npos) << committed->evidence;
  EXPECT_EQ(dig("web"), "192.0.2.2");
  EXPECT_EQ(dig("new"), "192.0.2.4");
  EXPECT_EQ(dig("old"), "");
  EXPECT_EQ(handle.observe(Expected<dns::State>{two_, second})->content, Content::clean);
}

TEST_F(Life, AFullStateFromAStrangerRemovesWhatIsNoLongerWanted) {
  Handle(*server_).put({}, one_, state_of({a_record("api", {"192.0.2.9"}), a_record("old", {"192.0.2.3"})}));
  Handle stranger(*server_);
  stranger.put(one_, two_, web_);
  EXPECT_EQ(dig("api"), "");
  EXPECT_EQ(dig("old"), "");
  EXPECT_EQ(dig("web"), "192.0.2.1");
  const auto observed = Handle(*server_).observe(Expected<dns::State>{two_, web_});
  EXPECT_EQ(observed->content, Content::clean) << observed->detail;
}

TEST_F(Life, TheTimeToLiveIsReplaced) {
  Handle handle(*server_);
  handle.put({}, one_, state_of({a_record("web", {"192.0.2.1", "192.0.2.2"}, 7)}));
  const auto longer = state_of({a_record("web", {"192.0.2.1", "192.0.2.2"}, 300)});
  handle.put(one_, two_, longer);
  EXPECT_EQ(handle.observe(Expected<dns::State>{two_, longer})->content, Content::clean);
  EXPECT_EQ(
      handle.observe(Expected<dns::State>{two_, state_of({a_record("web", {"192.0.2.1", "192.0.2.2"}, 7)})})->content,
      Content::drifted);
}

TEST_F(Life, TextsOfAllKindsComeBackAsTheyWere) {
  Handle handle(*server_);
  std::vector<std::string> texts{"\"quoted\" and ; semicolons", "\\backslash\\ \\065",
                                 "%[fc_cli] ${HOME} $(id) `id` @ \t\n", "\xc3\xa4\xe2\x82\xac", std::string(255, 'x')};
  std::sort(texts.begin(), texts.end());
  const auto state = state_of({{"web.k4t.example.net", dns::Type::txt, 5, texts}});
  handle.put({}, one_, state);
  const auto observed = handle.observe(Expected<dns::State>{one_, state});
  EXPECT_EQ(observed->content, Content::clean) << observed->detail;
}

TEST_F(Life, AHandEditIsDriftAndIsRepaired) {
  Handle handle(*server_);
  const auto state = state_of({a_record("api", {"192.0.2.9"}), a_record("web", {"192.0.2.1"})});
  handle.put({}, one_, state);
  by_hand(*server_,
          {add("web.k4t.example.net", du::type::a, "198.51.100.1"), remove("api.k4t.example.net", du::type::a)});
  const auto drifted = handle.observe(Expected<dns::State>{one_, state});
  ASSERT_TRUE(drifted);
  EXPECT_EQ(drifted->content, Content::drifted);
  EXPECT_EQ(drifted->detail.find("missing api.k4t.example.net A, changed web.k4t.example.net A"), 0U)
      << drifted->detail;
  EXPECT_EQ(handle.commit({}, one_).status(), Status::conflict) << "a drifted member at the target is not called done";
  const Register repaired = at_version(1, "run1.1");
  handle.put(one_, repaired, state);
  EXPECT_EQ(handle.observe(Expected<dns::State>{repaired, state})->content, Content::clean);
  EXPECT_EQ(dig("web"), "192.0.2.1");
}

TEST_F(Life, WhatExistedBeforeIsNeitherTakenNorDeleted) {
  by_hand(*server_, {add("web.k4t.example.net", du::type::a, "198.51.100.1"),
                     add("alias.k4t.example.net", du::type::cname, "mine.example.net")});
  Handle handle(*server_);
  const auto taken = handle.prepare({}, one_, web_);
  ASSERT_EQ(taken.status(), Status::invalid_argument);
  EXPECT_NE(taken.error().message.find("web.k4t.example.net A already exists"), std::string::npos);
  EXPECT_EQ(handle.prepare({}, one_, state_of({a_record("alias", {"192.0.2.1"})})).status(), Status::invalid_argument);
  handle.put({}, one_, state_of({a_record("new", {"192.0.2.1"})}));
  EXPECT_EQ(dig("web"), "198.51.100.1");
}

TEST_F(Life, ARecordThatAppearsAfterPrepareStopsTheFirstCommit) {
  Handle handle(*server_);
  ASSERT_TRUE(handle.prepare({}, one_, state_of({a_record("api", {"192.0.2.1"}), a_record("web", {"192.0.2.1"})})));
  by_hand(*server_, {add("web.k4t.example.net", du::type::cname, "www.example.net")});
  const auto committed = handle.commit({}, one_);
  ASSERT_EQ(committed.status(), Status::invalid_argument) << committed.error().message;
  EXPECT_EQ(dig("api"), "") << "all or nothing";
  EXPECT_EQ(handle.observe()->stored, std::nullopt);
}

TEST_F(Life, ACnameInOurWayIsReplacedAndNotSilentlyObeyed) {
  Handle handle(*server_);
  handle.put({}, one_, state_of({}));
  by_hand(*server_, {add("web.k4t.example.net", du::type::cname, "www.example.net")});
  handle.put(one_, two_, web_, state_of({}));
  EXPECT_EQ(dig("web"), "192.0.2.1");
  EXPECT_EQ(handle.observe(Expected<dns::State>{two_, web_})->content, Content::clean);
}

TEST_F(Life, AnotherZoneThanTheServersIsNeverBlank) {
  Handle too_deep(*server_, {{"zone", "k4t.example.net"}});
  const auto outcome = too_deep.observe();
  ASSERT_EQ(outcome.status(), Status::invalid_argument);
  EXPECT_NE(outcome.error().message.find("zone example.net"), std::string::npos) << outcome.error().message;
}

TEST_F(Life, ARecordSetTooLargeForOneUpdateIsRefusedByName) {
  Handle handle(*server_);
  std::vector<std::string> texts;
  for (int i = 0; i < 60; ++i) texts.push_back(std::to_string(1000 + i) + std::string(250, 't'));
  const auto refused = handle.prepare({}, one_, state_of({{"big.k4t.example.net", dns::Type::txt, 5, texts}}));
  ASSERT_EQ(refused.status(), Status::invalid_argument);
  EXPECT_NE(refused.error().message.find("big.k4t.example.net TXT"), std::string::npos) << refused.error().message;
  EXPECT_EQ(dig("_k4t-try", "TXT"), "");
}

TEST_F(Life, ARestartAndAPowerCutKeepWhatWasCommitted) {
  Handle handle(*server_);
  handle.put({}, one_, web_);
  server_->kill();
  EXPECT_EQ(handle.observe().status(), Status::unavailable);
  EXPECT_EQ(handle.prepare(one_, two_, web_).status(), Status::unavailable);
  EXPECT_EQ(handle.commit(one_, two_).status(), Status::unavailable);
  EXPECT_EQ(handle.abort(two_.txn).status(), Status::unavailable);
  const auto nobody = Handle(*server_).observe();
  EXPECT_EQ(nobody.status(), Status::unavailable) << "no Kerberos server answers either";
  server_->start();
  EXPECT_EQ(handle.observe(Expected<dns::State>{one_, web_})->content, Content::clean);
  server_->stop();
  server_->start();
  EXPECT_EQ(handle.observe(Expected<dns::State>{one_, web_})->content, Content::clean);
  handle.put(one_, two_, web_);
}

TEST_F(Life, ForgedAnswersCountForNothing) {
  Handle(*server_).put({}, one_, web_);
  std::atomic<bool> forge = false;
  const testing::DnsProxy proxy(server_->port(), [&](bool, std::string& answer) {
    if (forge) answer[3] = static_cast<char>((answer[3] & 0xf0) | 3);  // NXDOMAIN
    return true;
  });
  Handle handle(*server_, {{"port", proxy.port()}});
  ASSERT_EQ(handle.observe()->stored, one_);
  forge = true;
  EXPECT_EQ(handle.observe().status(), Status::unavailable);
  EXPECT_EQ(handle.prepare({}, one_, state_of({})).status(), Status::unavailable);
}

TEST_F(Life, AnAnswerWithoutItsSignatureCountsForNothing) {
  std::atomic<bool> strip = false;
  const testing::DnsProxy proxy(server_->port(), [&](bool, std::string& answer) {
    if (strip) answer[11] = 0;  // no additional records any more
    return true;
  });
  Handle handle(*server_, {{"port", proxy.port()}});
  ASSERT_TRUE(handle.observe());
  strip = true;
  EXPECT_EQ(handle.observe().status(), Status::unavailable);
}

TEST_F(Life, AWitnessRegisterIsComparedAndSwapped) {
  Handle handle(*server_);
  const auto read = [&] { return handle.call<dns::method::WitnessRead>({Handle::suffix, "dns1"}); };
  const auto swap = [&](std::optional<std::string> expected, std::optional<std::string> text) {
    return handle.call<dns::method::WitnessSwap>({Handle::suffix, "dns1", std::move(expected), std::move(text)})
        .status();
  };
  EXPECT_EQ(read()->text, std::nullopt);
  EXPECT_EQ(swap("wrong", "x"), Status::conflict);
  EXPECT_EQ(swap({}, "1 test 7 \"quoted\\\""), Status::ok);
  EXPECT_EQ(read()->text, "1 test 7 \"quoted\\\"");
  EXPECT_EQ(swap({}, "y"), Status::conflict);
  EXPECT_EQ(swap("1 test 7 \"quoted\\\"", "z"), Status::ok);
  EXPECT_EQ(swap("z", {}), Status::ok);
  EXPECT_EQ(read()->text, std::nullopt);
}

}  // namespace
}  // namespace k4t::dns_windows
