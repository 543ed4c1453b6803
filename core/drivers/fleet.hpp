#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "k4t/call.hpp"
#include "k4t/dns.hpp"
#include "k4t/gateway.hpp"
#include "k4t/runtime.hpp"
#include "model/cluster.hpp"
#include "txn/ports.hpp"

/// Typed calls to the plugins behind everything that k4t.toml names.

namespace k4t::drivers {

/// Makes a handle of a driver of that kind; what fails here is a plugin that is missing or refuses its options.
using Opener = std::function<Result<std::unique_ptr<Callee>>(const std::string& driver, const std::string& kind,
                                                             const OpenRequest& request)>;

/// One node. Thread-safe as far as its driver is. Every time-out is this class's, so that callers never wait for ever.
class NodeClient {
 public:
  NodeClient(model::Node node, Result<std::unique_ptr<Callee>> callee);

  [[nodiscard]] const model::Node& config() const { return node_; }

  Result<runtime::NodeInfo> info(CallSink* sink = nullptr);
  /// Nothing is known where the driver is older than this question.
  Result<runtime::NodeUsage> usage(CallSink* sink = nullptr);
  Result<std::vector<runtime::Instance>> list(const std::string& cluster, CallSink* sink = nullptr);
  Result<void> ensure_image(const std::string& image, CallSink* sink = nullptr);
  Result<runtime::ImagesReply> images(bool layers, CallSink* sink = nullptr);
  /// The archive comes through the sink, see runtime.hpp. What never ends is for the sink to end: a transfer takes as
  /// long as it takes.
  Result<void> save_images(const std::vector<std::string>& images, CallSink* sink);
  Result<runtime::LoadReply> load_image(const runtime::LoadRequest& request, CallSink* sink);
  /// FATAL: the driver did not give a ticket for each load.
  Result<runtime::ShareReply> share_images(const runtime::ShareRequest& request, CallSink* sink);
  Result<void> end_share(const std::string& share);
  Result<runtime::Instance> create(const runtime::InstanceSpec& spec, CallSink* sink = nullptr);
  Result<runtime::Instance> start(const std::string& name, CallSink* sink = nullptr);
  Result<void> stop(const std::string& name, std::uint32_t stop_timeout_s, CallSink* sink = nullptr);
  Result<void> remove(const std::string& name, CallSink* sink = nullptr);
  Result<runtime::Instance> inspect(const std::string& name, CallSink* sink = nullptr);
  /// Following has no time-out: the sink ends it.
  Result<void> logs(const runtime::LogsRequest& request, CallSink* sink);

 private:
  template <class M>
  Result<typename M::Reply> call(const typename M::Request& request, std::chrono::milliseconds timeout, CallSink* sink);

  model::Node node_;
  Result<std::unique_ptr<Callee>> callee_;
};

/// One gateway or DNS server as the commit protocol sees it. Its requests carry the slice of the state that is its
/// group's.
class ParticipantClient : public txn::ParticipantPort {
 public:
  ParticipantClient(std::string cluster, model::Driven config, Result<std::unique_ptr<Callee>> callee)
      : cluster_(std::move(cluster)), config_(std::move(config)), callee_(std::move(callee)) {}
  [[nodiscard]] const model::Driven& config() const { return config_; }

 protected:
  template <class M>
  Result<typename M::Reply> call(const typename M::Request& request, const CallOptions& options) {
    if (!callee_) return callee_.error();
    return invoke<M>(**callee_, request, options);
  }

  /// What `observe` is to compare with; nothing where `entry` is nullptr.
  template <class State>
  std::optional<Expected<State>> expected_of(const txn::Entry* entry, State model::State::*slice) const {
    if (entry == nullptr) return std::nullopt;
    return Expected<State>{txn::register_of(cluster_, *entry, {}), entry->state.*slice};
  }

 private:
  std::string cluster_;
  model::Driven config_;
  Result<std::unique_ptr<Callee>> callee_;
};

class GatewayClient final : public ParticipantClient {
 public:
  using ParticipantClient::ParticipantClient;
  Result<Observation> observe(const txn::Entry* expected, const CallOptions& options) override;
  Result<void> prepare(const txn::Preparation& preparation, const CallOptions& options) override;
  Result<CommitReply> commit(const CommitRequest& request, const CallOptions& options) override;
  Result<void> abort(const std::string& txn, const CallOptions& options) override;
  /// Connections that the gateway still holds to each endpoint, in that order.
  Result<std::vector<gateway::ConnectionCount>> connections(const std::vector<gateway::Endpoint>& endpoints);
};

class DnsClient final : public ParticipantClient {
 public:
  using ParticipantClient::ParticipantClient;
  Result<Observation> observe(const txn::Entry* expected, const CallOptions& options) override;
  Result<void> prepare(const txn::Preparation& preparation, const CallOptions& options) override;
  Result<CommitReply> commit(const CommitRequest& request, const CallOptions& options) override;
  Result<void> abort(const std::string& txn, const CallOptions& options) override;

  /// A witness's register on this server, see dns.hpp. Absent: there is none, and that is known.
  Result<std::optional<std::string>> witness_text(const std::string& suffix, const std::string& id,
                                                  const CallOptions& options);
  /// CONFLICT: it is not exactly `expected`.
  Result<void> swap_witness_text(const std::string& suffix, const std::string& id,
                                 const std::optional<std::string>& expected, std::string text,
                                 const CallOptions& options);
};

/// How the cluster reaches machines over SSH holds for a thing on an ssh:// host too, if its driver has an option `ssh`
/// and the user gave it nothing else. REQUIRES: the options fit the schema.
void inherit_ssh(model::Driven& thing, const Json& options_schema, const transport::SshOptions& ssh);

/// Everything that a cluster's configuration names, opened. A thing whose plugin is missing is there all the same: its
/// calls fail with the reason, so that one broken plugin never hides the others.
class Fleet {
 public:
  Fleet(const model::Cluster& cluster, const Opener& open);

  [[nodiscard]] const std::vector<std::unique_ptr<NodeClient>>& nodes() const { return nodes_; }
  [[nodiscard]] const std::vector<std::unique_ptr<GatewayClient>>& gateways() const { return gateways_; }
  [[nodiscard]] const std::vector<std::unique_ptr<DnsClient>>& dns() const { return dns_; }
  /// nullptr: no such thing is configured.
  [[nodiscard]] NodeClient* node(const std::string& name) const;
  [[nodiscard]] DnsClient* dns_server(const std::string& name) const;
  [[nodiscard]] ParticipantClient* participant(const txn::Participant& who) const;

 private:
  std::vector<std::unique_ptr<NodeClient>> nodes_;
  std::vector<std::unique_ptr<GatewayClient>> gateways_;
  std::vector<std::unique_ptr<DnsClient>> dns_;
};

}  // namespace k4t::drivers
