#include "bind_test.hpp"

/// The participant contract on a real named.

namespace k4t::dns_bind {
namespace {

using testing::BindServer;

class Life : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!BindServer::installed()) K4T_SKIP_OR_FAIL("BIND 9 with its tools is not installed");
    server_ = std::make_unique<BindServer>();
  }
  [[nodiscard]] std::string dig(const std::string& label, const std::string& type = "A") const {
    return server_->dig(label + "." + Handle::suffix, type);
  }
  std::unique_ptr<BindServer> server_;
  const Register one_ = at_version(1);
  const Register two_ = at_version(2, "run0.2");
};

TEST_F(Life, BlankIsObservedAndTheFirstCommitServes) {
  Handle handle(*server_);
  const auto blank = handle.observe();
  ASSERT_TRUE(blank) << blank.error().message << blank.error().detail;
  EXPECT_EQ(*blank, Observation{});
  const auto state = state_of({a_record("web", {"192.0.2.1", "192.0.2.2"}),
                               {"_http._tcp.web.k4t.example.net", dns::Type::srv, 5, {"0 0 80 web.k4t.example.net"}},
                               {"web.k4t.example.net", dns::Type::aaaa, 5, {"2001:db8::1"}}});
  ASSERT_TRUE(handle.prepare({}, one_, state));
  EXPECT_EQ(handle.observe()->staged, std::vector{one_.txn});
  EXPECT_EQ(dig("web"), "") << "a prepared state is not served";
  const auto committed = handle.commit({}, one_);
  ASSERT_TRUE(committed) << committed.error().message;
  EXPECT_NE(committed->evidence.find("3 changed record sets"), std::string::npos) << committed->evidence;
  EXPECT_EQ(dig("web"), "192.0.2.1\n192.0.2.2");
  EXPECT_EQ(dig("web", "AAAA"), "2001:db8::1");
  EXPECT_EQ(dig("_http._tcp.web", "SRV"), "0 0 80 web.k4t.example.net.");
  EXPECT_EQ(dig("_k4t", "TXT"), "\"1 test 1 " + one_.txn + " run0.1\"");
  EXPECT_EQ(dig("_k4t-try", "TXT"), "");
  EXPECT_EQ(*handle.observe(Expected<dns::State>{one_, state}),
            (Observation{one_, one_, Content::clean, false, {}, ""}));
}

TEST_F(Life, EveryVerbMayBeRepeated) {
  Handle handle(*server_);
  const auto state = state_of({a_record("web", {"192.0.2.1"})});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(handle.prepare({}, one_, state));
  EXPECT_EQ(handle.observe()->staged.size(), 1U);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(handle.commit({}, one_));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(handle.abort(one_.txn));
  Handle other(*server_);
  EXPECT_TRUE(other.commit({}, one_)) << "what is there already needs no stage";
  EXPECT_EQ(*other.observe(), *handle.observe());
  EXPECT_EQ(dig("web"), "192.0.2.1");
}

