#include <barrier>
#include <thread>

#include "bind_test.hpp"
#include "support/dns_proxy.hpp"

/// Large commits, deaths in their midst, and several masters at once, on a real named.

namespace k4t::dns_bind {
namespace {

using testing::BindServer;
using testing::DnsProxy;

constexpr int small_message_bytes = 12288;

class Chunks : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!BindServer::installed()) K4T_SKIP_OR_FAIL("BIND 9 with its tools is not installed");
    server_ = std::make_unique<BindServer>();
  }
  [[nodiscard]] Handle open_handle() const { return Handle(*server_, {{"message_limit_bytes", small_message_bytes}}); }
  std::unique_ptr<BindServer> server_;
};

TEST_F(Chunks, ACommitKilledAfterAnyMessageIsFinishedByAnotherProcess) {
  Register now = at_version(1);
  open_handle().put({}, now, large_state(1));
  std::uint64_t total = 2;
  for (std::uint64_t killed_after = 1; killed_after <= total; ++killed_after) {
    const auto version = now.version + 1;
    const auto state = large_state(version);
    const auto target = at_version(version, "first.1");
    {
      Handle dying = open_handle();
      ASSERT_TRUE(dying.prepare(now, target, state, large_state(now.version)));
      DiesAfter death(static_cast<int>(killed_after));
      const auto outcome = dying.commit(now, target, &death);
      ASSERT_EQ(outcome.status(), Status::deadline);
      total = death.total;
    }
    Handle next = open_handle();
    const auto half = next.observe();
    ASSERT_TRUE(half);
    ASSERT_EQ(half->stored, target);
    ASSERT_EQ(half->half, killed_after < total);
    ASSERT_NO_FATAL_FAILURE(next.put(target, at_version(version, "second.1"), state));
    // Where all messages had arrived, there was nothing left to write.
    now = at_version(version, killed_after < total ? "second.1" : "first.1");
    const auto after = next.observe(Expected<dns::State>{now, state});
    ASSERT_EQ(after->content, Content::clean) << after->detail;
    ASSERT_FALSE(after->half);
  }
  EXPECT_GT(total, 10U);
}

TEST_F(Chunks, OldNamesAnswerUntilTheNewOnesDo) {
  Register now = at_version(1);
  open_handle().put({}, now, large_state(1));
  const auto target = at_version(2, "first.1");
  Handle dying = open_handle();
  ASSERT_TRUE(dying.prepare(now, target, large_state(2), large_state(1)));
  DiesAfter death(3);
  ASSERT_EQ(dying.commit(now, target, &death).status(), Status::deadline);
  EXPECT_EQ(server_->dig("h1000.k4t.example.net", "A"), "192.0.2.2");
  EXPECT_EQ(server_->dig("y1001.k4t.example.net", "A"), "192.0.2.1");
  EXPECT_NE(server_->dig("_k4t.k4t.example.net", "TXT").find(" first.1 from=1 chunk=3"), std::string::npos);
}

TEST_F(Chunks, AnOpenCommitMayBePassedOverByALaterVersion) {
  Register now = at_version(1);
  open_handle().put({}, now, large_state(1));
  Handle dying = open_handle();
  const auto second = at_version(2, "first.1");
  ASSERT_TRUE(dying.prepare(now, second, large_state(2), large_state(1)));
  DiesAfter death(4);
  ASSERT_EQ(dying.commit(now, second, &death).status(), Status::deadline);
  const auto third = at_version(3, "second.1");
  Handle next = open_handle();
  next.put(second, third, large_state(3));
  EXPECT_EQ(next.observe(Expected<dns::State>{third, large_state(3)})->content, Content::clean);
  EXPECT_EQ(dying.commit(now, second).status(), Status::conflict) << "the one that was passed over stays behind";
}

TEST_F(Chunks, AFirstCommitKilledHalfwayDeletesNothingWhenResumed) {
  server_->update_by_hand({"update add mine.k4t.example.net 60 A 198.51.100.1"});
  const auto one = at_version(1, "first.1");
  Handle dying = open_handle();
  ASSERT_TRUE(dying.prepare({}, one, large_state(1)));
  DiesAfter death(2);
  ASSERT_EQ(dying.commit({}, one, &death).status(), Status::deadline);
  Handle next = open_handle();
  next.put(one, at_version(1, "second.1"), large_state(1));
  EXPECT_EQ(server_->dig("mine.k4t.example.net", "A"), "198.51.100.1");
}

TEST_F(Chunks, ALargeChangeGoesInOneMessageWhereItFits) {
  Handle handle(*server_);
  std::vector<dns::RecordSet> records;
  for (int i = 0; i < 400; ++i) records.push_back(a_record("h" + std::to_string(1000 + i), {"192.0.2.1"}));
  ASSERT_TRUE(handle.prepare({}, at_version(1), state_of(records)));
  DiesAfter never(1000);
  ASSERT_TRUE(handle.commit({}, at_version(1), &never));
  EXPECT_EQ(never.total, 1U);
}

TEST_F(Chunks, TheFullestRecordSetsFit) {
  // 100 values of 255 bytes at a name of 253 characters: the largest step that can be.
  const std::string label(63, 'n');
  std::string name = label + "." + label + "." + label + "." + Handle::suffix;
  name = std::string(253 - name.size() - 1, 'm') + "." + name;
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) texts.push_back(std::to_string(1000 + i) + std::string(251, 't'));
  const auto state = state_of({{name, dns::Type::txt, 5, texts}, a_record("web", {"192.0.2.1"})});
  Handle handle = open_handle();
  handle.put({}, at_version(1), state);
  EXPECT_EQ(handle.observe(Expected<dns::State>{at_version(1), state})->content, Content::clean);
}

