#pragma once

#include <set>
#include <string>
#include <vector>

#include "support/real_cluster.hpp"

/// What the servers of a cluster serve, asked of each server itself and never of k4t.

namespace k4t::testing {

/// One gateway.
struct GatewaySight {
  int version = 0;    ///< of the register that the running process holds; 0: none, -1: no answer
  std::string txn;    ///< of that register
  bool half = false;  ///< the process itself says that a change of its servers has begun and not ended
  std::string http;   ///< what the service "web" answers: its greeting, or "status N"
  std::string tcp;    ///< the same through the TCP listener
  std::string side;   ///< the same of the service "side"
  std::vector<std::pair<std::string, std::uint16_t>> endpoints;  ///< to which it sends traffic
};

/// One DNS server.
struct DnsSight {
  int version = 0;  ///< as above
  std::string txn;
  std::set<std::string> records;  ///< "name TYPE data" of all but k4t's own and the zone's
};

/// What can be read of files and registers of the nginx, the HAProxy, the two BIND servers and the witness of a
/// RealCluster of the usual kind. Not thread-safe; several clusters can be read at once.
class Served {
 public:
  explicit Served(RealCluster& cluster) : cluster_(cluster) {}

  GatewaySight nginx();
  GatewaySight haproxy();
  /// `server` is 0 or 1.
  DnsSight dns(std::size_t server);

  /// The version that the one witness voted for last, which is decided thereby; 0: none.
  int decided();
  /// Names of instances that exist on the node.
  std::vector<std::string> instances();
  /// Staged copies at the gateways, and files that some write left half made.
  std::vector<std::string> leftovers();

 private:
  void ask(const std::string& address, GatewaySight& into);
  RealCluster& cluster_;
};

/// True: somebody accepts connections there.
bool accepts(const std::string& address, std::uint16_t port);

}  // namespace k4t::testing
