#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "k4t/http.hpp"
#include "support/process.hpp"

namespace k4t::http {
namespace {

using namespace std::chrono_literals;
using k4t::testing::Scratch;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const std::string hang_up = "hang up";

/// A server that says to each request the next of its prepared answers, byte for byte. Serves one connection at a time.
class ScriptedServer {
 public:
  /// `close_each`: closes the connection after each answer. The answer `hang_up` closes it instead of answering, ""
  /// says nothing and keeps it open.
  explicit ScriptedServer(std::vector<std::string> answers, bool close_each = false)
      : answers_(std::move(answers)), close_each_(close_each) {
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path().c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedServer() {
    stop_ = true;
    thread_.join();
    ::close(fd_);
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] std::string path() const { return (scratch_.path() / "s").string(); }
  [[nodiscard]] Client client() const { return Client(Endpoint{.unix_path = path()}); }
  [[nodiscard]] int connections() const { return connections_; }
  [[nodiscard]] int closed() const { return closed_; }
  [[nodiscard]] std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  [[nodiscard]] bool readable(int fd) const {
    while (!stop_) {
      pollfd ready{fd, POLLIN, 0};
      if (::poll(&ready, 1, 10) > 0) return true;
    }
    return false;
  }

  void serve() {
    while (readable(fd_)) {
      const int peer = ::accept(fd_, nullptr, nullptr);
      ++connections_;
      converse(peer);
      ::close(peer);
      ++closed_;
    }
  }

  void converse(int peer) {
    std::array<char, 65536> buffer{};
    while (next_ < answers_.size() && readable(peer)) {
      const auto got = ::read(peer, buffer.data(), buffer.size());
      if (got <= 0) return;
      {
        const std::lock_guard lock(mutex_);
        requests_.emplace_back(buffer.data(), static_cast<std::size_t>(got));
      }
      const auto& answer = answers_.at(next_++);
      if (answer == hang_up) return;
      if (::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL) < 0 || close_each_) return;
    }
    while (readable(peer) && ::read(peer, buffer.data(), buffer.size()) > 0) {
    }
  }

