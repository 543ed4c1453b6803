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

void report(const char* what, const std::string& way, std::vector<double> all_ms) {
  std::sort(all_ms.begin(), all_ms.end());
  std::printf("%-28s %-5s p50 %8.2f ms   p90 %8.2f ms\n", what, way.c_str(), all_ms.at(all_ms.size() / 2),
              all_ms.at(all_ms.size() * 9 / 10));
}

std::vector<double> repeated(int times, const std::function<void()>& action) {
  std::vector<double> all_ms;
  for (int n = 0; n < times; ++n) all_ms.push_back(took_ms(action));
  return all_ms;
}

/// Each of several callers at once makes its share of the calls.
std::vector<double> side_by_side(Opened& driver) {
  std::vector<std::vector<double>> own(callers);
  std::vector<std::thread> threads;
  for (auto& all_ms : own) {
    threads.emplace_back([&] { all_ms = repeated(calls / callers, [&] { driver.call<method::Info>({}); }); });
  }
  for (auto& thread : threads) thread.join();
  std::vector<double> all_ms;
  for (const auto& part : own) all_ms.insert(all_ms.end(), part.begin(), part.end());
  return all_ms;
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

void measure(testing::DockerMachine& machine, const std::string& way, const Json& options) {
  report("open and info", way, repeated(openings, [&] { Opened(options).call<method::Info>({}); }));
  const auto logins = machine.sshd.logins();
  Opened driver(options);
  driver.call<method::Info>({});
  report("info", way, repeated(calls, [&] { driver.call<method::Info>({}); }));
  report("list of 20 instances", way, repeated(calls / 4, [&] { driver.call<method::List>({"t"}); }));
  report("info, 8 callers at once", way, side_by_side(driver));
  std::printf("%-28s %-5s %zu\n", "SSH logins for all of these", way.c_str(), machine.sshd.logins() - logins);
}

void run() {
  auto& machine = testing::DockerMachine::shared();
  machine.engine.import_image(image);
  const Json nearby{{"host", machine.engine.host()}};
  Opened local(nearby);
  create_instances(local);
  measure(machine, "unix", nearby);
  measure(machine, "ssh", machine.over_ssh());
  measure(machine, "tls", machine.over_tls(machine.tls()));
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
