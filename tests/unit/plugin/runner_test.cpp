#include "plugin/runner.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace k4t::plugin {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A door that a body waits behind, for as long as the test wants.
class Door {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

/// A caller that gives up as soon as its call has begun, however long that takes on a busy machine. Lives as long as
/// the call, which may be left behind.
class Impatient : public CallSink {
 public:
  bool cancelled() override { return begun; }
  std::atomic<bool> begun = false;
};

k4t_status say(const k4t_call* call, std::string_view text) {
  call->reply(call->host, text.data(), text.size());
  return K4T_OK;
}

TEST(RunnerTest, ReturnsWhatTheBodySays) {
  Runner runner(1, nullptr);
  const Ran ran = runner.run([](const k4t_call* call) { return say(call, R"({"a":1})"); }, {seconds(5), nullptr});
  EXPECT_EQ(ran.ending, Ending::returned);
  EXPECT_EQ(*ran.outcome, Json({{"a", 1}}));
}

TEST(RunnerTest, BodyIsToldTheTimeThatIsLeft) {
  Runner runner(1, nullptr);
  std::uint32_t told_ms = 0;
  std::uint32_t untimed_ms = 1;
  (void)runner.run([&](const k4t_call* call) { return told_ms = call->timeout_ms, K4T_OK; }, {seconds(5), nullptr});
  (void)runner.run([&](const k4t_call* call) { return untimed_ms = call->timeout_ms, K4T_OK; }, {seconds(0), nullptr});
  EXPECT_GT(told_ms, 4000u);
  EXPECT_LE(told_ms, 5000u);
  EXPECT_EQ(untimed_ms, 0u);
}

TEST(RunnerTest, ThrowingBodyIsTold) {
  Runner runner(1, nullptr);
  const Ran ran =
      runner.run([](const k4t_call*) -> k4t_status { throw std::runtime_error("no"); }, {seconds(5), nullptr});
  EXPECT_EQ(ran.ending, Ending::threw);
  EXPECT_EQ(ran.outcome.error().message, "exception: no");
}

TEST(RunnerTest, FarewellComesAfterTheLastCallEvenIfThatWasLeftBehind) {
  const auto door = std::make_shared<Door>();
  const auto order = std::make_shared<std::atomic<int>>(0);
  const auto said = std::make_shared<Door>();
  {
    Runner runner(1, [order, said] {
      order->store(order->load() * 10 + 2);
      said->open();
    });
    const auto caller = std::make_shared<Impatient>();
    const Ran ran = runner.run(
        [door, order, caller](const k4t_call*) {
          caller->begun = true;
          door->wait();
          order->store(order->load() * 10 + 1);
          return K4T_OK;
        },
        {seconds(60), caller.get()});
    EXPECT_EQ(ran.ending, Ending::overran);
  }
  EXPECT_EQ(order->load(), 0);
  door->open();
  said->wait();
  EXPECT_EQ(order->load(), 12);
}

TEST(RunnerTest, FarewellComesOnceAndBeforeTheDestructorReturnsWhereNothingIsStuck) {
  std::atomic<int> farewells = 0;
  {
    Runner unused(4, [&] { ++farewells; });
  }
  EXPECT_EQ(farewells, 1);
  {
    Runner used(4, [&] { ++farewells; });
    (void)used.run([](const k4t_call*) { return K4T_OK; }, {seconds(5), nullptr});
  }
  EXPECT_EQ(farewells, 2);
}

TEST(RunnerTest, QueuedCallThatTimesOutNeverRuns) {
  const auto door = std::make_shared<Door>();
  const auto ran_late = std::make_shared<std::atomic<bool>>(false);
  Runner runner(1, nullptr);
  const auto caller = std::make_shared<Impatient>();
  const auto left_behind = [door, caller](const k4t_call*) {
    caller->begun = true;
    return door->wait(), K4T_OK;
  };
  EXPECT_EQ(runner.run(left_behind, {seconds(60), caller.get()}).ending, Ending::overran);
  EXPECT_EQ(
      runner.run([ran_late](const k4t_call*) { return *ran_late = true, K4T_OK; }, {milliseconds(10), nullptr}).ending,
      Ending::not_begun);
  door->open();
  EXPECT_EQ(runner.run([](const k4t_call*) { return K4T_OK; }, {seconds(5), nullptr}).ending, Ending::returned);
  EXPECT_FALSE(*ran_late);
}

TEST(RunnerTest, ManyCallersShareTheThreads) {
  std::atomic<int> inside = 0;
  std::atomic<int> most = 0;
  std::atomic<int> answered = 0;
  {
    Runner runner(3, nullptr);
    std::vector<std::thread> callers;
    for (int i = 0; i < 12; ++i) {
      callers.emplace_back([&] {
        const Ran ran = runner.run(
            [&](const k4t_call* call) {
              const int now = ++inside;
              for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
              }
              std::this_thread::sleep_for(milliseconds(5));
              --inside;
              return say(call, "{}");
            },
            {seconds(10), nullptr});
        answered += ran.ending == Ending::returned ? 1 : 0;
      });
    }
    for (auto& caller : callers) caller.join();
  }
  EXPECT_EQ(answered, 12);
  EXPECT_LE(most, 3);
}

TEST(RunnerTest, CallbacksReachTheSinkWhileItsCallerWaits) {
  class Recording final : public CallSink {
   public:
    void log(LogLevel, std::string_view what) override { text += what; }
    void progress(const Progress& progress) override { text += progress.step; }
    bool stream(Channel channel, std::string_view bytes) override {
      text += bytes;
      return channel == Channel::out;
    }
    std::string text;
  } sink;
  Runner runner(1, nullptr);
  const Ran ran = runner.run(
      [](const k4t_call* raw) {
        const Call call(*raw);
        call.log(LogLevel::info, "a");
        call.progress({"b", "", 0, 0, ""});
        const bool more = call.stream(Channel::out, "c");
        const bool enough = !call.stream(Channel::err, "d");
        return more && enough && !call.cancelled() ? K4T_OK : K4T_FATAL;
      },
      {seconds(5), &sink});
  EXPECT_EQ(sink.text, "abcd");
  EXPECT_TRUE(ran.outcome);
}

}  // namespace
}  // namespace k4t::plugin
