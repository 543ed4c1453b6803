#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "k4t/gateway.hpp"
#include "plugin/handle.hpp"

namespace k4t::plugin {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::shared_ptr<const Library> library(const std::string& name) {
  auto loaded = Library::load(std::filesystem::path(K4T_BINARY_DIR) / "tests" / "loader" / "lib" / (name + ".so"));
  EXPECT_TRUE(loaded) << loaded.error().message;
  return *loaded;
}

Result<std::unique_ptr<Handle>> open(const std::string& mode, milliseconds timeout = std::chrono::seconds(5)) {
  OpenRequest request;
  request.name = "gw1";
  request.options = {{"mode", mode}};
  return Handle::open(library("misbehaves"), request, {timeout, nullptr});
}

std::unique_ptr<Handle> opened() { return *open("plain"); }

std::string failure(const Result<Json>& result) {
  if (result) return "ok";
  return std::string(to_string(result.status())) + " " + result.error().message + " | " + result.error().detail;
}

std::string call(Handle& handle, const std::string& method, milliseconds timeout = std::chrono::seconds(5)) {
  return failure(handle.call(method, Json::object(), {timeout, nullptr}));
}

TEST(HandleTest, LieIsFatalNamesPluginMethodAndPlaceAndPoisonsTheHandle) {
  const auto handle = opened();
  const std::string lie = call(*handle, "observe");
  EXPECT_EQ(
      lie.rfind("fatal K4T-PLG-030: gateway 'gw1' (driver misbehaves): 'observe': the reply does not fit its schema "
                "at /stored/",
                0),
      0u)
      << lie;
  EXPECT_EQ(
      call(*handle, "abort").rfind("fatal K4T-PLG-034: gateway 'gw1' (driver misbehaves) is not used any more.", 0),
      0u);
}

TEST(HandleTest, AbsentAnswerIsNeverReadAsNone) {
  const auto handle = opened();
  EXPECT_EQ(call(*handle, "connections").rfind("fatal K4T-PLG-030:", 0), 0u);
}

TEST(HandleTest, ExceptionOfAnyTypeIsFatal) {
  EXPECT_EQ(
      call(*opened(), "throw"),
      "fatal K4T-PLG-031: gateway 'gw1' (driver misbehaves): 'throw': the driver threw an exception. Report it to "
      "its author. | exception: out of luck");
  EXPECT_EQ(
      call(*opened(), "throw_int"),
      "fatal K4T-PLG-031: gateway 'gw1' (driver misbehaves): 'throw_int': the driver threw an exception. Report it "
      "to its author. | exception of an unknown type");
}

TEST(HandleTest, FatalOfTheDriverPoisonsTheHandle) {
  const auto handle = opened();
  EXPECT_EQ(call(*handle, "fatal"), "fatal gateway 'gw1' (driver misbehaves): invariant broken | ");
  EXPECT_EQ(call(*handle, "abort").rfind("fatal K4T-PLG-034:", 0), 0u);
}

TEST(HandleTest, ReplyThatIsNoJsonAndUndefinedStatusAreFatal) {
  EXPECT_EQ(call(*opened(), "not_json"), "fatal gateway 'gw1' (driver misbehaves): the driver's reply is not JSON | {");
  EXPECT_EQ(call(*opened(), "undefined_status"),
            "fatal gateway 'gw1' (driver misbehaves): the driver returned the undefined status 77 | ");
}

TEST(HandleTest, CallerOfAHangingDriverGetsDeadlineAndTheNextOneUnavailable) {
  const auto begun = Clock::now();
  {
    const auto handle = opened();
    EXPECT_EQ(call(*handle, "hang", milliseconds(100)).rfind("deadline K4T-PLG-032:", 0), 0u);
    EXPECT_EQ(call(*handle, "abort", milliseconds(100)).rfind("unavailable K4T-PLG-033:", 0), 0u);
    // Nothing is poisoned: had the driver come back, it could be used.
  }
  EXPECT_LT(Clock::now() - begun, std::chrono::seconds(4)) << "closing must not wait for the driver";
}

TEST(HandleTest, DriverThatComesBackLateCanBeUsedAgain) {
  const auto handle = opened();
  EXPECT_EQ(call(*handle, "stubborn", milliseconds(50)).rfind("deadline K4T-PLG-032:", 0), 0u);
  EXPECT_EQ(call(*handle, "abort"), "ok");
}

TEST(HandleTest, SinkIsNotUsedAfterItsCallerLeft) {
  class Counting final : public CallSink {
   public:
    void log(LogLevel, std::string_view) override { ++*uses; }
    bool stream(Channel, std::string_view) override { return ++*uses > 0; }
    std::shared_ptr<std::atomic<int>> uses = std::make_shared<std::atomic<int>>(0);
  };
  const auto handle = opened();
  std::shared_ptr<std::atomic<int>> uses;
  {
    Counting sink;
    uses = sink.uses;
    EXPECT_EQ(handle->call("stubborn", Json::object(), {milliseconds(50), &sink}).status(), Status::deadline);
  }
  EXPECT_EQ(call(*handle, "abort"), "ok");  // by now the late call has ended
  EXPECT_EQ(*uses, 0);
}

TEST(HandleTest, SinkThatThrowsCancelsTheCall) {
  class Throwing final : public CallSink {
   public:
    bool cancelled() override { throw std::runtime_error("sink"); }
  } sink;
  const auto begun = Clock::now();
  EXPECT_EQ(failure(opened()->call("polite", Json::object(), {std::chrono::seconds(30), &sink})),
            "deadline gave up as asked | ");
  EXPECT_LT(Clock::now() - begun, std::chrono::seconds(5));
}

TEST(HandleTest, CancelledCallIsLeftEvenIfTheDriverDoesNotCare) {
  class Cancelled final : public CallSink {
   public:
    bool cancelled() override { return true; }
  } sink;
  const auto begun = Clock::now();
  EXPECT_EQ(opened()->call("hang", Json::object(), {milliseconds(0), &sink}).status(), Status::deadline);
  EXPECT_LT(Clock::now() - begun, std::chrono::seconds(5));
}

TEST(HandleTest, PoliteDriverGivesItsOwnReason) {
  EXPECT_EQ(call(*opened(), "polite", milliseconds(50)).rfind("deadline ", 0), 0u);
}

int most_inside(const std::string& name) {
  auto handle = *Handle::open(library(name), {});
  std::vector<std::thread> threads;
  std::mutex mutex;
  int most = 0;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      const auto reply = handle->call("count", Json::object(), {std::chrono::seconds(10), nullptr});
      const std::lock_guard lock(mutex);
      most = std::max(most, reply ? reply->at("inside").get<int>() : 1000);
    });
  }
  for (auto& thread : threads) thread.join();
  return most;
}

