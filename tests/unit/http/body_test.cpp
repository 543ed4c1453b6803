#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <thread>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "k4t/http.hpp"
#include "support/process.hpp"

/// Request bodies that are too large for memory.

namespace k4t::http {
namespace {

using namespace std::chrono_literals;
using k4t::testing::Scratch;
using ::testing::EndsWith;
using ::testing::HasSubstr;

/// Serves one connection: takes so many bytes, answers, and hangs up. What else was sent is never read.
class TakingServer {
 public:
  TakingServer(std::size_t bytes, std::string answer) : bytes_(bytes), answer_(std::move(answer)) {
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path().c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_, 1), 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~TakingServer() {
    ::shutdown(fd_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    ::close(fd_);
  }
  TakingServer(const TakingServer&) = delete;
  TakingServer& operator=(const TakingServer&) = delete;

  [[nodiscard]] Client client() const { return Client(Endpoint{.unix_path = path()}); }
  /// All that it took, once it has hung up.
  const std::string& taken() {
    thread_.join();
    return taken_;
  }

 private:
  [[nodiscard]] std::string path() const { return (scratch_.path() / "s").string(); }

  void serve() {
    const int peer = ::accept(fd_, nullptr, nullptr);
    if (peer < 0) return;
    std::array<char, 65536> buffer{};
    while (taken_.size() < bytes_) {
      const auto got = ::read(peer, buffer.data(), std::min(buffer.size(), bytes_ - taken_.size()));
      if (got <= 0) break;
      taken_.append(buffer.data(), static_cast<std::size_t>(got));
    }
    static_cast<void>(::send(peer, answer_.data(), answer_.size(), MSG_NOSIGNAL));
    ::close(peer);
  }

  Scratch scratch_;
  std::size_t bytes_;
  std::string answer_;
  int fd_ = -1;
  std::string taken_;
  std::thread thread_;
};

std::string answer_of(const std::string& status, const std::string& body) {
  return "HTTP/1.1 " + status + "\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

/// `text` in the pieces that are asked for.
BodySource source_of(const std::string& text, std::uint64_t bytes) {
  auto at = std::make_shared<std::size_t>(0);
  return {bytes, [text, at](std::size_t limit_bytes) -> Result<std::string> {
            auto piece = text.substr(*at, limit_bytes);
            *at += piece.size();
            return piece;
          }};
}

Request post(BodySource source) {
  Request request{.method = "POST", .target = "/load"};
  request.headers["Content-Type"] = "application/x-tar";
  request.body_source = std::move(source);
  request.timeout = 10s;
  return request;
}

constexpr const char* head =
    "POST /load HTTP/1.1\r\nHost: localhost\r\nUser-Agent: k4t\r\nContent-Type: application/x-tar\r\n"
    "Content-Length: 1000000\r\n\r\n";

TEST(BodySource, IsSentAsItIsBehindItsLength) {
  std::string text(1'000'000, ' ');
  for (std::size_t n = 0; n < text.size(); ++n) text[n] = static_cast<char>(n * 7919 >> 8U);
  TakingServer server(std::strlen(head) + text.size(), answer_of("200 OK", "taken"));
  const auto response = server.client().send(post(source_of(text, text.size())));
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->body, "taken");
  EXPECT_TRUE(server.taken() == head + text);
}

TEST(BodySource, AnErrorOfTheSourceIsTheRequests) {
  TakingServer server(1'000'000, "");
  const BodySource failing{1'000'000, [](std::size_t) -> Result<std::string> {
                             return Error{Status::invalid_argument, "the disk says no", {}};
                           }};
  const auto response = server.client().send(post(failing));
  ASSERT_EQ(response.status(), Status::invalid_argument);
  EXPECT_THAT(response.error().message, EndsWith("the disk says no"));
}

TEST(BodySource, ThatIsNotAsLongAsItWasSaidIsNeverTakenForWhole) {
  for (const std::uint64_t said : {1001U, 999'999U}) {
    TakingServer server(1'000'000, "");
    const auto response = server.client().send(post(source_of(std::string(1000, 'x'), said)));
    ASSERT_FALSE(response.ok());
    EXPECT_THAT(response.error().message, HasSubstr("not as long as was said"));
  }
}

TEST(BodySource, AServerThatRefusesAndHangsUpInTheMiddleIsHeard) {
  TakingServer server(70'000, answer_of("500 Internal Server Error", "no space left"));
  const std::string text(4u << 20, 'x');
  const auto response = server.client().send(post(source_of(text, text.size())));
  ASSERT_TRUE(response.ok()) << response.error().message;
  EXPECT_EQ(response->status, 500);
  EXPECT_EQ(response->body, "no space left");
}

TEST(BodySource, ABreakWithoutAnAnswerIsUnavailable) {
  TakingServer server(70'000, "");
  const std::string text(4u << 20, 'x');
  EXPECT_EQ(server.client().send(post(source_of(text, text.size()))).status(), Status::unavailable);
}

TEST(BodySource, EndsWhenItsCallerLeaves) {
  TakingServer server(1u << 30, "");
  const std::string text(4u << 20, 'x');
  Request request = post(source_of(text, text.size()));
  int asked = 0;
  request.cancelled = [&asked] { return ++asked > 3; };
  EXPECT_EQ(server.client().send(request).status(), Status::deadline);
}

}  // namespace
}  // namespace k4t::http
