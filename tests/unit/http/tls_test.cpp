#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "k4t/http.hpp"
#include "support/certificates.hpp"
#include "support/http_peers.hpp"
#include "support/process.hpp"

/// The client's TLS with OpenSSL's own server.

namespace k4t::http {
namespace {

using namespace std::chrono_literals;
using k4t::testing::Authority;
using k4t::testing::Certified;
using k4t::testing::eventually;
using k4t::testing::Server;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// `openssl s_server`, which answers any GET with a page about the connection.
class TlsServer {
 public:
  explicit TlsServer(const Certified& own, const std::vector<std::string>& more = {})
      : port_(k4t::testing::free_port()) {
    std::vector<std::string> argv{"openssl", "s_server", "-accept",       "127.0.0.1:" + std::to_string(port_),
                                  "-www",    "-cert",    own.certificate, "-key",
                                  own.key};
    argv.insert(argv.end(), more.begin(), more.end());
    server_ = std::make_unique<Server>(argv, scratch_.path() / "log");
    EXPECT_TRUE(eventually([this] { return log().find("ACCEPT") != std::string::npos; })) << log();
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string log() const { return k4t::testing::Scratch::read(scratch_.path() / "log"); }

 private:
  k4t::testing::Scratch scratch_;
  std::uint16_t port_;
  std::unique_ptr<Server> server_;
};

/// Answers whatever comes first as servers of plain HTTP answer a TLS greeting.
class PlainServer {
 public:
  PlainServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~PlainServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  PlainServer(const PlainServer&) = delete;
  PlainServer& operator=(const PlainServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void serve() const {
    constexpr std::string_view answer = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request";
    for (int peer = -1; (peer = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(peer)) {
      char greeting[4096];
      if (::recv(peer, greeting, sizeof greeting, 0) > 0) ::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
  }

  int listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

class TlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (k4t::testing::find_program("openssl").empty()) K4T_SKIP_OR_FAIL("needs openssl");
  }

  [[nodiscard]] Certified for_loopback(std::int64_t until_s = 3600) const {
    return authority_.issue({.name = "server", .alt = {"IP:127.0.0.1", "DNS:node1.example.net"}, .until_s = until_s});
  }
  [[nodiscard]] Certified client() const { return authority_.issue({.name = "client", .purpose = "clientAuth"}); }
  [[nodiscard]] std::vector<std::string> asks_for_clients() const {
    return {"-Verify", "1", "-verify_return_error", "-CAfile", authority_.certificate()};
  }

  static Result<Response> get(std::uint16_t port, std::optional<Tls> tls) {
    Endpoint endpoint{.address = "127.0.0.1", .port = port};
    endpoint.tls = std::move(tls);
    return Client(std::move(endpoint)).send({.target = "/", .timeout = 20s});
  }

  Authority authority_;
};

/// The message of what must have failed as UNAVAILABLE.
std::string refusal(const Result<Response>& got) {
  EXPECT_EQ(got.status(), Status::unavailable);
  return got ? "answered" : got.error().message;
}

TEST_F(TlsTest, TalksToTheServerThatTheAuthorityVouchesFor) {
  const TlsServer server(for_loopback());
  for (const std::string name : {"", "127.0.0.1", "node1.example.net"}) {
    const auto got = get(server.port(), Tls{.ca_file = authority_.certificate(), .server_name = name});
    ASSERT_TRUE(got.ok()) << got.error().message;
    EXPECT_EQ(got->status, 200);
    EXPECT_THAT(got->body, HasSubstr("TLSv1.3"));
  }
}

TEST_F(TlsTest, SpeaksTls12ButNothingOlder) {
  const Tls tls{.ca_file = authority_.certificate()};
  const TlsServer older(for_loopback(), {"-tls1_2"});
  const auto got = get(older.port(), tls);
  ASSERT_TRUE(got.ok()) << got.error().message;
  const TlsServer oldest(for_loopback(), {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"});
  EXPECT_THAT(refusal(get(oldest.port(), tls)), HasSubstr("does not speak TLS 1.2 or later"));
  const TlsServer strange(for_loopback(), {"-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"});
  EXPECT_THAT(refusal(get(strange.port(), tls)), HasSubstr("TLS failed"))
      << "its certificate has another kind of key than its only cipher needs, which is no word about ours";
}

TEST_F(TlsTest, RefusesAServerOfAnotherAuthority) {
  const Authority other;
  const TlsServer server(other.issue({.name = "server", .alt = {"IP:127.0.0.1"}}));
  EXPECT_THAT(refusal(get(server.port(), Tls{.ca_file = authority_.certificate()})),
              HasSubstr("not from the authority in " + authority_.certificate()));
}

TEST_F(TlsTest, RefusesAnotherNameAndTellsBoth) {
  const TlsServer named(authority_.issue({.name = "server", .alt = {"DNS:node2.example.net", "IP:192.0.2.7"}}));
  const auto certificate_says = HasSubstr("for DNS:node2.example.net, IP Address:192.0.2.7 and not for 127.0.0.1");
  EXPECT_THAT(refusal(get(named.port(), Tls{.ca_file = authority_.certificate()})),
              AllOf(certificate_says, HasSubstr("server_name")));
  EXPECT_THAT(refusal(get(named.port(), Tls{.ca_file = authority_.certificate(), .server_name = "node1.example.net"})),
              HasSubstr("not for node1.example.net"));
}

TEST_F(TlsTest, ACommonNameIsNoName) {
  const TlsServer server(authority_.issue({.name = "node1.example.net"}));
  EXPECT_THAT(refusal(get(server.port(), Tls{.ca_file = authority_.certificate(), .server_name = "node1.example.net"})),
              HasSubstr("for no name at all"));
}

TEST_F(TlsTest, RefusesAClientsCertificateAtTheServer) {
  const TlsServer server(authority_.issue({.name = "server", .alt = {"IP:127.0.0.1"}, .purpose = "clientAuth"}));
  EXPECT_THAT(refusal(get(server.port(), Tls{.ca_file = authority_.certificate()})), HasSubstr("purpose"));
}

TEST_F(TlsTest, RefusesExpiredAndFutureCertificates) {
  const Tls tls{.ca_file = authority_.certificate()};
  const TlsServer expired(for_loopback(-60));
  EXPECT_THAT(refusal(get(expired.port(), tls)), HasSubstr("expired on "));
  const TlsServer future(authority_.issue({.name = "server", .alt = {"IP:127.0.0.1"}, .from_s = 3600}));
  EXPECT_THAT(refusal(get(future.port(), tls)), AllOf(HasSubstr("not valid before"), HasSubstr("clocks")));
}

TEST_F(TlsTest, ShowsItsCertificateAndTellsWhenItIsRefused) {
  const Authority other;
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    auto arguments = asks_for_clients();
    arguments.push_back(version);
    const TlsServer server(for_loopback(), arguments);
    const auto with = [&](const Certified& own) {
      return get(server.port(), Tls{authority_.certificate(), own.certificate, own.key, {}});
    };
    const auto got = with(client());
    ASSERT_TRUE(got.ok()) << version << got.error().message << server.log();
    EXPECT_EQ(got->status, 200);
    const auto stranger = other.issue({.name = "stranger", .purpose = "clientAuth"});
    EXPECT_THAT(refusal(with(stranger)), HasSubstr("refuses the client certificate " + stranger.certificate));
    const auto expired = authority_.issue({.name = "expired", .purpose = "clientAuth", .until_s = -60});
    EXPECT_THAT(refusal(with(expired)), HasSubstr("refuses the client certificate " + expired.certificate));
    EXPECT_THAT(refusal(get(server.port(), Tls{.ca_file = authority_.certificate()})),
                HasSubstr("asks for a client certificate, and none is configured"));
  }
}

TEST_F(TlsTest, WhatDoesNotSpeakTlsIsToldApart) {
  const PlainServer server;
  EXPECT_THAT(refusal(get(server.port(), Tls{.ca_file = authority_.certificate()})), HasSubstr("does not speak TLS"));
}

TEST_F(TlsTest, PlainHttpToATlsPortIsUnavailable) {
  const TlsServer server(for_loopback());
  EXPECT_THAT(refusal(get(server.port(), std::nullopt)), HasSubstr("closed the connection before"));
}

TEST_F(TlsTest, FilesThatCannotBeUsedAreNamed) {
  const auto own = client();
  const auto ca = authority_.certificate();
  const auto said = [](const Tls& tls) {
    const auto checked = check_tls(tls);
    EXPECT_EQ(checked.status(), Status::invalid_argument);
    return checked ? "fine" : checked.error().message;
  };
  EXPECT_TRUE(check_tls({ca, own.certificate, own.key, {}}).ok());
  EXPECT_THAT(said({.ca_file = "/nowhere/ca.pem"}), HasSubstr("/nowhere/ca.pem cannot be used"));
  EXPECT_THAT(said({}), HasSubstr("authority"));
  EXPECT_THAT(said({.ca_file = own.key}), HasSubstr(own.key + " cannot be used"));
  EXPECT_THAT(said({ca, own.certificate, {}, {}}), HasSubstr("go together"));
  EXPECT_THAT(said({ca, "/nowhere/cert.pem", own.key, {}}), HasSubstr("/nowhere/cert.pem cannot be used"));
  EXPECT_THAT(said({ca, own.certificate, "/nowhere/key.pem", {}}), HasSubstr("/nowhere/key.pem cannot be opened"));
  EXPECT_THAT(said({ca, own.certificate, own.certificate, {}}), HasSubstr("go-rwx"));
  const auto other = authority_.issue({.name = "other"});
  EXPECT_THAT(said({ca, own.certificate, other.key, {}}), HasSubstr("does not belong to"));
  const auto damaged = authority_.scratch().write("damaged.key", "no key", 0600).string();
  EXPECT_THAT(said({ca, own.certificate, damaged, {}}), HasSubstr("encrypted, damaged"));
  for (const auto mode : {0640U, 0604U}) {
    std::filesystem::permissions(own.key, static_cast<std::filesystem::perms>(mode));
    EXPECT_THAT(said({ca, own.certificate, own.key, {}}), HasSubstr("chmod go-rwx " + own.key));
  }
}

TEST_F(TlsTest, AnEncryptedKeyIsRefusedWithoutAQuestion) {
  const auto own = client();
  const auto encrypted = (authority_.scratch().path() / "encrypted.key").string();
  ASSERT_EQ(
      k4t::testing::run({"openssl", "pkey", "-in", own.key, "-out", encrypted, "-aes256", "-passout", "pass:secret"})
          .exit_code,
      0);
  std::filesystem::permissions(encrypted, std::filesystem::perms(0600));
  const auto checked = check_tls({authority_.certificate(), own.certificate, encrypted, {}});
  ASSERT_EQ(checked.status(), Status::invalid_argument);
  EXPECT_THAT(checked.error().message, HasSubstr("encrypted"));
}

TEST_F(TlsTest, ABodyThatIsCutOffIsNotOneThatEnded) {
  // The server gives no length: only TLS's own end of the stream tells that this is all.
  const auto own = for_loopback();
  const auto port = k4t::testing::free_port();
  const k4t::testing::Scratch folder;
  folder.write("body", std::string(64u << 20, 'x'));
  Server server({"sh", "-c", R"(cd "$1" && exec openssl s_server -accept "$2" -WWW -cert "$3" -key "$4")", "sh",
                 folder.path().string(), "127.0.0.1:" + std::to_string(port), own.certificate, own.key},
                folder.path() / "log");
  ASSERT_TRUE(eventually(
      [&] { return k4t::testing::Scratch::read(folder.path() / "log").find("ACCEPT") != std::string::npos; }));
  Endpoint endpoint{.address = "127.0.0.1", .port = port};
  endpoint.tls = Tls{.ca_file = authority_.certificate()};
  Request request{.target = "/body"};
  bool began = false;
  request.on_body = [&](std::string_view) {
    if (!began) server.kill_all();
    began = true;
    return true;
  };
  EXPECT_THAT(refusal(Client(std::move(endpoint)).send(request)), HasSubstr("closed the connection"));
  EXPECT_TRUE(began);
}

TEST_F(TlsTest, AServerThatIsSilentDuringTheHandshakeIsUnavailableInTime) {
  const k4t::testing::Endpoint silent("silent");
  Endpoint endpoint{.address = "127.0.0.1", .port = silent.port()};
  endpoint.tls = Tls{.ca_file = authority_.certificate()};
  const auto got = Client(std::move(endpoint)).send({.timeout = 300ms});
  EXPECT_THAT(refusal(got), HasSubstr("no TLS handshake in time"));
}

}  // namespace
}  // namespace k4t::http
