#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "streams.hpp"

namespace k4t::docker {
namespace {

using ::testing::ElementsAre;

std::string frame(char channel, const std::string& payload) {
  return std::string{channel,
                     0,
                     0,
                     0,
                     0,
                     0,
                     static_cast<char>(payload.size() >> 8U),
                     static_cast<char>(payload.size() & 255U)} +
         payload;
}

TEST(FrameSplitter, TellsTheChannelsApartHoweverTheBytesArrive) {
  const std::string stream = frame(1, "out1") + frame(2, std::string(300, 'e')) + frame(1, "") + frame(1, "out2");
  for (const std::size_t piece : {1U, 2U, 7U, 8U, 9U, 1000U}) {
    FrameSplitter splitter;
    std::string out;
    std::string err;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      EXPECT_TRUE(splitter.feed(stream.substr(at, piece), [&](Channel channel, std::string_view bytes) {
        (channel == Channel::out ? out : err) += bytes;
        return true;
      }));
    }
    EXPECT_EQ(out, "out1out2");
    EXPECT_EQ(err, std::string(300, 'e'));
  }
}

TEST(FrameSplitter, StopsWhenNoMoreIsWanted) {
  FrameSplitter splitter;
  int calls = 0;
  EXPECT_FALSE(splitter.feed(frame(1, "a") + frame(1, "b"), [&](Channel, std::string_view) {
    ++calls;
    return false;
  }));
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(splitter.malformed());
}

TEST(FrameSplitter, RefusesAStreamWithoutFrames) {
  FrameSplitter splitter;
  EXPECT_FALSE(splitter.feed("plain text of a terminal", [](Channel, std::string_view) { return true; }));
  EXPECT_TRUE(splitter.malformed());
}

TEST(ProgressReader, ReportsProgressAndFindsTheErrorInTheStream) {
  ProgressReader reader("pull");
  std::vector<std::string> seen;
  const auto report = [&](const Progress& progress) { seen.push_back(Json(progress).dump()); };
  reader.feed("{\"status\":\"Pulling from web\",\"id\":\"1\"}\r\n{\"status\":\"Down", report);
  reader.feed("loading\",\"id\":\"3a1f\",\"progressDetail\":{\"current\":5,\"total\":9}}\nnonsense\n[1]\n", report);
  EXPECT_FALSE(reader.failure());
  reader.feed("{\"errorDetail\":{\"message\":\"broken\"},\"error\":\"broken\"}\n", report);
  EXPECT_EQ(reader.failure(), "broken");
  EXPECT_THAT(seen, ElementsAre(R"({"done":0,"step":"pull","text":"1: Pulling from web","total":0,"unit":""})",
                                R"({"done":5,"step":"pull","text":"3a1f: Downloading","total":9,"unit":"bytes"})"));
}

TEST(PullError, TellsAbsentFromUnreachable) {
  EXPECT_EQ(pull_error("web", 404, "manifest unknown", nullptr).status, Status::not_found);
  EXPECT_EQ(pull_error("web", 200, "manifest unknown", nullptr).status, Status::not_found);
  EXPECT_EQ(pull_error("web", 500, "dial tcp 192.0.2.1:443: connect: connection refused", nullptr).status,
            Status::unavailable);
  EXPECT_EQ(pull_error("web", 500, "lookup registry.example.net: no such host", nullptr).status, Status::unavailable);
  EXPECT_EQ(pull_error("web", 500, "unauthorized: authentication required", nullptr).status, Status::invalid_argument);
  EXPECT_EQ(pull_error("web", 400, "invalid reference format", nullptr).status, Status::invalid_argument);
}

}  // namespace
}  // namespace k4t::docker
