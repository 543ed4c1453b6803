#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>

#include "docker_driver.hpp"
#include "support/docker_machine.hpp"

/// What calls to a Docker Engine cost over a socket of this machine, over SSH and over TCP with TLS. As root.

namespace k4t::bench {
namespace {

namespace method = runtime::method;
using Clock = std::chrono::steady_clock;

constexpr int calls = 200;
constexpr int openings = 20;
constexpr int instances = 20;
constexpr std::size_t callers = 8;
constexpr const char* image = "k4t-test/busybox:1";

class Opened {
 public:
  explicit Opened(const Json& options) {
    HostCall host({});
    Call context(*host.raw());
    auto driver = docker::open_driver({"t", "t.example.net", "node1", "127.0.0.1", options}, context);
    if (!driver) throw std::runtime_error(driver.error().message);
    driver_ = *std::move(driver);
    callee_ = std::make_unique<DirectCallee<runtime::Kind>>(*driver_);
  }

  template <class M>
  typename M::Reply call(const typename M::Request& request) {
    auto reply = invoke<M>(*callee_, request, {std::chrono::seconds(60), nullptr});
    if (!reply) throw std::runtime_error(reply.error().message);
    return *std::move(reply);
  }

 private:
  std::unique_ptr<runtime::Driver> driver_;
  std::unique_ptr<DirectCallee<runtime::Kind>> callee_;
};

double took_ms(const std::function<void()>& action) {
  const auto begun = Clock::now();
  action();
  return std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
}

/// A way to the engine, and how the driver takes it.
struct Way {
  std::string name;
  Json options;
  std::unique_ptr<Opened> driver;
};

void report(const char* what, const std::string& way, std::vector<double> all_ms) {
  std::sort(all_ms.begin(), all_ms.end());
  std::printf("%-24s %-5s least %8.2f ms   p50 %8.2f ms   p90 %8.2f ms\n", what, way.c_str(), all_ms.front(),
              all_ms.at(all_ms.size() / 2), all_ms.at(all_ms.size() * 9 / 10));
}

/// The ways take turns, so that what else the machine does falls on all of them.
void compare(const char* what, std::vector<Way>& ways, int times, const std::function<void(Way&)>& action) {
  std::vector<std::vector<double>> all_ms(ways.size());
  for (int n = 0; n < times; ++n) {
    for (std::size_t way = 0; way < ways.size(); ++way) {
      all_ms[way].push_back(took_ms([&] { action(ways[way]); }));
    }
  }
  for (std::size_t way = 0; way < ways.size(); ++way) report(what, ways[way].name, all_ms[way]);
}

/// As many calls as callers, at once.
void call_side_by_side(Way& way) {
  std::vector<std::thread> threads;
  for (std::size_t n = 0; n < callers; ++n) threads.emplace_back([&] { way.driver->call<method::Info>({}); });
  for (auto& thread : threads) thread.join();
}

void create_instances(Opened& driver) {
  for (int n = 0; n < instances; ++n) {
    runtime::InstanceSpec spec;
    spec.name = "t-web-" + std::to_string(n);
    spec.image = image;
    spec.command = {"true"};
    spec.labels = {{"k4t.cluster", "t"}, {"k4t.instance", std::to_string(n)}};
    driver.call<method::Create>(spec);
  }
}

void run() {
  auto& machine = testing::DockerMachine::shared();
  machine.engine.import_image(image);
  std::vector<Way> ways(3);
  ways[0] = {"unix", {{"host", machine.engine.host()}}, nullptr};
  ways[1] = {"ssh", machine.over_ssh(), nullptr};
  ways[2] = {"tls", machine.over_tls(machine.tls()), nullptr};
  compare("open and info", ways, openings, [](Way& way) { Opened(way.options).call<method::Info>({}); });
  const auto logins = machine.sshd.logins();
  for (auto& way : ways) way.driver = std::make_unique<Opened>(way.options);
  create_instances(*ways[0].driver);
  compare("info", ways, calls, [](Way& way) { way.driver->call<method::Info>({}); });
  compare("list of 20 instances", ways, calls, [](Way& way) { way.driver->call<method::List>({"t"}); });
  compare("8 times info at once", ways, calls / 4, call_side_by_side);
  std::printf("SSH logins once opened: %zu\n", machine.sshd.logins() - logins);
}

}  // namespace
}  // namespace k4t::bench

int main() {
  if (!k4t::testing::DockerEngine::missing().empty() || !k4t::testing::SshdServer::available()) {
    std::fprintf(stderr, "needs root, dockerd and sshd\n");
    return 1;
  }
  k4t::bench::run();
}
