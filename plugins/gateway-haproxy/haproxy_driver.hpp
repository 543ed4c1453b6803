#pragma once

#include <memory>
#include <optional>

#include "client.hpp"
#include "k4t/gateway.hpp"
#include "render.hpp"

namespace k4t::haproxy {

Manifest manifest();

/// INVALID_ARGUMENT for options that cannot work. Connects to nothing.
Result<std::unique_ptr<gateway::Driver>> open_driver(const OpenRequest& request, Call& call);

/// One HAProxy as a participant. The register and the content are one file on its host (file.hpp); what is served is
/// what the current worker answers through the master socket. One thread at a time.
class HaproxyDriver final : public gateway::Driver {
 public:
  /// `host` is shared so that a test can put itself between driver and machine.
  HaproxyDriver(std::shared_ptr<transport::Host> host, Paths paths, Placement placement)
      : client_(std::move(host), std::move(paths)), placement_(std::move(placement)) {}

  Result<Observation> observe(const gateway::ObserveRequest& request, Call& call) override;
  Result<Nothing> prepare(const gateway::PrepareRequest& request, Call& call) override;
  Result<CommitReply> commit(const CommitRequest& request, Call& call) override;
  Result<Nothing> abort(const AbortRequest& request, Call& call) override;
  Result<gateway::ConnectionsReply> connections(const gateway::ConnectionsRequest& request, Call& call) override;

 private:
  Result<Sight> look(const Call& call);
  [[nodiscard]] Error not_answering(const Sight& sight) const;
  Result<void> check_ports(const Layout& wanted, const Sight& sight, const Call& call);
  Result<CommitReply> commit_after_look(const CommitRequest& request, const Call& call);
  Result<CommitReply> finish(const Replacement& replacement, const Register& target, const Call& call);
  Result<CommitReply> conclude(const Replaced& replaced, const Replacement& replacement, const Register& target,
                               const Call& call);
  Result<CommitReply> prove(const Replaced& replaced, const Replacement& replacement, const Register& target,
                            const Call& call);
  Error failed_reload(const Replacement& replacement, const Call& call);

  /// What a prepare found out, so that its commit needs no look of its own.
  struct Planned {
    CommitRequest request;
    Replacement replacement;
  };

  Client client_;
  Placement placement_;
  std::optional<Planned> planned_;
};

/// What a look at file and process means. Pure. REQUIRES: sight.process
Observation judge(const Sight& sight);

}  // namespace k4t::haproxy