TEST_F(Life, AbortDeletesTheStageAndTouchesNothingElse) {
  Handle handle(*server_);
  ASSERT_TRUE(handle.prepare({}, one_, state_of({a_record("web", {"192.0.2.1"})})));
  EXPECT_EQ(dig("_k4t-try", "TXT"), "\"" + one_.txn + "\"");
  ASSERT_TRUE(handle.abort(two_.txn)) << "unknown txns are fine";
  EXPECT_EQ(dig("_k4t-try", "TXT"), "\"" + one_.txn + "\"");
  ASSERT_TRUE(handle.abort(one_.txn));
  EXPECT_EQ(dig("_k4t-try", "TXT"), "");
  EXPECT_EQ(handle.commit({}, one_).status(), Status::not_found);
  EXPECT_EQ(*handle.observe(), Observation{});
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

TEST_F(Life, AnotherRegisterThanSeenIsAConflictAndNothingChanges) {
  Handle handle(*server_);
  const auto state = state_of({a_record("web", {"192.0.2.1"})});
  handle.put({}, one_, state);
  EXPECT_EQ(handle.prepare({}, two_, state).status(), Status::conflict);
  EXPECT_EQ(handle.prepare(two_, two_, state).status(), Status::conflict);
  EXPECT_EQ(handle.prepare(at_version(1, "run0.9"), two_, state).status(), Status::conflict);
  ASSERT_TRUE(handle.prepare(one_, two_, state_of({a_record("web", {"192.0.2.7"})})));
  EXPECT_EQ(handle.commit({}, two_).status(), Status::conflict);
  EXPECT_EQ(handle.commit(at_version(1, "run0.9"), two_).status(), Status::conflict);
  EXPECT_EQ(handle.observe()->stored, one_);
  EXPECT_EQ(dig("web"), "192.0.2.1");
}

TEST_F(Life, ACommitWithoutStageIsNotFound) {
  Handle handle(*server_);
  EXPECT_EQ(handle.commit({}, one_).status(), Status::not_found);
  ASSERT_TRUE(handle.prepare({}, one_, state_of({})));
  Handle other(*server_);
  EXPECT_EQ(other.commit({}, one_).status(), Status::not_found);
}

TEST_F(Life, ARestartAndAPowerCutKeepWhatWasCommitted) {
  Handle handle(*server_);
  const auto state = state_of({a_record("web", {"192.0.2.1"})});
  handle.put({}, one_, state);
  server_->kill();
  EXPECT_EQ(handle.observe().status(), Status::unavailable);
  EXPECT_EQ(handle.prepare(one_, two_, state).status(), Status::unavailable);
  EXPECT_EQ(handle.commit(one_, two_).status(), Status::unavailable);
  EXPECT_EQ(handle.abort(two_.txn).status(), Status::unavailable);
  server_->start();
  EXPECT_EQ(handle.observe(Expected<dns::State>{one_, state})->content, Content::clean);
  server_->stop();
  server_->start();
  EXPECT_EQ(handle.observe(Expected<dns::State>{one_, state})->content, Content::clean);
  handle.put(one_, two_, state);
}

TEST_F(Life, TheTimeToLiveIsReplaced) {
  Handle handle(*server_);
  const auto ttl = [&] {
    const auto ran = testing::run({testing::find_program("dig"), "@127.0.0.1", "-p", std::to_string(server_->port()),
                                   "+tcp", "+noall", "+answer", "web.k4t.example.net", "A"});
    return ran.out;
  };
  handle.put({}, one_, state_of({a_record("web", {"192.0.2.1", "192.0.2.2"}, 300)}));
  EXPECT_NE(ttl().find("300"), std::string::npos) << ttl();
  handle.put(one_, two_, state_of({a_record("web", {"192.0.2.1", "192.0.2.2"}, 7)}));
  EXPECT_EQ(ttl().find("300"), std::string::npos) << ttl();
  const auto observed =
      handle.observe(Expected<dns::State>{two_, state_of({a_record("web", {"192.0.2.1", "192.0.2.2"}, 8)})});
  EXPECT_EQ(observed->content, Content::drifted) << "the TTL counts";
}

TEST_F(Life, TextsOfAllKindsComeBackAsTheyWere) {
  Handle handle(*server_);
  const std::vector<std::string> texts{"",
                                       "\"quoted\" and ; semicolons",
                                       "\\backslash\\ \\065",
                                       "%[fc_cli] ${HOME} $(id) `id` @ \t\n",
                                       "\xc3\xa4\xe2\x82\xac",
                                       std::string(255, 'x')};
  auto sorted = texts;
  std::sort(sorted.begin(), sorted.end());
  const auto state = state_of({{"web.k4t.example.net", dns::Type::txt, 5, sorted}});
  handle.put({}, one_, state);
  EXPECT_EQ(handle.observe(Expected<dns::State>{one_, state})->content, Content::clean);
  auto changed = sorted;
  changed[1] += "!";
  EXPECT_EQ(handle.observe(Expected<dns::State>{one_, state_of({{"web.k4t.example.net", dns::Type::txt, 5, changed}})})
                ->content,
            Content::drifted);
}

TEST_F(Life, AHandEditIsDriftAndIsRepaired) {
  Handle handle(*server_);
  const auto state = state_of({a_record("api", {"192.0.2.9"}), a_record("web", {"192.0.2.1"})});
  handle.put({}, one_, state);
  server_->update_by_hand({"update add web.k4t.example.net 60 A 198.51.100.1", "update delete api.k4t.example.net A",
                           "update add else.k4t.example.net 60 TXT mine",
                           "update add www.example.net 60 A 198.51.100.9"});
  const auto drifted = handle.observe(Expected<dns::State>{one_, state});
  ASSERT_TRUE(drifted);
  EXPECT_EQ(drifted->content, Content::drifted);
  EXPECT_EQ(drifted->detail,
            "missing api.k4t.example.net A, changed web.k4t.example.net A, foreign else.k4t.example.net TXT");
  const Register repaired = at_version(1, "run1.1");
  handle.put(one_, repaired, state);
  EXPECT_EQ(handle.observe(Expected<dns::State>{repaired, state})->content, Content::clean);
  EXPECT_EQ(dig("else", "TXT"), "");
  EXPECT_EQ(server_->dig("www.example.net", "A"), "198.51.100.9") << "outside the suffix nothing is touched";
}

TEST_F(Life, ADriftedMemberAtTheTargetIsNotCalledDone) {
  Handle handle(*server_);
  const auto state = state_of({a_record("web", {"192.0.2.1"})});
  handle.put({}, one_, state);
  server_->update_by_hand({"update delete web.k4t.example.net A"});
  EXPECT_EQ(handle.commit({}, one_).status(), Status::conflict);
}

TEST_F(Life, AForeignRegisterTextIsNeverTakenForBlank) {
  server_->update_by_hand({"update add _k4t.k4t.example.net 0 TXT hello"});
  Handle handle(*server_);
  EXPECT_EQ(handle.observe().status(), Status::invalid_argument);
  EXPECT_EQ(handle.prepare({}, one_, state_of({})).status(), Status::invalid_argument);
  server_->update_by_hand({"update add _k4t.k4t.example.net 0 TXT again"});
  EXPECT_EQ(handle.observe().status(), Status::invalid_argument);
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
  EXPECT_EQ(swap("z", std::string(256, 'x')), Status::invalid_argument);
  EXPECT_EQ(swap("z", {}), Status::ok);
  EXPECT_EQ(read()->text, std::nullopt);
  EXPECT_EQ(handle.call<dns::method::WitnessRead>({"example.net", "dns1"}).status(), Status::invalid_argument);
  EXPECT_EQ(handle.call<dns::method::WitnessRead>({Handle::suffix, "a.b"}).status(), Status::invalid_argument);
  server_->kill();
  EXPECT_EQ(read().status(), Status::unavailable);
  EXPECT_EQ(swap({}, "x"), Status::unavailable);
}

}  // namespace
}  // namespace k4t::dns_bind
