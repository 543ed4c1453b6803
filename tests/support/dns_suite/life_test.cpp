#include "support/dns_proxy.hpp"
#include "support/dns_suite/dns_suite.hpp"

/// The verbs, one after the other.

namespace k4t::testing {

namespace du = k4t::dnsupdate;

du::Change add(const std::string& name, std::uint16_t type, const std::string& value, std::uint32_t ttl_s) {
  return {du::Change::Kind::add, name, type, ttl_s, *du::make_rdata(type, value)};
}

du::Change remove(const std::string& name, std::uint16_t type) {
  return {du::Change::Kind::delete_rrset, name, type, 0, {}};
}

namespace {

using Life = DnsSuite;

TEST_F(Life, BlankIsObservedAndTheFirstCommitServes) {
  auto handle = server_->open();
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
  EXPECT_NE(committed->evidence.find("4 changed record sets"), std::string::npos) << committed->evidence;
  EXPECT_EQ(dig("web"), "192.0.2.1\n192.0.2.2");
  EXPECT_EQ(dig("web", "AAAA"), "2001:db8::1");
  EXPECT_EQ(dig("web", "TXT"), "\"hello\"");
  EXPECT_EQ(dig("_http._tcp.web", "SRV"), "0 0 80 web.k4t.example.net.");
  EXPECT_EQ(dig("_k4t", "TXT"), "\"1 test 1 " + one_.txn + " run0.1\"");
  EXPECT_EQ(dig("_k4t-try", "TXT"), "");
  auto observed = handle.observe(Expected<dns::State>{one_, state});
  ASSERT_TRUE(observed);
  if (server_->traits().transfers) {
    EXPECT_EQ(observed->detail, "");
  }
  observed->detail.clear();
  EXPECT_EQ(*observed, (Observation{one_, one_, Content::clean, false, {}, ""}));
}

TEST_F(Life, EveryVerbMayBeRepeated) {
  auto handle = server_->open();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(handle.prepare({}, one_, web_));
  EXPECT_EQ(handle.observe()->staged.size(), 1U);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(handle.commit({}, one_));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(handle.abort(one_.txn));
  auto other = server_->open();
  EXPECT_TRUE(other.commit({}, one_)) << "what is there already needs no stage";
  EXPECT_EQ(*other.observe(), *handle.observe());
  EXPECT_EQ(dig("web"), "192.0.2.1");
}

TEST_F(Life, AbortDeletesTheStageAndTouchesNothingElse) {
  auto handle = server_->open();
  ASSERT_TRUE(handle.prepare({}, one_, web_));
  EXPECT_EQ(dig("_k4t-try", "TXT"), "\"" + one_.txn + "\"");
  ASSERT_TRUE(handle.abort(two_.txn)) << "unknown txns are fine";
  EXPECT_EQ(dig("_k4t-try", "TXT"), "\"" + one_.txn + "\"");
  ASSERT_TRUE(handle.abort(one_.txn));
  EXPECT_EQ(dig("_k4t-try", "TXT"), "");
  EXPECT_EQ(handle.commit({}, one_).status(), Status::not_found);
  EXPECT_EQ(*handle.observe(), Observation{});
}

TEST_F(Life, ADifferenceIsSentAgainstTheBase) {
  auto handle = server_->open();
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
  server_->open().put({}, one_, state_of({a_record("api", {"192.0.2.9"}), a_record("old", {"192.0.2.3"})}));
  server_->open().put(one_, two_, web_);
  EXPECT_EQ(dig("api"), "");
  EXPECT_EQ(dig("old"), "");
  EXPECT_EQ(dig("web"), "192.0.2.1");
  const auto observed = server_->open().observe(Expected<dns::State>{two_, web_});
  EXPECT_EQ(observed->content, Content::clean) << observed->detail;
}

TEST_F(Life, AnotherRegisterThanSeenIsAConflictAndNothingChanges) {
  auto handle = server_->open();
  handle.put({}, one_, web_);
  EXPECT_EQ(handle.prepare({}, two_, web_).status(), Status::conflict);
  EXPECT_EQ(handle.prepare(two_, two_, web_).status(), Status::conflict);
  EXPECT_EQ(handle.prepare(at_version(1, "run0.9"), two_, web_).status(), Status::conflict);
  ASSERT_TRUE(handle.prepare(one_, two_, state_of({a_record("web", {"192.0.2.7"})})));
  EXPECT_EQ(handle.commit({}, two_).status(), Status::conflict);
  EXPECT_EQ(handle.commit(at_version(1, "run0.9"), two_).status(), Status::conflict);
  EXPECT_EQ(handle.observe()->stored, one_);
  EXPECT_EQ(dig("web"), "192.0.2.1");
}

TEST_F(Life, ACommitWithoutStageIsNotFound) {
  auto handle = server_->open();
  EXPECT_EQ(handle.commit({}, one_).status(), Status::not_found);
  ASSERT_TRUE(handle.prepare({}, one_, state_of({})));
  EXPECT_EQ(server_->open().commit({}, one_).status(), Status::not_found);
}

TEST_F(Life, ARestartAndAPowerCutKeepWhatWasCommitted) {
  auto handle = server_->open();
  handle.put({}, one_, web_);
  server_->kill();
  EXPECT_EQ(handle.observe().status(), Status::unavailable);
  EXPECT_EQ(handle.prepare(one_, two_, web_).status(), Status::unavailable);
  EXPECT_EQ(handle.commit(one_, two_).status(), Status::unavailable);
  EXPECT_EQ(handle.abort(two_.txn).status(), Status::unavailable);
  EXPECT_EQ(handle.call<dns::method::WitnessRead>({DnsHandle::suffix, "dns1"}).status(), Status::unavailable);
  EXPECT_EQ(handle.call<dns::method::WitnessSwap>({DnsHandle::suffix, "dns1", {}, "x"}).status(), Status::unavailable);
  EXPECT_EQ(server_->open().observe().status(), Status::unavailable);
  server_->start();
  EXPECT_EQ(handle.observe(Expected<dns::State>{one_, web_})->content, Content::clean);
  server_->stop();
  server_->start();
  EXPECT_EQ(handle.observe(Expected<dns::State>{one_, web_})->content, Content::clean);
  handle.put(one_, two_, web_);
}

TEST_F(Life, TheTimeToLiveIsReplaced) {
  auto handle = server_->open();
  const auto lasting = [](std::uint32_t ttl_s) {
    return state_of({a_record("web", {"192.0.2.1", "192.0.2.2"}, ttl_s)});
  };
  handle.put({}, one_, lasting(7));
  handle.put(one_, two_, lasting(300));
  EXPECT_EQ(handle.observe(Expected<dns::State>{two_, lasting(300)})->content, Content::clean);
  EXPECT_EQ(handle.observe(Expected<dns::State>{two_, lasting(7)})->content, Content::drifted) << "the TTL counts";
  const auto three = at_version(3, "run0.3");
  handle.put(two_, three, lasting(6));
  EXPECT_EQ(handle.observe(Expected<dns::State>{three, lasting(6)})->content, Content::clean);
}

TEST_F(Life, TextsOfAllKindsComeBackAsTheyWere) {
  auto handle = server_->open();
  std::vector<std::string> texts{"\"quoted\" and ; semicolons", "\\backslash\\ \\065",
                                 "%[fc_cli] ${HOME} $(id) `id` @ \t\n", "\xc3\xa4\xe2\x82\xac", std::string(255, 'x')};
  if (server_->traits().empty_texts) texts.emplace_back();
  std::sort(texts.begin(), texts.end());
  const auto state = state_of({{"web.k4t.example.net", dns::Type::txt, 5, texts}});
  handle.put({}, one_, state);
  const auto observed = handle.observe(Expected<dns::State>{one_, state});
  EXPECT_EQ(observed->content, Content::clean) << observed->detail;
  texts[1] += "!";
  EXPECT_EQ(handle.observe(Expected<dns::State>{one_, state_of({{"web.k4t.example.net", dns::Type::txt, 5, texts}})})
                ->content,
            Content::drifted);
}

TEST_F(Life, AHandEditIsDriftAndIsRepaired) {
  auto handle = server_->open();
  const auto state = state_of({a_record("api", {"192.0.2.9"}), a_record("web", {"192.0.2.1"})});
  handle.put({}, one_, state);
  server_->by_hand({add("web.k4t.example.net", du::type::a, "198.51.100.1"), remove("api.k4t.example.net", du::type::a),
                    add("else.k4t.example.net", du::type::txt, "mine"),
                    add("www.example.net", du::type::a, "198.51.100.9")});
  const auto drifted = handle.observe(Expected<dns::State>{one_, state});
  ASSERT_TRUE(drifted);
  EXPECT_EQ(drifted->content, Content::drifted);
  const std::string known = "missing api.k4t.example.net A, changed web.k4t.example.net A";
  if (server_->traits().transfers) {
    EXPECT_EQ(drifted->detail, known + ", foreign else.k4t.example.net TXT");
  } else {
    EXPECT_EQ(drifted->detail.find(known), 0U) << drifted->detail;
  }
  const Register repaired = at_version(1, "run1.1");
  handle.put(one_, repaired, state);
  EXPECT_EQ(handle.observe(Expected<dns::State>{repaired, state})->content, Content::clean);
  EXPECT_EQ(dig("web"), "192.0.2.1");
  EXPECT_EQ(dig("else", "TXT"), server_->traits().transfers ? "" : "\"mine\"");
  EXPECT_EQ(server_->dig("www.example.net", "A"), "198.51.100.9") << "outside the suffix nothing is touched";
}

TEST_F(Life, ADriftedMemberAtTheTargetIsNotCalledDone) {
  auto handle = server_->open();
  handle.put({}, one_, web_);
  server_->by_hand({remove("web.k4t.example.net", du::type::a)});
  EXPECT_EQ(handle.commit({}, one_).status(), Status::conflict);
}

TEST_F(Life, AForeignRegisterTextIsNeverTakenForBlank) {
  server_->by_hand({add("_k4t.k4t.example.net", du::type::txt, "hello", 0)});
  auto handle = server_->open();
  EXPECT_EQ(handle.observe().status(), Status::invalid_argument);
  EXPECT_EQ(handle.prepare({}, one_, state_of({})).status(), Status::invalid_argument);
  server_->by_hand({add("_k4t.k4t.example.net", du::type::txt, "again", 0)});
  EXPECT_EQ(handle.observe().status(), Status::invalid_argument);
}

TEST_F(Life, WhatExistedBeforeIsNeitherTakenNorDeleted) {
  server_->by_hand({add("web.k4t.example.net", du::type::a, "198.51.100.1"),
                    add("alias.k4t.example.net", du::type::cname, "mine.example.net")});
  auto handle = server_->open();
  const auto taken = handle.prepare({}, one_, web_);
  ASSERT_EQ(taken.status(), Status::invalid_argument);
  EXPECT_NE(taken.error().message.find("web.k4t.example.net A already exists"), std::string::npos);
  EXPECT_EQ(handle.prepare({}, one_, state_of({a_record("alias", {"192.0.2.1"})})).status(), Status::invalid_argument);
  handle.put({}, one_, state_of({a_record("new", {"192.0.2.1"})}));
  EXPECT_EQ(dig("web"), "198.51.100.1");
}

TEST_F(Life, ARecordThatAppearsAfterPrepareStopsTheFirstCommit) {
  auto handle = server_->open();
  ASSERT_TRUE(handle.prepare({}, one_, state_of({a_record("api", {"192.0.2.1"}), a_record("web", {"192.0.2.1"})})));
  server_->by_hand({add("web.k4t.example.net", du::type::cname, "www.example.net")});
  const auto committed = handle.commit({}, one_);
  ASSERT_EQ(committed.status(), Status::invalid_argument) << committed.error().message;
  EXPECT_NE(committed.error().message.find("web.k4t.example.net CNAME"), std::string::npos);
  EXPECT_EQ(dig("api"), "") << "all or nothing";
  EXPECT_EQ(*handle.observe(), (Observation{{}, {}, Content::unknown, false, {one_.txn}, ""}));
}

TEST_F(Life, ACnameInOurWayIsReplacedAndNotSilentlyObeyed) {
  auto handle = server_->open();
  handle.put({}, one_, state_of({}));
  server_->by_hand({add("web.k4t.example.net", du::type::cname, "www.example.net")});
  handle.put(one_, two_, web_, state_of({}));
  EXPECT_EQ(dig("web"), "192.0.2.1");
  EXPECT_EQ(handle.observe(Expected<dns::State>{two_, web_})->content, Content::clean);
}

TEST_F(Life, AForgedAnswerCountsForNothing) {
  server_->open().put({}, one_, web_);
  std::atomic<bool> forge = false;
  const DnsProxy proxy(server_->port(), [&](bool, std::string& answer) {
    if (forge) answer[3] = static_cast<char>((answer[3] & 0xf0) | 3);  // NXDOMAIN
    return true;
  });
  auto handle = server_->open({{"port", proxy.port()}});
  ASSERT_EQ(handle.observe()->stored, one_);
  forge = true;
  EXPECT_EQ(handle.observe().status(), Status::unavailable);
  EXPECT_EQ(handle.prepare({}, one_, state_of({})).status(), Status::unavailable);
}

TEST_F(Life, AnAnswerWithoutItsSignatureCountsForNothing) {
  std::atomic<bool> strip = false;
  const DnsProxy proxy(server_->port(), [&](bool, std::string& answer) {
    if (strip) answer[11] = 0;  // no additional records any more
    return true;
  });
  auto handle = server_->open({{"port", proxy.port()}});
  ASSERT_TRUE(handle.observe());
  strip = true;
  EXPECT_EQ(handle.observe().status(), Status::unavailable);
}

TEST_F(Life, AWitnessRegisterIsComparedAndSwapped) {
  auto handle = server_->open();
  const auto read = [&] { return handle.call<dns::method::WitnessRead>({DnsHandle::suffix, "dns1"}); };
  const auto swap = [&](std::optional<std::string> expected, std::optional<std::string> text) {
    return handle.call<dns::method::WitnessSwap>({DnsHandle::suffix, "dns1", std::move(expected), std::move(text)})
        .status();
  };
  EXPECT_EQ(read()->text, std::nullopt);
  EXPECT_EQ(swap("wrong", "x"), Status::conflict);
  EXPECT_EQ(swap({}, "1 test 7 \"quoted\\\""), Status::ok);
  EXPECT_EQ(read()->text, "1 test 7 \"quoted\\\"");
  EXPECT_EQ(swap({}, "y"), Status::conflict);
  EXPECT_EQ(swap("1 test 7 \"quoted\\\"", "z"), Status::ok);
  EXPECT_EQ(swap("z", std::string(256, 'x')), Status::invalid_argument);
  EXPECT_EQ(swap("z", {}), Status::ok);
  EXPECT_EQ(read()->text, std::nullopt);
  EXPECT_EQ(handle.call<dns::method::WitnessRead>({"example.net", "dns1"}).status(), Status::invalid_argument);
  EXPECT_EQ(handle.call<dns::method::WitnessRead>({DnsHandle::suffix, "a.b"}).status(), Status::invalid_argument);
}

}  // namespace
}  // namespace k4t::testing
