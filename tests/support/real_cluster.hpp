#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "k4t/json.hpp"
#include "support/bind_name_server.hpp"
#include "support/haproxy_server.hpp"
#include "support/nginx_server.hpp"
#include "support/process.hpp"

/// A whole cluster of real servers on loopback, driven through the k4t program as a user would: where nothing else is
/// asked for, one node, nginx and HAProxy as gateways and two BIND servers.

/// Leaves the test as skipped, or failed, where such a cluster cannot be had.
#define K4T_REQUIRE_CLUSTER()                                                                         \
  do {                                                                                                \
    if (const auto why = ::k4t::testing::RealCluster::missing(); !why.empty()) K4T_SKIP_OR_FAIL(why); \
  } while (false)

namespace k4t::testing {

/// What a k4t command did.
struct K4tCommand {
  int exit_code = -1;
  std::string out;  ///< standard output
  std::string err;
  [[nodiscard]] Json json() const { return Json::parse(out); }
};

/// From `k4t status -o json`, what the running servers say: version by member; 0: no register, -1: no answer.
std::map<std::string, int> served_versions(const K4tCommand& status);

struct RealClusterOptions {
  /// Docker Engine to run instances on ("unix:///…"); empty: the process runtime.
  std::string docker_host;
  std::string availability = "one";
  std::vector<std::string> gateways = {"nginx", "haproxy"};  ///< kinds; they are named gw1, gw2, …
  std::vector<std::string> dns = {"bind", "bind"};           ///< kinds; they are named ns1, ns2, …
  std::uint16_t first_port = 20000;                          ///< of the first node's 1000 ports
  /// They are named n1, n2, …, at 127.0.0.1, 127.0.0.2, …, each with 1000 ports after those of the one before. More
  /// than one: of the process runtime.
  unsigned nodes = 1;
};

class RealCluster {
 public:
  /// Why such a cluster cannot be had here; empty: it can.
  static std::string missing(const RealClusterOptions& options = {});

  explicit RealCluster(const RealClusterOptions& options = {});

  using Command = K4tCommand;
  /// Runs k4t in the cluster's folder. `env` is added to its environment; the file pid.txt gets its process id.
  Command k4t(const std::vector<std::string>& arguments, const std::map<std::string, std::string>& env = {});
  /// `apply -f services`, its last words in `out`.
  Command apply(const std::map<std::string, std::string>& env = {}) { return k4t({"apply", "-f", "services"}, env); }
  /// The same without waiting for its end.
  std::unique_ptr<Server> start_apply(const std::filesystem::path& log);

  /// Options of the n-th node's process runtime, counted from 1, as one would write them after `options.`.
  [[nodiscard]] std::vector<std::string> process_options(unsigned number) const;
  /// What the n-th node's runtime keeps.
  [[nodiscard]] std::filesystem::path process_folder(unsigned number) const;

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
  /// The same at another port.
  [[nodiscard]] Answer get_at(const std::string& address, std::uint16_t port, const std::string& host,
                              const std::string& path = "/") const;

  std::map<std::string, int> served_versions() { return testing::served_versions(k4t({"status", "-o", "json"})); }

  [[nodiscard]] std::filesystem::path folder() const { return scratch_.path(); }
  [[nodiscard]] const Scratch& scratch() const { return scratch_; }
  [[nodiscard]] std::uint16_t http_port() const { return http_port_; }
  [[nodiscard]] std::uint16_t tcp_port() const { return tcp_port_; }
  /// k4t.toml; to be edited by a test before the next command.
  [[nodiscard]] std::filesystem::path config() const { return folder() / "k4t.toml"; }
  void edit_config(const std::string& from, const std::string& to) const;

  /// The first of each kind. REQUIRES: there is one.
  NginxServer& nginx();
  HaproxyServer& haproxy();
  BindServer& ns1() { return bind(0); }
  BindServer& ns2() { return bind(1); }
  NameServer& dns(std::size_t index) { return *dns_.at(index); }

  /// Stops and starts a member by its name.
  void stop_member(const std::string& name);
  void start_member(const std::string& name);

  /// Where the nginx named `name` tells its register, on 127.0.0.1.
  [[nodiscard]] std::uint16_t status_port(const std::string& name);

  /// Of the n-th gateway, counted from 0.
  [[nodiscard]] static std::string gateway_address(std::size_t index) {
    return "127.0.20." + std::to_string(index + 1);
  }
  static constexpr const char* nginx_address = "127.0.20.1";
  static constexpr const char* haproxy_address = "127.0.20.2";
  static constexpr const char* domain = "demo.example.net";

 private:
  struct Gateway {
    std::string name;
    std::string address;
    std::uint16_t status_port = 0;
    std::unique_ptr<NginxServer> nginx;  ///< this one or the other
    std::unique_ptr<HaproxyServer> haproxy;
  };

  void add_gateway(const std::string& kind);
  [[nodiscard]] static std::string settings(const Gateway& gateway);
  void write_config(const RealClusterOptions& options) const;
  Gateway& gateway(const std::string& name);
  BindServer& bind(std::size_t index) { return dynamic_cast<BindNameServer&>(dns(index)).server(); }

  Scratch scratch_;
  std::uint16_t http_port_;
  std::uint16_t tcp_port_;
  bool docker_;
  std::vector<Gateway> gateways_;
  std::vector<std::unique_ptr<NameServer>> dns_;
};

}  // namespace k4t::testing
