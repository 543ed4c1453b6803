#pragma once

#include <memory>

#include "client.hpp"
#include "k4t/gateway.hpp"
#include "k4t/plugin.hpp"

namespace k4t::nginx {

Manifest manifest();

/// Connects to nothing. INVALID_ARGUMENT where the options do not fit.
Result<std::unique_ptr<gateway::Driver>> open_driver(const OpenRequest& request, Call& call);

/// One nginx as a gateway. participant.hpp says what each verb promises, README.md how nginx keeps it.
class NginxDriver final : public gateway::Driver {
 public:
  NginxDriver(std::shared_ptr<transport::Host> host, const Options& options);

  Result<Observation> observe(const gateway::ObserveRequest& request, Call& call) override;
  Result<Nothing> prepare(const gateway::PrepareRequest& request, Call& call) override;
  Result<CommitReply> commit(const CommitRequest& request, Call& call) override;
  Result<Nothing> abort(const AbortRequest& request, Call& call) override;
  Result<gateway::ConnectionsReply> connections(const gateway::ConnectionsRequest& request, Call& call) override;

 private:
  /// A look at a folder that can be read and an nginx that lives; UNAVAILABLE else.
  Result<Snapshot> look_alive(Call& call);
  Result<void> check_sockets(const gateway::State& state, const Listening& now, Call& call);

  Client client_;
  Options options_;
};

}  // namespace k4t::nginx
