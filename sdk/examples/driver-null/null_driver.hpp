#pragma once

#include <map>
#include <optional>
#include <string>

#include "k4t/gateway.hpp"

namespace k4t::null {

/// A gateway that serves nobody: its "server" is one JSON file, {"register": …, "state": …}. Everything else is as a
/// real driver does it, so this is the template to start from. A missing folder stands for a server that is down.
class NullGateway final : public gateway::Driver {
 public:
  /// `file` is an absolute path.
  explicit NullGateway(std::string file) : file_(std::move(file)) {}

  Result<Observation> observe(const gateway::ObserveRequest& request, Call& call) override;
  Result<Nothing> prepare(const gateway::PrepareRequest& request, Call& call) override;
  Result<CommitReply> commit(const CommitRequest& request, Call& call) override;
  Result<Nothing> abort(const AbortRequest& request, Call& call) override;
  Result<gateway::ConnectionsReply> connections(const gateway::ConnectionsRequest& request, Call& call) override;

 private:
  std::string file_;
  std::map<std::string, gateway::State> staged_;  ///< by txn; a cache, so it may die with this object
};

/// Manifest and opening, for K4T_EXPORT_DRIVER.
Manifest manifest();
Result<std::unique_ptr<gateway::Driver>> open(const OpenRequest& request, Call& call);

}  // namespace k4t::null
