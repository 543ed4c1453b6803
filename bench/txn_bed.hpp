#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "drivers/cluster_ports.hpp"
#include "drivers/fleet.hpp"
#include "plugin/catalog.hpp"
#include "support/bind_server.hpp"
#include "support/haproxy_server.hpp"
#include "support/nginx_server.hpp"
#include "support/process.hpp"
#include "txn/runner.hpp"

/// Real gateways and DNS servers of one cluster with one run on them, to measure transactions with.

namespace k4t::bench {

using Milliseconds = std::chrono::duration<double, std::milli>;

/// What one transaction took.
struct Times {
  Milliseconds whole{};
  std::map<std::string, Milliseconds> rounds;  ///< "prepare", "vote", "commit"
  /// By round and member, e.g. "commit gateway gw1".
  std::map<std::string, Milliseconds> members;
};

class Bed : private txn::Listener {
 public:
  /// `gateways`: vendors, "nginx" or "haproxy". All servers run on loopback, and `services` services with two endpoints
  /// each are committed on them. Throws std::runtime_error where that fails.
  Bed(plugin::Catalog& catalog, std::vector<std::string> gateways, std::size_t dns_servers, std::size_t services);
  ~Bed() override;

  /// The state that is committed now, to be changed and proposed.
  [[nodiscard]] const model::State& state() const { return state_; }
  /// One transaction. Throws std::runtime_error unless every member committed.
  Times commit(const model::State& next);

  /// The change that is measured: another port of one endpoint, another text of one record.
  [[nodiscard]] model::State small_change();

  [[nodiscard]] const testing::NginxServer& nginx(std::size_t index) const { return *nginx_.at(index); }
  [[nodiscard]] const testing::HaproxyServer& haproxy(std::size_t index) const { return *haproxy_.at(index); }
  [[nodiscard]] const testing::BindServer& dns(std::size_t index) const { return *dns_.at(index); }
  [[nodiscard]] std::string domain() const { return cluster_.domain; }

 private:
  using Clock = std::chrono::steady_clock;

  void on_phase(txn::Phase phase) override;
  void on_participant(const txn::Participant& who, std::string_view what, std::string_view why) override;
  void add_nginx(const std::string& name);
  void add_haproxy(const std::string& name);
  void add_dns(const std::string& name);
  void start_run();

  testing::Scratch scratch_;
  std::vector<std::unique_ptr<testing::NginxServer>> nginx_;
  std::vector<std::unique_ptr<testing::HaproxyServer>> haproxy_;
  std::vector<std::unique_ptr<testing::BindServer>> dns_;
  std::uint16_t http_port_;
  model::Cluster cluster_;
  model::State state_;
  std::unique_ptr<drivers::Fleet> fleet_;
  std::unique_ptr<drivers::ClusterPorts> ports_;
  std::unique_ptr<txn::Runner> runner_;
  unsigned changes_ = 0;

  Times times_;
  std::string round_;
  Clock::time_point round_began_;
  std::map<std::string, Clock::time_point> member_began_;
  std::string complaint_;
};

}  // namespace k4t::bench
