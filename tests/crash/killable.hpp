#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/dns_proxy.hpp"
#include "support/real_cluster.hpp"

/// A cluster in which k4t can be killed at a chosen moment of a command, exactly and again and again: at the marks of
/// its own code, and while a driver is in the middle of its work.

namespace k4t::testing {

/// One moment, by its name in the list that Killable::record makes:
///   "k4t 2 before vote witness-1"   the second time that k4t reaches this mark
///   "nginx 3 before mv"             before (or after) the third `mv` of what nginx's driver runs on its host
///   "haproxy 1 renamed"             at this mark of what HAProxy's driver runs on its host
///   "ns1 2 update"                  the second update is done at the DNS server, and its answer is not delivered
/// Except for k4t's own marks, what the driver runs on the host dies together with k4t.
using Moment = std::string;

/// A RealCluster of the usual kind whose commands can be watched and killed. Different ones may be used at once.
class Killable {
 public:
  explicit Killable(std::uint16_t first_port);

  RealCluster& cluster() { return cluster_; }

  /// Runs a command to its end and lists the moments that it went through.
  RealCluster::Command record(const std::vector<std::string>& arguments, std::vector<Moment>& moments);

  /// Runs a command until it is killed at that moment; its exit code is 128 + SIGKILL.
  RealCluster::Command kill_at(const std::vector<std::string>& arguments, const Moment& moment);

  /// Runs a command undisturbed.
  RealCluster::Command k4t(const std::vector<std::string>& arguments);

  /// Waits until what killed commands left running on the gateways' hosts has come to its end.
  void settle() const;

 private:
  RealCluster::Command run(const std::vector<std::string>& arguments, std::map<std::string, std::string> env,
                           const std::string& kill);
  void write_wrappers() const;
  bool on_answer(std::size_t server, bool update);
  void kill_now() const;
  [[nodiscard]] std::filesystem::path points() const { return cluster_.folder() / "points"; }

  RealCluster cluster_;
  std::atomic<unsigned> updates_[2] = {0, 0};
  std::atomic<unsigned> kill_at_update_[2] = {0, 0};  ///< 0: never
  std::unique_ptr<DnsProxy> proxies_[2];
};

}  // namespace k4t::testing
