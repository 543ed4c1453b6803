#include <barrier>
#include <thread>

#include "support/dns_proxy.hpp"
#include "windows_test.hpp"

/// Large commits, deaths in their midst, lost answers and several masters at once, on a real Samba.

namespace k4t::dns_windows {
namespace {

constexpr int names = 1000;

class Chunks : public OnSamba {
 protected:
  void TearDown() override {
    if (server_ == nullptr) return;
    // Through the index, which is also a proof that it knows all names.
    Handle handle(*server_);
    const auto now = handle.observe();
    ASSERT_TRUE(now) << now.error().message << now.error().detail;
    if (now->stored) handle.put(now->stored, at_version(now->stored->version + 1, "end.1"), state_of({}));
    for (const char* label : {"h1000", "y1001", "x1001"}) EXPECT_EQ(dig(label), "") << label;
  }
};

TEST_F(Chunks, ACommitKilledBetweenItsMessagesIsFinishedByAnotherProcess) {
  Register now = at_version(1);
  Handle(*server_).put({}, now, large_state(1, names));
  std::uint64_t total = 2;
  for (std::uint64_t killed_after = 1; killed_after <= total; killed_after += 5) {
    const auto version = now.version + 1;
    const auto state = large_state(version, names);
    const auto target = at_version(version, "first.1");
    {
      Handle dying(*server_);
      ASSERT_TRUE(dying.prepare(now, target, state, large_state(now.version, names)));
      DiesAfter death(static_cast<int>(killed_after));
      ASSERT_EQ(dying.commit(now, target, &death).status(), Status::deadline);
      total = death.total;
    }
    Handle next(*server_);
    const auto half = next.observe();
    ASSERT_TRUE(half);
    ASSERT_EQ(half->stored, target);
    ASSERT_EQ(half->half, killed_after < total);
    now = at_version(version, killed_after < total ? "second.1" : "first.1");
    ASSERT_NO_FATAL_FAILURE(next.put(target, at_version(version, "second.1"), state));
    const auto after = next.observe(Expected<dns::State>{now, state});
    ASSERT_TRUE(after);
    ASSERT_EQ(after->content, Content::clean) << after->detail;
    ASSERT_FALSE(after->half);
  }
  EXPECT_GT(total, 8U);
  EXPECT_EQ(dig("h1000"), "192.0.2." + std::to_string(now.version));
}

TEST_F(Chunks, AFirstCommitKilledHalfwayDeletesNothingWhenResumed) {
  by_hand(*server_, {add("mine.k4t.example.net", dnsupdate::type::a, "198.51.100.1")});
  Handle dying(*server_);
  ASSERT_TRUE(dying.prepare({}, one_, large_state(1, 400)));
  DiesAfter death(2);
  ASSERT_EQ(dying.commit({}, one_, &death).status(), Status::deadline);
  Handle next(*server_);
  next.put(one_, at_version(1, "second.1"), large_state(1, 400));
  EXPECT_EQ(dig("mine"), "198.51.100.1");
}

TEST_F(Chunks, AnswersThatAreLostAreSettledByReadingAgain) {
  std::atomic<int> lost = 0;
  const testing::DnsProxy proxy(server_->port(), [&](bool update, std::string&) { return !(update && ++lost > 1); });
  Handle handle(*server_, {{"port", proxy.port()}});
  const auto state = large_state(1, 200);
  ASSERT_TRUE(handle.prepare({}, one_, state));
  const auto committed = handle.commit({}, one_);
  ASSERT_TRUE(committed) << committed.error().message;
  EXPECT_GT(lost, 2) << "every message of the commit lost its answer";
  EXPECT_EQ(handle.observe(Expected<dns::State>{one_, state})->content, Content::clean);
}

TEST_F(Chunks, OfSeveralMastersExactlyOneWinsEachRound) {
  constexpr int masters = 3;
  constexpr int rounds = 20;
  Register now = one_;
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
    EXPECT_EQ(dig("web"), "192.0.2." + std::to_string(winners[0] + 1));
    now = targets[winners[0]];
  }
}

}  // namespace
}  // namespace k4t::dns_windows
