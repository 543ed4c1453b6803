#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "k4t/json.hpp"
#include "support/bind_server.hpp"
#include "support/haproxy_server.hpp"
#include "support/nginx_server.hpp"
#include "support/process.hpp"

/// A whole cluster of real servers on loopback, driven through the k4t program as a user would: one node, nginx and
/// HAProxy as gateways, two BIND servers.

/// Leaves the test as skipped, or failed, where such a cluster cannot be had.
#define K4T_REQUIRE_CLUSTER()                                                                         \
  do {                                                                                                \
    if (const auto why = ::k4t::testing::RealCluster::missing(); !why.empty()) K4T_SKIP_OR_FAIL(why); \
  } while (false)

namespace k4t::testing {

struct RealClusterOptions {
  /// Docker Engine to run instances on ("unix:///…"); empty: the process runtime.
  std::string docker_host;
  std::string availability = "one";
};

class RealCluster {
 public:
  /// Why such a cluster cannot be had here; empty: it can.
  static std::string missing();

  explicit RealCluster(const RealClusterOptions& options = {});

  /// What a k4t command did.
  struct Command {
    int exit_code = -1;
    std::string out;  ///< standard output
    std::string err;
    [[nodiscard]] Json json() const { return Json::parse(out); }
  };
  /// Runs k4t in the cluster's folder. `env` is added to its environment.
  Command k4t(const std::vector<std::string>& arguments, const std::map<std::string, std::string>& env = {});
  /// `apply -f services`, its last words in `out`.
  Command apply(const std::map<std::string, std::string>& env = {}) { return k4t({"apply", "-f", "services"}, env); }
  /// The same without waiting for its end.
  std::unique_ptr<Server> start_apply(const std::filesystem::path& log);

  /// Writes services/NAME.toml. The text may use @http@ and @tcp@ for the gateways' ports.
  void service(const std::string& name, const std::string& text);
  void remove_service_file(const std::string& name);
  /// A web service of so many replicas that answers `greeting`.
  void web(unsigned replicas, const std::string& greeting);

  /// GET at a gateway; the status and body of what it answered, 0 where it did not.
  struct Answer {
    int status = 0;
    std::string body;
  };
  [[nodiscard]] Answer get(const std::string& gateway_address, const std::string& host,
                           const std::string& path = "/") const;

  /// What the running servers say: version by member ("gw1", "gw2", "ns1", "ns2"); 0: no register, -1: no answer.
  std::map<std::string, int> served_versions();

  [[nodiscard]] std::filesystem::path folder() const { return scratch_.path(); }
  [[nodiscard]] const Scratch& scratch() const { return scratch_; }
  [[nodiscard]] std::uint16_t http_port() const { return http_port_; }
  [[nodiscard]] std::uint16_t tcp_port() const { return tcp_port_; }
  /// k4t.toml; to be edited by a test before the next command.
  [[nodiscard]] std::filesystem::path config() const { return folder() / "k4t.toml"; }
  void edit_config(const std::string& from, const std::string& to) const;

  NginxServer& nginx() { return nginx_; }
  HaproxyServer& haproxy() { return haproxy_; }
  BindServer& ns1() { return ns1_; }
  BindServer& ns2() { return ns2_; }

  static constexpr const char* nginx_address = "127.0.20.1";
  static constexpr const char* haproxy_address = "127.0.20.2";
  static constexpr const char* domain = "demo.example.net";

 private:
  void write_config(const RealClusterOptions& options) const;

  Scratch scratch_;
  std::uint16_t http_port_;
  std::uint16_t tcp_port_;
  std::uint16_t first_port_;
  std::uint16_t status_port_;
  bool docker_;
  NginxServer nginx_;
  HaproxyServer haproxy_;
  BindServer ns1_;
  BindServer ns2_;
};

}  // namespace k4t::testing
