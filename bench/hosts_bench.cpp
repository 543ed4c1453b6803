#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine_stand_in.hpp"
#include "lab/lab.hpp"
#include "lab/servers.hpp"

/// `k4t status` of many machines, each with an sshd of its own, beside what the OpenSSH client takes to run `true` on
/// all of them; then the same with one machine that answers nothing. As root.

namespace k4t::bench {
namespace {

using testing::lab::Keys;
using testing::lab::Lab;
using testing::lab::Machine;
using Clock = std::chrono::steady_clock;

constexpr int rounds = 3;
constexpr std::size_t witnesses = 3;
constexpr std::size_t at_once[] = {1, 2, 4, 8, 16, 32, 50};
constexpr const char* domain = "bench.example.net";
constexpr const char* connect_timeout = "10s";

double took_ms(const std::function<void()>& action) {
  const auto begun = Clock::now();
  action();
  return std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
}

double median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return all.at(all.size() / 2);
}

class Hosts {
 public:
  explicit Hosts(std::size_t count) : keys_(lab_), master_(lab_.add("master")) {
    for (std::size_t i = 0; i < count; ++i) {
      Machine& machine = lab_.add("n" + std::to_string(i + 1));
      keys_.run_sshd(machine);
      engines_.listen(machine.at("/run/docker.sock"));
      machines_.push_back(&machine);
      addresses_ += machine.address() + "\n";
    }
    testing::lab::make_bind_key(lab_.folder() / "k4t.key");
    testing::lab::run_bind(lab_.add("ns1"), domain, lab_.folder() / "k4t.key");
    master_.write("/root/k4t/k4t.toml", configuration());
  }

  /// How many nodes it says are ready.
  std::size_t status() {
    const auto ran = master_.run({"env", "--chdir=/root/k4t", std::string(K4T_BINARY_DIR) + "/bin/k4t", "status"});
    if (ran.exit_code != 0) throw std::runtime_error("k4t status: " + ran.out);
    std::size_t ready = 0;
    for (auto at = ran.out.find(" ready "); at != std::string::npos; at = ran.out.find(" ready ", at + 1)) ++ready;
    return ready;
  }

  void run_true(std::size_t processes) const {
    master_.must({"xargs",
                  "-P",
                  std::to_string(processes),
                  "-I",
                  "{}",
                  "ssh",
                  "-F",
                  "/dev/null",
                  "-i",
                  keys_.identity(),
                  "-o",
                  "IdentitiesOnly=yes",
                  "-o",
                  "UserKnownHostsFile=" + keys_.known_hosts(),
                  "-o",
                  "StrictHostKeyChecking=yes",
                  "-o",
                  "BatchMode=yes",
                  "root@{}",
                  "true"},
                 addresses_);
  }

  Machine& last() { return *machines_.back(); }

 private:
  [[nodiscard]] std::string configuration() {
    std::string text = std::string("[cluster]\nname = \"bench\"\ndomain = \"") + domain + "\"\n\n[plugins]\n" +
                       "folders = [\"" + K4T_BINARY_DIR + "/plugins\"]\n\n[ssh]\nidentity = [\"" + keys_.identity() +
                       "\"]\nknown_hosts = \"" + keys_.known_hosts() + "\"\nconnect_timeout = \"" + connect_timeout +
                       "\"\n\n[[dns]]\nname = \"ns1\"\ndriver = \"bind\"\naddress = \"" + lab_["ns1"].address() +
                       "\"\noptions.key_file = \"" + (lab_.folder() / "k4t.key").string() + "\"\n";
    for (std::size_t i = 0; i < machines_.size(); ++i) {
      const std::string url = "ssh://root@" + machines_[i]->address();
      text += "\n[[node]]\nname = \"" + machines_[i]->name() + "\"\ndriver = \"docker\"\naddress = \"" +
              machines_[i]->address() + "\"\noptions.host = \"" + url + "\"\n";
      if (i >= witnesses) continue;
      text +=
          "\n[[witness]]\nid = \"w" + std::to_string(i + 1) + "\"\nhost = \"" + url + "\"\npath = \"/var/lib/k4t\"\n";
    }
    return text;
  }

  Lab lab_;
  Keys keys_;
  Machine& master_;
  EngineStandIn engines_;
  std::vector<Machine*> machines_;
  std::string addresses_;
};

void expect_ready(std::size_t ready, std::size_t expected) {
  if (ready == expected) return;
  throw std::runtime_error(std::to_string(ready) + " nodes are ready, not " + std::to_string(expected));
}

/// Of the numbers of processes that were tried once each, the two that were best.
std::vector<std::size_t> best_at_once(const Hosts& hosts) {
  std::map<double, std::size_t> by_time;
  for (const auto processes : at_once) {
    const double ms = took_ms([&] { hosts.run_true(processes); });
    std::printf("ssh true, %2zu at once        %8.0f ms once\n", processes, ms);
    by_time[ms] = processes;
  }
  return {by_time.begin()->second, std::next(by_time.begin())->second};
}

/// Both take turns, so that what else the machine does falls on both.
void compare(Hosts& hosts, std::size_t count) {
  const auto candidates = best_at_once(hosts);
  std::vector<double> status_ms;
  std::map<std::size_t, std::vector<double>> ssh_ms;
  for (int round = 0; round < rounds; ++round) {
    status_ms.push_back(took_ms([&] { expect_ready(hosts.status(), count); }));
    for (const auto processes : candidates) ssh_ms[processes].push_back(took_ms([&] { hosts.run_true(processes); }));
  }
  double best_ms = median(ssh_ms.begin()->second);
  for (const auto& [processes, all_ms] : ssh_ms) {
    std::printf("ssh true, %2zu at once    p50 %8.0f ms\n", processes, median(all_ms));
    best_ms = std::min(best_ms, median(all_ms));
  }
  std::printf("k4t status              p50 %8.0f ms   %.2f times the best of ssh\n", median(status_ms),
              median(status_ms) / best_ms);
}

void measure_silence(Hosts& hosts, std::size_t count) {
  hosts.last().unplug();
  std::vector<double> status_ms;
  for (int round = 0; round < rounds; ++round) {
    status_ms.push_back(took_ms([&] { expect_ready(hosts.status(), count - 1); }));
  }
  std::printf("k4t status, one silent  p50 %8.0f ms   connect_timeout is %s\n", median(status_ms), connect_timeout);
}

void run(std::size_t count) {
  Hosts hosts(count);
  std::printf("%zu machines and %zu witnesses on them; a stand-in answers for each Docker Engine. Medians of %d.\n",
              count, std::min(count, witnesses), rounds);
  compare(hosts, count);
  measure_silence(hosts, count);
}

}  // namespace
}  // namespace k4t::bench

int main(int argc, char** argv) {
  if (const auto why = k4t::testing::lab::missing(); !why.empty()) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return 1;
  }
  try {
    k4t::bench::run(argc > 1 ? std::stoul(argv[1]) : 50);
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "%s\n", failed.what());
    return 1;
  }
}
