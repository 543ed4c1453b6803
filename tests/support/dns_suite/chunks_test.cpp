#include <barrier>
#include <thread>

#include "support/dns_proxy.hpp"
#include "support/dns_suite/dns_suite.hpp"

/// Large commits, deaths in their midst, lost answers, and several masters at once.

namespace k4t::testing {
namespace {

class Chunks : public DnsSuite {
 protected:
  [[nodiscard]] DnsHandle open_handle() const { return server_->open(server_->traits().small_messages); }
};

TEST_F(Chunks, ACommitKilledBetweenItsMessagesIsFinishedByAnotherProcess) {
  Register now = one_;
  open_handle().put({}, now, large_state(1));
  std::uint64_t total = 2;
  for (std::uint64_t killed_after = 1; killed_after <= total; killed_after += server_->traits().kill_stride) {
    const auto version = now.version + 1;
    const auto state = large_state(version);
    const auto target = at_version(version, "first.1");
    {
      auto dying = open_handle();
      ASSERT_TRUE(dying.prepare(now, target, state, large_state(now.version)));
      DiesAfter death(static_cast<int>(killed_after));
      ASSERT_EQ(dying.commit(now, target, &death).status(), Status::deadline);
      total = death.total;
    }
    auto next = open_handle();
    const auto half = next.observe();
    ASSERT_TRUE(half);
    ASSERT_EQ(half->stored, target);
    ASSERT_EQ(half->half, killed_after < total);
    ASSERT_NO_FATAL_FAILURE(next.put(target, at_version(version, "second.1"), state));
    // Where all messages had arrived, there was nothing left to write.
    now = at_version(version, killed_after < total ? "second.1" : "first.1");
    const auto after = next.observe(Expected<dns::State>{now, state});
    ASSERT_TRUE(after);
    ASSERT_EQ(after->content, Content::clean) << after->detail;
    ASSERT_FALSE(after->half);
  }
  EXPECT_GT(total, 8U);
  EXPECT_EQ(dig("h1000"), "192.0.2." + std::to_string(now.version));
  // An empty state takes all of it away again, which also proves that the names were all known.
  open_handle().put(now, at_version(now.version + 1, "end.1"), state_of({}));
  for (const char* label : {"h1000", "y1001", "x1001"}) EXPECT_EQ(dig(label), "") << label;
}

TEST_F(Chunks, AnOpenCommitMayBePassedOverByALaterVersion) {
  open_handle().put({}, one_, large_state(1, 400));
  auto dying = open_handle();
  const auto second = at_version(2, "first.1");
  ASSERT_TRUE(dying.prepare(one_, second, large_state(2, 400), large_state(1, 400)));
  DiesAfter death(2);
  ASSERT_EQ(dying.commit(one_, second, &death).status(), Status::deadline);
  ASSERT_GT(death.total, 2U);
  const auto third = at_version(3, "second.1");
  auto next = open_handle();
  next.put(second, third, large_state(3, 400));
  EXPECT_EQ(next.observe(Expected<dns::State>{third, large_state(3, 400)})->content, Content::clean);
  EXPECT_EQ(dying.commit(one_, second).status(), Status::conflict) << "the one that was passed over stays behind";
}

TEST_F(Chunks, AFirstCommitKilledHalfwayDeletesNothingWhenResumed) {
  server_->by_hand({add("mine.k4t.example.net", dnsupdate::type::a, "198.51.100.1")});
  auto dying = open_handle();
  ASSERT_TRUE(dying.prepare({}, one_, large_state(1, 400)));
  DiesAfter death(2);
  ASSERT_EQ(dying.commit({}, one_, &death).status(), Status::deadline);
  ASSERT_GT(death.total, 2U);
  open_handle().put(one_, at_version(1, "second.1"), large_state(1, 400));
  EXPECT_EQ(dig("mine"), "198.51.100.1");
}

TEST_F(Chunks, AnswersThatAreLostAreSettledByReadingAgain) {
  std::atomic<int> lost = 0;
  const DnsProxy proxy(server_->port(), [&](bool update, std::string&) { return !(update && ++lost > 1); });
  const auto traits = server_->traits();
  Json options = traits.small_messages;
  options["port"] = proxy.port();
  options["timeout_ms"] = traits.impatience.count();
  auto handle = server_->open(options);
  const auto state = large_state(1, 400);
  ASSERT_TRUE(handle.prepare({}, one_, state));
  const auto committed = handle.commit({}, one_);
  ASSERT_TRUE(committed) << committed.error().message;
  EXPECT_GT(lost, 3) << "every message of the commit lost its answer";
  EXPECT_EQ(handle.observe(Expected<dns::State>{one_, state})->content, Content::clean);
}

TEST_F(Chunks, ManyChangesAreReadBackHereAndThereAndTheRegisterVouchesForAll) {
  auto handle = server_->open();
  handle.put({}, one_, large_state(1, 200));
  ASSERT_TRUE(handle.prepare(one_, two_, large_state(3, 200), large_state(1, 200)));
  const auto committed = handle.commit(one_, two_);
  ASSERT_TRUE(committed) << committed.error().message;
  EXPECT_NE(committed->evidence.find("10 of 200 changed record sets"), std::string::npos) << committed->evidence;
  EXPECT_EQ(server_->open().observe(Expected<dns::State>{two_, large_state(3, 200)})->content, Content::clean);
}

TEST_F(Chunks, ACnameAmongManyChangesIsReplaced) {
  auto handle = server_->open();
  handle.put({}, one_, state_of({}));
  ASSERT_TRUE(handle.prepare(one_, two_, large_state(1, 200), state_of({})));
  server_->by_hand({add("h1122.k4t.example.net", dnsupdate::type::cname, "www.example.net")});
  const auto committed = handle.commit(one_, two_);
  ASSERT_TRUE(committed) << committed.error().message;
  EXPECT_EQ(dig("h1122"), "192.0.2.1");
  EXPECT_EQ(handle.observe(Expected<dns::State>{two_, large_state(1, 200)})->content, Content::clean);
}

TEST_F(Chunks, OfSeveralMastersExactlyOneWinsEachRound) {
  constexpr int masters = 3;
  const int rounds = server_->traits().rounds;
  Register now = one_;
  server_->open().put({}, now, state_of({}));
  std::vector<Register> targets(masters);
  std::vector<Status> outcomes(masters);
  std::barrier gate(masters + 1);
  std::vector<std::jthread> threads;
  for (int master = 0; master < masters; ++master) {
    threads.emplace_back([&, master] {
      auto handle = server_->open();
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
    EXPECT_EQ(dig("web"), "192.0.2." + std::to_string(winners[0] + 1));
    now = targets[winners[0]];
  }
}

}  // namespace
}  // namespace k4t::testing
