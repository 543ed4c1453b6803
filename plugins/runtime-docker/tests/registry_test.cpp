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
using ::testing::HasSubstr;
namespace method = runtime::method;

/// A registry on the loopback address, without a login.
class Registry {
 public:
  Registry() : port_(k4t::testing::free_port()) { start(); }

  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void stop() { server_->kill_all(); }
  void start() {
    const auto config =
        scratch_.write("config.yml", "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: " +
                                         (scratch_.path() / "data").string() + "\nhttp:\n  addr: " + address() + "\n");
    server_ = std::make_unique<k4t::testing::Server>(
        std::vector<std::string>{"docker-registry", "serve", config.string()}, scratch_.path() / "log");
    if (!eventually([&] { return http::probe("127.0.0.1", port_, "/v2/", std::chrono::seconds(1)).ok(); })) {
      throw std::runtime_error("the registry does not start");
    }
  }

 private:
  k4t::testing::Scratch scratch_;
  std::uint16_t port_;
  std::unique_ptr<k4t::testing::Server> server_;
};

class CountingSink final : public CallSink {
 public:
  void progress(const Progress& /*progress*/) override { ++count; }
  int count = 0;
};

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = DockerEngine::missing(); !missing.empty()) K4T_SKIP_OR_FAIL(missing);
    if (k4t::testing::find_program("docker-registry").empty()) K4T_SKIP_OR_FAIL("docker-registry is not installed");
    registry_ = std::make_unique<Registry>();
    HostCall host({});
    Call context(*host.raw());
    driver_ =
        *open_driver({"t", "t.example.net", "node1", "127.0.0.1", {{"host", DockerEngine::shared().host()}}}, context);
    callee_ = std::make_unique<DirectCallee<runtime::Kind>>(*driver_);
  }

  /// Puts an image into the registry, and none of it stays on the node.
  void publish(const std::string& repository, const std::string& tag) {
    DockerEngine::shared().import_image("k4t-test/local:1");
    const std::string name = registry_->address() + "/" + repository;
    const std::string remote = "/images/" + name;
    EXPECT_EQ(docker("POST", "/images/k4t-test/local:1/tag?repo=" + http::percent_encode(name) + "&tag=" + tag), 201);
    EXPECT_EQ(docker("POST", remote + "/push?tag=" + tag), 200);
    EXPECT_EQ(docker("DELETE", remote + ":" + tag + "?force=1"), 200);
    EXPECT_EQ(docker("DELETE", "/images/k4t-test/local:1?force=1"), 200);
  }

  static int docker(const std::string& verb, const std::string& path) {
    http::Endpoint endpoint;
    endpoint.unix_path = DockerEngine::shared().socket().string();
    http::Request request{.method = verb, .target = path};
    request.headers["X-Registry-Auth"] = "e30=";  // {}
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
  publish("team/web", "1.4");
  const std::string reference = registry_->address() + "/team/web:1.4";
  CountingSink sink;
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
  publish("team/web", "1.4");
  const std::vector<std::string> references{"/team/web:9", "/team/none:1", "/team/web@sha256:" + std::string(64, '0')};
  for (const std::string& missing : references) {
    const auto absent = ensure(registry_->address() + missing);
    ASSERT_EQ(absent.status(), Status::not_found) << missing << absent.error().message << absent.error().detail;
    EXPECT_THAT(absent.error().message, HasSubstr("neither on this node nor in its registry"));
  }
}

}  // namespace
}  // namespace k4t::docker
