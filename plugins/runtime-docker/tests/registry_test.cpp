#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "docker_driver.hpp"
#include "k4t/http.hpp"
#include "support/docker_engine.hpp"

/// Pulling from a real registry.

namespace k4t::docker {
namespace {

using k4t::testing::DockerEngine;
using k4t::testing::eventually;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace method = runtime::method;

constexpr const char* user = "deploy";
constexpr const char* password = R"(pass"w\ord-4711)";
/// The password's bcrypt hash, as htpasswd writes it.
constexpr const char* users = "deploy:$2b$04$k4tk4tk4tk4tk4tk4tk4tuyB0qRh7jubgmp5MVAaNd8y4pPu2y6HW\n";

/// A registry on the loopback address.
class Registry {
 public:
  explicit Registry(bool with_login = false) : port_(k4t::testing::free_port()), with_login_(with_login) { start(); }

  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void stop() { server_->kill_all(); }
  void start() {
    std::string config =
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: " + (scratch_.path() / "data").string() +
        "\nhttp:\n  addr: " + address() + "\n";
    if (with_login_) {
      config += "auth:\n  htpasswd:\n    realm: test\n    path: " + scratch_.write("users", users).string() + "\n";
    }
    server_ = std::make_unique<k4t::testing::Server>(
        std::vector<std::string>{"docker-registry", "serve", scratch_.write("config.yml", config).string()},
        scratch_.path() / "log");
    if (!eventually([&] { return http::probe("127.0.0.1", port_, "/v2/", std::chrono::seconds(1)).ok(); })) {
      throw std::runtime_error("the registry does not start");
    }
  }

 private:
  k4t::testing::Scratch scratch_;
  std::uint16_t port_;
  bool with_login_;
  std::unique_ptr<k4t::testing::Server> server_;
};

class Recorder final : public CallSink {
 public:
  void progress(const Progress& progress) override {
    ++count;
    text += progress.text + "\n";
  }
  int count = 0;
  std::string text;
};

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = DockerEngine::missing(); !missing.empty()) K4T_SKIP_OR_FAIL(missing);
    if (k4t::testing::find_program("docker-registry").empty()) K4T_SKIP_OR_FAIL("docker-registry is not installed");
    registry_ = std::make_unique<Registry>();
    open({});
  }

  /// One that logs all that it ever logs.
  static DockerEngine& engine() {
    static DockerEngine engine({"--debug"});
    return engine;
  }

  /// The driver from now on, with these logins.
  void open(const Json& logins) {
    HostCall host({});
    Call context(*host.raw());
    Json options{{"host", engine().host()}};
    if (!logins.is_null()) options["registries"] = logins;
    callee_.reset();
    driver_ = *open_driver({"t", "t.example.net", "node1", "127.0.0.1", options}, context);
    callee_ = std::make_unique<DirectCallee<runtime::Kind>>(*driver_);
  }

  /// Puts an image into a registry, and none of it stays on the node.
  void publish(const Registry& registry, const std::string& repository, const std::string& tag) {
    engine().import_image("k4t-test/local:1");
    const std::string name = registry.address() + "/" + repository;
    const std::string remote = "/images/" + name;
    EXPECT_EQ(docker("POST", "/images/k4t-test/local:1/tag?repo=" + http::percent_encode(name) + "&tag=" + tag), 201);
    EXPECT_EQ(docker("POST", remote + "/push?tag=" + tag), 200);
    EXPECT_EQ(docker("DELETE", remote + ":" + tag + "?force=1"), 200);
    EXPECT_EQ(docker("DELETE", "/images/k4t-test/local:1?force=1"), 200);
  }

  static int docker(const std::string& verb, const std::string& path) {
    http::Endpoint endpoint;
    endpoint.unix_path = engine().socket().string();
    http::Request request{.method = verb, .target = path};
    request.headers["X-Registry-Auth"] = base64url(Json{{"username", user}, {"password", password}}.dump());
    const auto response = http::Client(endpoint).send(request);
    return response && response->body.find("\"error\"") == std::string::npos ? response->status : -1;
  }

  Result<runtime::ImageReply> ensure(const std::string& reference, bool refresh = false, CallSink* sink = nullptr) {
    return invoke<method::EnsureImage>(*callee_, {reference, refresh}, {std::chrono::seconds(60), sink});
  }

  std::unique_ptr<Registry> registry_;
  std::unique_ptr<runtime::Driver> driver_;
  std::unique_ptr<DirectCallee<runtime::Kind>> callee_;
};

TEST_F(RegistryTest, AnAbsentImageIsPulledWithProgressAndAPresentOneIsNotAskedFor) {
  publish(*registry_, "team/web", "1.4");
  const std::string reference = registry_->address() + "/team/web:1.4";
  Recorder sink;
  const auto pulled = ensure(reference, false, &sink);
  ASSERT_TRUE(pulled.ok()) << pulled.error().message << pulled.error().detail;
  EXPECT_GT(sink.count, 0);
  EXPECT_EQ(ensure(reference, true)->id, pulled->id);
  registry_->stop();
  EXPECT_EQ(ensure(reference)->id, pulled->id) << "the registry is not needed";
  const auto refreshed = ensure(reference, true);
  ASSERT_EQ(refreshed.status(), Status::unavailable);
  EXPECT_THAT(refreshed.error().message, HasSubstr("connection refused"));
}