TEST(HandleTest, CallsAreSerialisedUnlessTheDriverIsConcurrent) {
  EXPECT_EQ(most_inside("misbehaves"), 1);
  const int most = most_inside("concurrent");
  EXPECT_GT(most, 1);
  EXPECT_LE(most, 6);
}

TEST(HandleTest, OpenFailuresAreTold) {
  const auto text = [](const auto& result) {
    return std::string(to_string(result.status())) + " " + result.error().message;
  };
  EXPECT_EQ(
      text(open("refuse")),
      "invalid_argument K4T-PLG-022: gateway 'gw1' (driver misbehaves): cannot be opened: option 'mode' is not for "
      "today");
  EXPECT_EQ(text(open("throw")),
            "fatal K4T-PLG-022: gateway 'gw1' (driver misbehaves): cannot be opened: exception of an unknown type");
  EXPECT_EQ(text(open("nothing")),
            "fatal K4T-PLG-022: gateway 'gw1' (driver misbehaves): the driver opened nothing and called it a success. "
            "Report it to its author.");
  EXPECT_EQ(text(open("hang", milliseconds(100))),
            "deadline K4T-PLG-022: gateway 'gw1' (driver misbehaves): cannot be opened: no answer in time");
}

TEST(HandleTest, RequestThatIsNotUtf8IsRefusedBeforeTheDriverSeesIt) {
  const auto handle = opened();
  EXPECT_EQ(handle->call("abort", Json{{"txn", "\xff"}}, {}).status(), Status::invalid_argument);
}

}  // namespace
}  // namespace k4t::plugin