  Scratch scratch_;
  std::vector<std::string> answers_;
  bool close_each_;
  int fd_ = -1;
  std::size_t next_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<int> closed_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

TEST(Client, SendsTheRequestAsGivenAndReturnsTheAnswer) {
  ScriptedServer server({"HTTP/1.1 201 Created\r\nX-Thing: a b\r\nContent-Length: 2\r\n\r\nok"});
  Request request{.method = "POST", .target = "/v1/x?y=%20", .headers = {{"Content-Type", "application/json"}}};
  request.body = "{}";
  const auto response = server.client().send(request);
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->headers.at("x-thing"), "a b");
  EXPECT_EQ(response->body, "ok");
  EXPECT_TRUE(response->complete);
  const auto sent = server.requests().at(0);
  EXPECT_THAT(sent, StartsWith("POST /v1/x?y=%20 HTTP/1.1\r\nHost: localhost\r\n"));
  EXPECT_THAT(sent, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(sent, HasSubstr("Content-Length: 2\r\n\r\n{}"));
}

TEST(Client, KeepsItsConnection) {
  const ScriptedServer server({hello, hello, hello});
  auto client = server.client();
  for (int n = 0; n < 3; ++n) EXPECT_EQ(client.send({})->body, "hello");
  EXPECT_EQ(server.connections(), 1);
}

TEST(Client, ReconnectsWhenTheServerClosedAnIdleConnection) {
  const ScriptedServer server({hello, hello}, /*close_each=*/true);
  auto client = server.client();
  EXPECT_EQ(client.send({.method = "POST"})->body, "hello");
  ASSERT_TRUE(k4t::testing::eventually([&] { return server.closed() == 1; }));
  EXPECT_EQ(client.send({.method = "POST"})->body, "hello");
  EXPECT_EQ(server.connections(), 2);
}

TEST(Client, AGetWhoseKeptConnectionDiesUnansweredIsSentOnceMore) {
  ScriptedServer server({hello, hang_up, hello});
  auto client = server.client();
  EXPECT_EQ(client.send({})->body, "hello");
  EXPECT_EQ(client.send({})->body, "hello");
  EXPECT_EQ(server.requests().size(), 3U);
}

TEST(Client, APostIsNeverSentTwice) {
  ScriptedServer server({hello, hang_up, hello});
  auto client = server.client();
  EXPECT_EQ(client.send({.method = "POST"})->body, "hello");
  EXPECT_EQ(client.send({.method = "POST"}).status(), Status::unavailable);
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST(Client, JoinsChunksAndReadsUntilTheEndWhereNoLengthIsGiven) {
  const ScriptedServer chunked(
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"});
  EXPECT_EQ(chunked.client().send({})->body, "abcde");
  const ScriptedServer endless({"HTTP/1.1 200 OK\r\n\r\nto the end"}, /*close_each=*/true);
  EXPECT_EQ(endless.client().send({})->body, "to the end");
}

TEST(Client, StreamsTheBodyAndStopsWhenNoMoreIsWanted) {
  const ScriptedServer server({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"});
  std::string got;
  Request request;
  request.on_body = [&](std::string_view bytes) {
    got += bytes;
    return false;
  };
  const auto response = server.client().send(request);
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(got, "abc");
  EXPECT_FALSE(response->complete);
}

TEST(Client, AnErrorsBodyIsGatheredEvenWhenStreaming) {
  const ScriptedServer server({"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"});
  Request request;
  request.on_body = [](std::string_view) { return true; };
  EXPECT_EQ(server.client().send(request)->body, "none");
}

TEST(Client, AnAnswerLongerThanTheLimitIsUnavailable) {
  const ScriptedServer server({hello});
  Request request;
  request.body_limit_bytes = 4;
  EXPECT_EQ(server.client().send(request).status(), Status::unavailable);
}

TEST(Client, EndlessHeadersAndInterimAnswersEnd) {
  const ScriptedServer headers({"HTTP/1.1 200 OK\r\nX: " + std::string(200'000, 'x')});
  EXPECT_EQ(headers.client().send({}).status(), Status::unavailable);
  std::string interim;
  for (int n = 0; n < 100; ++n) interim += "HTTP/1.1 100 Continue\r\n\r\n";
  const ScriptedServer patient({interim});
  EXPECT_EQ(patient.client().send({}).status(), Status::unavailable);
}

TEST(Client, AnInterimAnswerIsSkipped) {
  const ScriptedServer server({"HTTP/1.1 100 Continue\r\n\r\n" + hello});
  EXPECT_EQ(server.client().send({})->body, "hello");
}

TEST(Client, HalfAnAnswerAndWhatIsNotHttpAreUnavailable) {
  const ScriptedServer half({"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"}, /*close_each=*/true);
  const auto cut = half.client().send({});
  ASSERT_EQ(cut.status(), Status::unavailable);
  EXPECT_THAT(cut.error().message, HasSubstr("closed the connection before"));
  const ScriptedServer other({"SSH-2.0-Other\r\n"});
  const auto strange = other.client().send({});
  ASSERT_EQ(strange.status(), Status::unavailable);
  EXPECT_THAT(strange.error().message, HasSubstr("not HTTP"));
}

TEST(Client, ASilentServerIsADeadlineAndCancellingEndsTheWait) {
  const ScriptedServer server({"", ""});
  EXPECT_EQ(server.client().send({.timeout = 100ms}).status(), Status::deadline);
  const auto begun = std::chrono::steady_clock::now();
  Request request;
  request.cancelled = [&] { return std::chrono::steady_clock::now() - begun > 100ms; };
  EXPECT_EQ(server.client().send(request).status(), Status::deadline);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
}

TEST(Client, ARedirectionIsAnAnswer) {
  const ScriptedServer server({"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"});
  EXPECT_EQ(server.client().send({})->status, 302);
}

TEST(Client, RefusesWhatCouldSmuggleARequest) {
  Client client(Endpoint{.address = "192.0.2.1", .port = 80});
  EXPECT_EQ(client.send({.method = "GET /"}).status(), Status::invalid_argument);
  EXPECT_EQ(client.send({.target = "/a b"}).status(), Status::invalid_argument);
  EXPECT_EQ(client.send({.target = "/a\r\nX: y"}).status(), Status::invalid_argument);
  EXPECT_EQ(client.send({.target = "http://192.0.2.2/"}).status(), Status::invalid_argument);
  EXPECT_EQ(client.send({.headers = {{"X", "a\r\nY: b"}}}).status(), Status::invalid_argument);
  EXPECT_EQ(client.send({.headers = {{"X Y", "a"}}}).status(), Status::invalid_argument);
}

TEST(Client, ServesSeveralThreadsAtOnce) {
  const ScriptedServer server(std::vector<std::string>(40, hello), /*close_each=*/true);
  auto client = server.client();
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int n = 0; n < 4; ++n) {
    threads.emplace_back([&] {
      for (int round = 0; round < 10; ++round) good += client.send({}).ok() ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 40);
}

TEST(PercentEncode, LeavesOnlyUnreservedCharacters) {
  EXPECT_EQ(percent_encode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(percent_encode("a/b?c=d&e f%\xc3\xa9\n"), "a%2Fb%3Fc%3Dd%26e%20f%25%C3%A9%0A");
}

TEST(Probe, TellsTheStatusOfARealServerAndThatNobodyListens) {
  if (k4t::testing::find_program("busybox").empty()) K4T_SKIP_OR_FAIL("needs busybox");
  const Scratch scratch;
  scratch.write("www/health", "fine");
  const auto port = k4t::testing::free_port();
  k4t::testing::Server server(
      {"busybox", "httpd", "-f", "-p", "127.0.0.1:" + std::to_string(port), "-h", (scratch.path() / "www").string()},
      scratch.path() / "log");
  ASSERT_TRUE(k4t::testing::eventually([&] { return probe_tcp("127.0.0.1", port, 1s).ok(); }));
  EXPECT_EQ(*probe("127.0.0.1", port, "/health", 5s), 200);
  EXPECT_EQ(*probe("127.0.0.1", port, "/none", 5s), 404);
  server.kill_all();
  EXPECT_EQ(probe("127.0.0.1", port, "/health", 1s).status(), Status::unavailable);
  EXPECT_EQ(probe_tcp("127.0.0.1", port, 1s).status(), Status::unavailable);
}

}  // namespace
}  // namespace k4t::http
