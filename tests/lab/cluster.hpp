#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lab/lab.hpp"
#include "lab/servers.hpp"
#include "support/real_cluster.hpp"
#include "support/traffic.hpp"

/// A cluster as users have it: a master, nodes with Docker, an nginx, a HAProxy and DNS servers, each on a machine of
/// its own that k4t reaches over SSH and has nothing of k4t on it, and a client beside them.

namespace k4t::testing::lab {

struct ClusterOptions {
  unsigned nodes = 3;                                        ///< n1, n2, …
  std::vector<std::string> gateways = {"nginx", "haproxy"};  ///< gw1, gw2, …; none: DNS leads to the instances
  std::vector<std::string> dns = {"bind", "bind"};           ///< or "samba", ns1, ns2, …
  Addresses addresses = Addresses::both;                     ///< with IPv6 only, instances have addresses of their own
  std::string gateway_user = "root";                         ///< who k4t logs in as on the gateways' machines
};

class Cluster {
 public:
  /// Why there can be none like that here; empty: there can.
  static std::string missing(const ClusterOptions& options = {});

  explicit Cluster(const ClusterOptions& options = {});

  using Command = K4tCommand;
  /// Runs k4t on the master, in its folder. `env` is added to its environment.
  Command k4t(const std::vector<std::string>& arguments, const std::map<std::string, std::string>& env = {});
  Command apply() { return k4t({"apply", "-f", "services"}); }

  /// A web service of so many replicas that answers `greeting`, exposed on port 80 of the gateways.
  void web(unsigned replicas, const std::string& greeting);
  void service(const std::string& name, const std::string& text);
  void remove_service_file(const std::string& name);

  Machine& operator[](const std::string& name) { return lab_[name]; }
  Lab& lab() { return lab_; }
  /// The machine that k4t runs on, first "master". Another one, without anything but k4t.toml and the services, takes
  /// its place.
  void move_master(const std::string& name);
  Machine& master() { return lab_[master_]; }
  /// k4t.toml on the master's machine; to be edited by a test before the next command.
  void edit_config(const std::string& from, const std::string& to);

  /// A request from the client; empty: it was answered with 200 and that in its body.
  std::string ask(const std::string& address, std::uint16_t port, const std::string& name, const std::string& expected);
  /// Names of the instances that answer so many requests from the client.
  std::set<std::string> answering(const std::string& address, std::uint16_t port, const std::string& name,
                                  unsigned requests);
  /// Clients that go on asking every gateway's port 80: one that wants its answers at once, and one whose answers take
  /// a while, so that its connections are there whenever an instance is to go.
  Clients load(const std::string& name);
  /// Goes on counting a service's instances that say they are healthy; fewer than that are wrong. Where instances move,
  /// the nodes that they leave come first: what has left there by then is counted where it went.
  std::unique_ptr<Traffic> watch(const std::string& name, std::size_t at_least, const std::vector<std::string>& nodes);
  /// What a DNS server answers, sorted.
  std::vector<std::string> resolve(const std::string& server, const std::string& name, const std::string& type);
  std::map<std::string, int> served_versions() { return testing::served_versions(k4t({"status", "-o", "json"})); }

  static constexpr const char* domain = "demo.example.net";

 private:
  void start_servers();
  [[nodiscard]] std::string configuration();
  [[nodiscard]] std::filesystem::path key_file() const { return lab_.folder() / "k4t.key"; }
  [[nodiscard]] std::filesystem::path keytab(const std::string& server) const {
    return lab_.folder() / (server + ".keytab");
  }

  ClusterOptions options_;
  Lab lab_;
  Keys keys_;
  std::string master_ = "master";
  std::map<std::string, std::string> services_;
};

}  // namespace k4t::testing::lab
