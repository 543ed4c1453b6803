#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/process.hpp"

namespace {

using namespace k4t::testing;

const std::string kApp = std::string(K4T_BINARY_DIR) + "/bin/k4t-demo-app";

/// A client's socket, raw, so that it can misbehave.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  void send(const std::string& bytes) const { ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

  /// Through `mark`; what came until the end of the stream if it never does.
  std::string read_through(const std::string& mark) {
    while (buffer_.find(mark) == std::string::npos && fill()) {
    }
    const auto at = buffer_.find(mark);
    return take(at == std::string::npos ? buffer_.size() : at + mark.size());
  }
  std::string read_exactly(std::size_t bytes) {
    while (buffer_.size() < bytes && fill()) {
    }
    return take(std::min(bytes, buffer_.size()));
  }
  /// Head and body of one response.
  std::string response() {
    const std::string head = read_through("\r\n\r\n");
    const auto at = head.find("Content-Length: ");
    return head + (at == std::string::npos ? "" : read_exactly(std::stoul(head.substr(at + 16))));
  }
  bool at_end() { return buffer_.empty() && !fill(); }

 private:
  bool fill() {
    char bytes[4096];
    const auto got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got > 0) buffer_.append(bytes, static_cast<std::size_t>(got));
    return got > 0;
  }
  std::string take(std::size_t bytes) {
    std::string text = buffer_.substr(0, bytes);
    buffer_.erase(0, bytes);
    return text;
  }
  int fd_;
  bool connected_ = false;
  std::string buffer_;
};

std::string get(std::uint16_t port, const std::string& target, const std::string& method = "GET") {
  Client client(port);
  if (!client.connected()) return {};
  client.send(method + " " + target + " HTTP/1.1\r\nHost: example.net\r\nConnection: close\r\n\r\n");
  return client.response();
}

