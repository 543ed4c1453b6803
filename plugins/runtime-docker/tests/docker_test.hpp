#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <memory>
#include <string>

#include "docker_driver.hpp"
#include "k4t/conformance_gtest.hpp"
#include "k4t/http.hpp"
#include "support/docker_engine.hpp"

/// What tests of the driver on a real engine share.

namespace k4t::docker {

namespace method = runtime::method;
using runtime::Instance;
using runtime::InstanceSpec;

inline constexpr const char* image = "k4t-test/busybox:1";

class OutputSink final : public CallSink {
 public:
  bool stream(Channel channel, std::string_view bytes) override {
    (channel == Channel::out ? out : err) += bytes;
    return !stop_at.empty() ? out.find(stop_at) == std::string::npos : true;
  }
  void progress(const Progress& /*progress*/) override { ++progresses; }
  std::string out;
  std::string err;
  std::string stop_at;  ///< wants no more once this has come
  int progresses = 0;
};

class DockerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = k4t::testing::DockerEngine::missing(); !missing.empty()) K4T_SKIP_OR_FAIL(missing);
    static const bool imported = (engine().import_image(image), true);
    ASSERT_TRUE(imported);
    driver_ = open(options());
    callee_ = std::make_unique<DirectCallee<runtime::Kind>>(*driver_);
  }

  void TearDown() override {
    if (!callee_) return;
    const auto left = call<method::List>({"t"});
    ASSERT_TRUE(left.ok()) << left.error().message;
    for (const Instance& instance : left->instances) EXPECT_TRUE(call<method::Remove>({instance.name}).ok());
  }

  /// The one engine of this test program, and how the driver is told to reach it.
  [[nodiscard]] virtual k4t::testing::DockerEngine& engine() { return k4t::testing::DockerEngine::shared(); }
  [[nodiscard]] virtual Json options() { return {{"host", engine().host()}}; }

  static std::unique_ptr<runtime::Driver> open(const Json& options) {
    HostCall host({});
    Call context(*host.raw());
    auto driver = open_driver({"t", "t.example.net", "node1", "127.0.0.1", options}, context);
    if (!driver) throw std::runtime_error(driver.error().message);
    return *std::move(driver);
  }

  void expect_conformance() {
    conformance::RuntimeSubject subject;
    subject.driver = callee_.get();
    subject.capabilities = describe().capabilities;
    subject.cluster = "t";
    subject.instance = script("x", "echo ready; exec sleep 600");
    subject.log_line = "ready";
    subject.hooks.freeze = [this] { engine().freeze(); };
    subject.hooks.thaw = [this] { engine().thaw(); };
    subject.hooks.take_down = [this] { engine().kill(); };
    subject.hooks.bring_up = [this] { engine().start(); };
    subject.hooks.open_another = [this]() -> std::unique_ptr<Callee> {
      other_ = open(options());
      return std::make_unique<DirectCallee<runtime::Kind>>(*other_);
    };
    subject.foreign_name = "foreign";
    ASSERT_EQ(docker("/containers/create?name=foreign", "POST", {{"Image", image}, {"Cmd", {"true"}}}), 201);
    K4T_EXPECT_CONFORMS(conformance::check_runtime(subject));
    EXPECT_EQ(docker("/containers/foreign", "DELETE", nullptr), 204);
  }

  template <class M>
  Result<typename M::Reply> call(const typename M::Request& request, CallSink* sink = nullptr,
                                 std::chrono::milliseconds timeout = std::chrono::seconds(60)) {
    return invoke<M>(*callee_, request, {timeout, sink});
  }

  /// An instance that runs a shell script.
  static InstanceSpec script(const std::string& instance, const std::string& text) {
    InstanceSpec spec;
    spec.name = "t-web-" + instance;
    spec.image = image;
    spec.command = {"/bin/sh", "-c", text};
    spec.labels = {{"k4t.cluster", "t"}, {"k4t.instance", instance}};
    spec.restart = runtime::Restart::never;
    spec.stop_timeout_s = 1;
    return spec;
  }

  Instance run(const InstanceSpec& spec) {
    const auto created = call<method::Create>(spec);
    EXPECT_TRUE(created.ok()) << created.error().message;
    const auto started = call<method::Start>({spec.name});
    EXPECT_TRUE(started.ok()) << started.error().message << started.error().detail;
    return started ? *started : Instance{};
  }

  Instance ended(const std::string& name) {
    Instance now;
    EXPECT_TRUE(k4t::testing::eventually([&] {
      const auto seen = call<method::Inspect>({name});
      if (seen) now = *seen;
      return now.phase == runtime::Phase::exited;
    }));
    return now;
  }

  std::string logs(const std::string& name, std::uint32_t tail = 0) {
    OutputSink sink;
    EXPECT_TRUE(call<method::Logs>({name, false, tail, false}, &sink).ok());
    return sink.out;
  }

  /// Asks the engine itself.
  Result<http::Response> ask(const std::string& path, const char* verb, const Json& body = nullptr) {
    http::Endpoint endpoint;
    endpoint.unix_path = engine().socket().string();
    http::Request request{.method = verb, .target = path};
    request.headers["Content-Type"] = "application/json";
    request.body = body.dump();
    return http::Client(endpoint).send(request);
  }

  /// Asks the engine itself; the status that it answers with.
  int docker(const std::string& path, const char* verb, const Json& body) {
    const auto response = ask(path, verb, body);
    return response ? response->status : -1;
  }

  /// Whether the engine's own record of what happened has that a program of `name` met its memory limit.
  bool heard_of_memory_limit(const std::string& name) {
    const Json filters{{"event", {"oom"}}, {"container", {name}}};
    const auto events = ask("/events?since=0&until=" + std::to_string(std::time(nullptr)) +
                                "&filters=" + http::percent_encode(filters.dump()),
                            "GET");
    return events && events->body.find("oom") != std::string::npos;
  }

  std::unique_ptr<runtime::Driver> driver_;
  std::unique_ptr<runtime::Driver> other_;
  std::unique_ptr<DirectCallee<runtime::Kind>> callee_;
};

}  // namespace k4t::docker