TEST_F(Chunks, OfSeveralMastersExactlyOneWinsEachRound) {
  constexpr int masters = 3;
  constexpr int rounds = 60;
  Register now = at_version(1);
  Handle(*server_).put({}, now, state_of({}));
  std::vector<Register> targets(masters);
  std::vector<Status> outcomes(masters);
  std::barrier gate(masters + 1);
  std::vector<std::jthread> threads;
  for (int master = 0; master < masters; ++master) {
    threads.emplace_back([&, master] {
      Handle handle(*server_);
      for (int round = 0; round < rounds; ++round) {
        gate.arrive_and_wait();
        const auto state = state_of({a_record("web", {"192.0.2." + std::to_string(master + 1)})});
        auto prepared = handle.prepare(now, targets[master], state);
        outcomes[master] = prepared ? handle.commit(now, targets[master]).status() : prepared.status();
        gate.arrive_and_wait();
      }
    });
  }
  for (int round = 0; round < rounds; ++round) {
    for (int master = 0; master < masters; ++master) {
      targets[master] = at_version(now.version + 1, "run" + std::to_string(master) + "." + std::to_string(round));
      targets[master].txn[0] = static_cast<char>('a' + master);
    }
    gate.arrive_and_wait();
    gate.arrive_and_wait();
    std::vector<int> winners;
    for (int master = 0; master < masters; ++master) {
      if (outcomes[master] == Status::ok) winners.push_back(master);
      EXPECT_TRUE(outcomes[master] == Status::ok || outcomes[master] == Status::conflict)
          << to_string(outcomes[master]);
    }
    EXPECT_EQ(winners.size(), 1U) << "round " << round;
    if (winners.empty()) winners.push_back(0);
    EXPECT_EQ(server_->dig("web.k4t.example.net", "A"), "192.0.2." + std::to_string(winners[0] + 1));
    now = targets[winners[0]];
  }
}

class Wire : public Chunks {
 protected:
  [[nodiscard]] Handle through(const DnsProxy& proxy) const {
    return Handle(
        "127.0.0.1", proxy.port(),
        {{"key_file", server_->key_file()}, {"timeout_ms", 1000}, {"message_limit_bytes", small_message_bytes}});
  }
};

TEST_F(Wire, AnswersThatAreLostAreSettledByReadingAgain) {
  std::atomic<int> lost = 0;
  const DnsProxy proxy(server_->port(), [&](bool update, std::string&) { return !(update && ++lost > 1); });
  Handle handle = through(proxy);
  const auto state = large_state(1);
  ASSERT_TRUE(handle.prepare({}, at_version(1), state));
  const auto committed = handle.commit({}, at_version(1));
  ASSERT_TRUE(committed) << committed.error().message;
  EXPECT_GT(lost, 5) << "every message of the commit lost its answer";
  EXPECT_EQ(handle.observe(Expected<dns::State>{at_version(1), state})->content, Content::clean);
}

TEST_F(Wire, AForgedAnswerCountsForNothing) {
  Handle(*server_).put({}, at_version(1), state_of({a_record("web", {"192.0.2.1"})}));
  const DnsProxy proxy(server_->port(), [](bool, std::string& answer) {
    answer[3] = static_cast<char>((answer[3] & 0xf0) | 3);  // NXDOMAIN
    return true;
  });
  Handle handle = through(proxy);
  EXPECT_EQ(handle.observe().status(), Status::unavailable);
  EXPECT_EQ(handle.prepare({}, at_version(1), state_of({})).status(), Status::unavailable);
}

TEST_F(Wire, AnAnswerWithoutItsSignatureCountsForNothing) {
  const DnsProxy proxy(server_->port(), [](bool, std::string& answer) {
    answer[11] = 0;  // no additional records any more
    return true;
  });
  Handle handle = through(proxy);
  EXPECT_EQ(handle.observe().status(), Status::unavailable);
}

TEST_F(Wire, ACutTransferIsNotTakenForAnEmptyZone) {
  Handle(*server_).put({}, at_version(1), large_state(1));
  // The first answer is the register's, the next ones are the transfer's.
  int messages = 0;
  const DnsProxy proxy(server_->port(), [&](bool, std::string&) { return ++messages < 3; });
  Handle handle = through(proxy);
  EXPECT_EQ(handle.observe(Expected<dns::State>{at_version(1), large_state(1)}).status(), Status::unavailable);
}

TEST_F(Wire, AServerThatNeverAnswersCostsItsTimeoutAndACancelLess) {
  std::atomic<bool> over = false;
  const DnsProxy proxy(server_->port(), [&](bool, std::string&) {
    over.wait(false);
    return false;
  });
  Handle handle("127.0.0.1", proxy.port(), {{"key_file", server_->key_file()}, {"timeout_ms", 300}});
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(handle.observe().status(), Status::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  DiesAfter at_once(0);
  EXPECT_EQ(handle.commit({}, at_version(1), &at_once).status(), Status::deadline);
  over = true;
  over.notify_all();
}

}  // namespace
}  // namespace k4t::dns_bind