/// The application as a child of this process, so that its exit code is seen.
class App {
 public:
  explicit App(std::vector<std::string> args, const std::vector<std::string>& env = {}) : port(free_port()) {
    args.insert(args.begin(), kApp);
    args.insert(args.end(), {std::to_string(port), "--listen", "127.0.0.1"});
    std::vector<char*> argv;
    std::vector<char*> envp;
    for (const auto& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
    for (const auto& entry : env) envp.push_back(const_cast<char*>(entry.c_str()));
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::execve(kApp.c_str(), argv.data(), envp.data());
      ::_exit(127);
    }
    eventually([this] { return Client(port).connected(); });
  }
  ~App() {
    if (pid < 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  App(const App&) = delete;
  App& operator=(const App&) = delete;
  int exit_code() {
    int status = 0;
    ::waitpid(std::exchange(pid, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  std::uint16_t port;
  pid_t pid = -1;
};

TEST(DemoHttp, TellsGreetingServiceAndInstance) {
  const App app({"http"}, {"GREETING=good morning", "K4T_SERVICE=web", "K4T_INSTANCE=web-2"});
  const std::string answer = get(app.port, "/");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\ngood morning from web web-2\n")) << answer;
  EXPECT_NE(answer.find("X-Instance: web-2\r\n"), std::string::npos);
}

TEST(DemoHttp, AnInstanceNameCannotAddHeaders) {
  const App app({"http"}, {"K4T_INSTANCE=a\r\nX-Evil: 1"});
  const std::string answer = get(app.port, "/");
  EXPECT_EQ(answer.substr(0, answer.find("\r\n\r\n")).find("\r\nX-Evil"), std::string::npos);
  EXPECT_NE(answer.find("X-Instance: aX-Evil: 1\r\n"), std::string::npos);
}

TEST(DemoHttp, ShowsEnvironmentAndHeaders) {
  const App app({"http"}, {"A=one \"two\" $three"});
  EXPECT_TRUE(get(app.port, "/env/A").ends_with("\r\n\r\none \"two\" $three"));
  EXPECT_TRUE(get(app.port, "/env/B").starts_with("HTTP/1.1 404"));
  EXPECT_NE(get(app.port, "/headers").find("host: example.net\n"), std::string::npos);
}

TEST(DemoHttp, IsUnhealthyWhileStartingAndWhenTold) {
  const App app({"http", "--start-delay-ms", "700"});
  EXPECT_TRUE(get(app.port, "/healthz").starts_with("HTTP/1.1 503"));
  EXPECT_TRUE(eventually([&] { return get(app.port, "/healthz").starts_with("HTTP/1.1 200"); }));
  get(app.port, "/healthz?healthy=0", "POST");
  EXPECT_TRUE(get(app.port, "/healthz").starts_with("HTTP/1.1 503"));
  get(app.port, "/healthz?healthy=1", "POST");
  EXPECT_TRUE(get(app.port, "/healthz").starts_with("HTTP/1.1 200"));
}

TEST(DemoHttp, KeepsAConnectionForSeveralRequests) {
  const App app({"http"});
  Client client(app.port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345");
  EXPECT_TRUE(client.response().starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(client.response().starts_with("HTTP/1.1 200"));
  client.send("GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(client.response().starts_with("HTTP/1.1 404"));
}

TEST(DemoHttp, CallsAnotherServiceAndPassesItsBodyOn) {
  const App web({"http"});
  const App api({"http"}, {"K4T_SERVICE=api"});
  const std::string api_url = "http://127.0.0.1:" + std::to_string(api.port);
  EXPECT_NE(get(web.port, "/call?url=" + api_url + "/").find("hello from api"), std::string::npos);
  const std::string missing = get(web.port, "/call?url=" + api_url + "/none");
  EXPECT_TRUE(missing.starts_with("HTTP/1.1 502")) << missing;
  EXPECT_NE(missing.find("X-Upstream-Status: 404"), std::string::npos);
  EXPECT_TRUE(get(web.port, "/call?url=ftp://example.net/").starts_with("HTTP/1.1 400"));
}

TEST(DemoHttp, SlowAndSenselessClientsDisturbNobody) {
  const App app({"http"});
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 300; ++i) {
    idle.push_back(std::make_unique<Client>(app.port));
    ASSERT_TRUE(idle.back()->connected());
    idle.back()->send(i % 2 == 0 ? "GET / HT" : "");
  }
  Client garbage(app.port);
  garbage.send(std::string("\x16\x03\x01\0\0\r\n\r\n", 9));
  EXPECT_TRUE(garbage.response().starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(garbage.at_end());
  Client endless(app.port);
  endless.send("GET / HTTP/1.1\r\nX: " + std::string(100000, 'x'));
  EXPECT_NE(endless.read_through("\r\n\r\n").find("HTTP/1.1 200"), 0u);
  EXPECT_TRUE(get(app.port, "/").starts_with("HTTP/1.1 200"));
}

TEST(DemoHttp, ServesManyRequestsAtOnce) {
  const App app({"http"});
  std::atomic<int> served = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 100; ++i) {
    clients.emplace_back([&] { served += get(app.port, "/slow?ms=300").starts_with("HTTP/1.1 200") ? 1 : 0; });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(served, 100);
}

TEST(DemoHttp, FinishesWhatIsInProgressWhenAskedToEnd) {
  App app({"http"});
  Client busy(app.port);
  busy.send("GET /slow?ms=700 HTTP/1.1\r\nHost: a\r\n\r\n");
  // The answer on a second connection shows that the first request, sent before it, has been taken up.
  get(app.port, "/slow?ms=100");
  ::kill(app.pid, SIGTERM);
  EXPECT_TRUE(eventually([&] { return !Client(app.port).connected(); }));
  const std::string answer = busy.response();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  EXPECT_EQ(app.exit_code(), 0);
}

TEST(DemoHttp, EndsAlthoughAClientNeverDoes) {
  App app({"http", "--drain-ms", "200"});
  Client busy(app.port);
  busy.send("GET /slow?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
  get(app.port, "/slow?ms=50");
  ::kill(app.pid, SIGTERM);
  EXPECT_EQ(app.exit_code(), 0);
}

const std::string kHandshake =
    "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A text frame as a client sends it, with the mask of RFC 6455 §5.7's example.
std::string masked(const std::string& text) {
  const std::string mask = "\x37\xfa\x21\x3d";
  std::string frame = "\x81" + std::string(1, static_cast<char>(0x80 | text.size())) + mask;
  for (std::size_t i = 0; i < text.size(); ++i) frame += static_cast<char>(text[i] ^ mask[i % 4]);
  return frame;
}

TEST(DemoWebSocket, EchoesAfterTheHandshakeAndSaysGoodbyeAtTheEnd) {
  App app({"http"});
  Client client(app.port);
  client.send(kHandshake);
  const std::string head = client.read_through("\r\n\r\n");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 101")) << head;
  EXPECT_NE(head.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), std::string::npos) << head;
  client.send(masked("Hello"));
  EXPECT_EQ(client.read_exactly(7), "\x81\x05Hello");
  ::kill(app.pid, SIGTERM);
  EXPECT_EQ(client.read_exactly(4), "\x88\x02\x03\xe9");
  EXPECT_EQ(app.exit_code(), 0);
}

TEST(DemoWebSocket, RefusesAnUnmaskedFrame) {
  const App app({"http"});
  Client client(app.port);
  client.send(kHandshake);
  client.read_through("\r\n\r\n");
  client.send("\x81\x05Hello");
  EXPECT_EQ(client.read_exactly(4), "\x88\x02\x03\xea");
  EXPECT_TRUE(client.at_end());
}

TEST(DemoTcp, SaysHelloAndEchoesLines) {
  const App app({"tcp"}, {"K4T_INSTANCE=db-1"});
  Client client(app.port);
  EXPECT_EQ(client.read_through("\n"), "hello from db-1\n");
  client.send("one\ntwo\n");
  EXPECT_EQ(client.read_through("two\n"), "one\ntwo\n");
}

TEST(DemoApp, ComplainsAboutATakenPortAndBadArguments) {
  const App app({"http"});
  const Ran taken = run({kApp, "http", std::to_string(app.port), "--listen", "127.0.0.1"});
  EXPECT_EQ(taken.exit_code, 1);
  EXPECT_NE(taken.out.find("Address already in use"), std::string::npos) << taken.out;
  EXPECT_EQ(run({kApp, "udp", "1"}).exit_code, 2);
  EXPECT_EQ(run({kApp, "http", "99999"}).exit_code, 2);
}

TEST(DemoImage, IsTheSameForTheSameProgramAndHoldsLittle) {
  const Scratch scratch;
  const std::string make = std::string(K4T_SOURCE_DIR) + "/demo/make-image";
  const std::string one = scratch.path() / "one.tar";
  const std::string two = scratch.path() / "two.tar";
  ASSERT_EQ(run({make, kApp, one}).exit_code, 0);
  ASSERT_EQ(run({make, kApp, two}).exit_code, 0);
  EXPECT_TRUE(Scratch::read(one) == Scratch::read(two));
  EXPECT_EQ(run({"tar", "tf", one}).out, "app\netc/\netc/group\netc/passwd\ntmp/\n");
}

/// One machine of its own network with a name server on 127.0.0.1 and, in an otherwise empty root, the application.
constexpr const char* kEmptyRoot = R"(ip link set lo up || exit 1
named -4 -f -c "$1/named.conf" -u root & exec chroot "$1/root" /app http 8080)";

TEST(DemoImage, ResolvesNamesThroughTheRealResolverInAnEmptyRoot) {
  for (const char* needed : {"named", "unshare", "nsenter", "ip", "chroot", "curl"}) {
    if (find_program(needed).empty()) K4T_SKIP_OR_FAIL(std::string(needed) + " is not installed");
  }
  if (::geteuid() != 0) K4T_SKIP_OR_FAIL("network namespaces need root");
  const Scratch scratch;
  const std::string folder = scratch.path();
  ASSERT_EQ(run({std::string(K4T_SOURCE_DIR) + "/demo/make-image", kApp, folder + "/image.tar"}).exit_code, 0);
  std::filesystem::create_directory(folder + "/root");
  ASSERT_EQ(run({"tar", "xf", folder + "/image.tar", "-C", folder + "/root"}).exit_code, 0);
  scratch.write("root/etc/resolv.conf", "nameserver 127.0.0.1\nsearch shop.example.net\n");
  scratch.write("zone",
                "@ 5 IN SOA ns.example.net. root.example.net. 1 60 60 60 60\n@ 5 IN NS ns.example.net.\n"
                "api 5 IN A 127.0.0.1\nalias 5 IN CNAME api\n");
  scratch.write("named.conf",
                "options { directory \"" + folder +
                    "\"; pid-file none; session-keyfile none;"
                    " listen-on { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; dnssec-validation no; };\n"
                    "controls {}; zone \"shop.example.net\" { type primary; file \"" +
                    folder + "/zone\"; };\n");
  const Server machine({"unshare", "--net", "sh", "-c", kEmptyRoot, "sh", folder}, scratch.path() / "log",
                       {{"K4T_INSTANCE", "web-1"}});
  const auto call = [&](const std::string& host) {
    return run({"nsenter", "--net=/proc/" + std::to_string(machine.pid()) + "/ns/net", "curl", "-s", "-m", "20",
                "http://127.0.0.1:8080/call?url=http://" + host + ":8080/"})
        .out;
  };
  EXPECT_TRUE(
      eventually([&] { return call("api.shop.example.net") == "hello from demo web-1\n"; }, std::chrono::seconds(20)))
      << call("api.shop.example.net") << Scratch::read(scratch.path() / "log");
  EXPECT_EQ(call("alias"), "hello from demo web-1\n");
  EXPECT_EQ(call("none.shop.example.net"), "cannot resolve none.shop.example.net\n");
}

}  // namespace