TEST_F(RegistryTest, WhatTheRegistryDoesNotHaveIsNotFound) {
  publish(*registry_, "team/web", "1.4");
  const std::vector<std::string> references{"/team/web:9", "/team/none:1", "/team/web@sha256:" + std::string(64, '0')};
  for (const std::string& missing : references) {
    const auto absent = ensure(registry_->address() + missing);
    ASSERT_EQ(absent.status(), Status::not_found) << missing << absent.error().message << absent.error().detail;
    EXPECT_THAT(absent.error().message, HasSubstr("neither on this node nor in its registry"));
  }
}

class LoginTest : public RegistryTest {
 protected:
  void SetUp() override {
    RegistryTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    guarded_ = std::make_unique<Registry>(/*with_login=*/true);
    publish(*guarded_, "team/web", "1.4");
    set_password(password);
    open(Json::array({login(*guarded_)}));
  }

  void set_password(const std::string& text) const { scratch_.write("password", text + "\n", 0600); }
  [[nodiscard]] std::string file() const { return (scratch_.path() / "password").string(); }
  [[nodiscard]] Json login(const Registry& registry) const {
    return {{"server", registry.address()}, {"user", user}, {"password_file", file()}};
  }
  [[nodiscard]] std::string image(const char* rest = "/team/web:1.4") const { return guarded_->address() + rest; }

  k4t::testing::Scratch scratch_;
  std::unique_ptr<Registry> guarded_;
};

/// None of the shapes in which the text could stand somewhere.
void expect_absent(const std::string& secret, const std::string& text) {
  for (const auto& shape : {secret, Json(secret).dump(), base64url(user + (":" + secret))}) {
    EXPECT_THAT(text, Not(HasSubstr(shape)));
  }
}

TEST_F(LoginTest, AnImageBehindALoginIsPulledWithThePasswordThatIsInTheFileNow) {
  Recorder sink;
  const auto pulled = ensure(image(), true, &sink);
  ASSERT_TRUE(pulled.ok()) << pulled.error().message << pulled.error().detail;
  set_password("other");
  EXPECT_EQ(ensure(image(), true).status(), Status::invalid_argument);
  set_password(password);
  EXPECT_EQ(ensure(image(), true)->id, pulled->id);
  EXPECT_THAT(engine().log(), HasSubstr("/images/create?fromImage=")) << "the engine logs what it is asked";
  expect_absent(password, engine().log());
  expect_absent(password, sink.text);
}

TEST_F(LoginTest, AWrongPasswordIsToldWithoutShowingIt) {
  set_password("wrong-4712");
  Recorder sink;
  const auto refused = ensure(image(), false, &sink);
  ASSERT_EQ(refused.status(), Status::invalid_argument);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("refuses the user deploy"), HasSubstr(file())));
  expect_absent("wrong-4712", refused.error().message + refused.error().detail + sink.text + engine().log());
}

TEST_F(LoginTest, WithoutALoginThereIsARemedy) {
  open({});
  const auto refused = ensure(image());
  ASSERT_EQ(refused.status(), Status::invalid_argument);
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr("wants a login"), HasSubstr("options.registries"), HasSubstr(guarded_->address())));
}

TEST_F(LoginTest, WhatTheRegistryDoesNotHaveIsNotFound) {
  for (const char* missing : {"/team/web:9", "/team/none:1"}) {
    const auto absent = ensure(image(missing));
    EXPECT_EQ(absent.status(), Status::not_found) << missing << absent.error().message << absent.error().detail;
  }
}

TEST_F(LoginTest, AnotherRegistryIsNotShownTheLogin) {
  // It would accept the same password.
  open(Json::array({{{"server", registry_->address()}, {"user", user}, {"password_file", file()}}}));
  const auto refused = ensure(image());
  ASSERT_EQ(refused.status(), Status::invalid_argument) << "the login went to another registry";
  EXPECT_THAT(refused.error().message, HasSubstr("wants a login"));
  publish(*registry_, "team/open", "1");
  EXPECT_TRUE(ensure(registry_->address() + "/team/open:1").ok()) << "a registry that asks for none takes one";
}

TEST_F(LoginTest, APasswordFileThatIsGoneIsToldAndNothingIsAsked) {
  std::filesystem::remove(file());
  const auto refused = ensure(image());
  ASSERT_EQ(refused.status(), Status::invalid_argument);
  EXPECT_THAT(refused.error().message, HasSubstr(file() + " cannot be opened"));
}

}  // namespace
}  // namespace k4t::docker
