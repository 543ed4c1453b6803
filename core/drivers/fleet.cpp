#include "drivers/fleet.hpp"

#include <algorithm>

#include "platform/steps.hpp"

namespace k4t::drivers {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr milliseconds read_timeout = seconds(15);
constexpr milliseconds change_timeout = seconds(60);
constexpr milliseconds pull_timeout = minutes(30);
constexpr milliseconds images_timeout = minutes(2);  // one call to the engine for each image
constexpr milliseconds transfer_timeout = std::chrono::hours(24);
constexpr milliseconds follow_timeout = milliseconds(0);  // none: the sink ends it

Result<void> drop_value(auto&& result) {
  if (!result) return result.error();
  return {};
}

/// Runs a call that changes something on a machine, with the two moments around it at which the process could die.
template <class Change>
auto change(const std::string& what, Change&& run) {
  platform::step("before " + what);
  auto result = run();
  platform::step("after " + what);
  return result;
}

OpenRequest open_request(const model::Cluster& cluster, const model::Driven& thing) {
  return {cluster.name, cluster.domain, thing.name, thing.address, thing.options};
}

template <class Things>
auto* find_by_name(const Things& things, const std::string& name) {
  const auto found =
      std::find_if(things.begin(), things.end(), [&name](const auto& thing) { return thing->config().name == name; });
  return found == things.end() ? nullptr : found->get();
}

}  // namespace

void inherit_ssh(model::Driven& thing, const Json& options_schema, const transport::SshOptions& ssh) {
  const auto host = thing.options.find("host");
  const bool over_ssh =
      host != thing.options.end() && host->is_string() && host->get_ref<const std::string&>().starts_with("ssh://");
  const bool understood = options_schema.contains(Json::json_pointer("/properties/ssh"));
  if (over_ssh && understood && !thing.options.contains("ssh")) thing.options["ssh"] = ssh;
}

NodeClient::NodeClient(model::Node node, Result<std::unique_ptr<Callee>> callee)
    : node_(std::move(node)), callee_(std::move(callee)) {}

template <class M>
Result<typename M::Reply> NodeClient::call(const typename M::Request& request, milliseconds timeout, CallSink* sink) {
  if (!callee_) return callee_.error().within("node '" + node_.name + "'");
  auto reply = invoke<M>(**callee_, request, {timeout, sink});
  if (!reply) return reply.error().within("node '" + node_.name + "'");
  return reply;
}

Result<runtime::NodeInfo> NodeClient::info(CallSink* sink) {
  return call<runtime::method::Info>({}, read_timeout, sink);
}

Result<runtime::NodeUsage> NodeClient::usage(CallSink* sink) {
  auto reply = call<runtime::method::Usage>({}, read_timeout, sink);
  if (!reply && reply.status() == Status::unsupported) return runtime::NodeUsage{};
  return reply;
}

Result<std::vector<runtime::Instance>> NodeClient::list(const std::string& cluster, CallSink* sink) {
  K4T_ASSIGN(auto reply, call<runtime::method::List>({cluster}, read_timeout, sink));
  for (const auto& instance : reply.instances) {
    const auto label = instance.labels.find(runtime::label::cluster);
    if (label != instance.labels.end() && label->second == cluster) continue;
    // Whatever is listed and not wanted is removed, so that one foreign instance makes the whole list worthless.
    return Error{
        Status::fatal, "node '" + node_.name + "' listed the instance '" + instance.name + "' of another cluster", {}};
  }
  return std::move(reply.instances);
}

Result<void> NodeClient::ensure_image(const std::string& image, CallSink* sink) {
  return change("image " + image, [&] {
    return drop_value(call<runtime::method::EnsureImage>({image, false}, pull_timeout, sink));
  });
}

Result<runtime::ImagesReply> NodeClient::images(bool layers, CallSink* sink) {
  return call<runtime::method::ListImages>({layers}, layers ? images_timeout : read_timeout, sink);
}

Result<void> NodeClient::save_images(const std::vector<std::string>& images, CallSink* sink) {
  return drop_value(call<runtime::method::SaveImages>({images}, transfer_timeout, sink));
}

Result<runtime::LoadReply> NodeClient::load_image(const runtime::LoadRequest& request, CallSink* sink) {
  return change("load image on " + node_.name,
                [&] { return call<runtime::method::LoadImage>(request, transfer_timeout, sink); });
}

Result<runtime::ShareReply> NodeClient::share_images(const runtime::ShareRequest& request, CallSink* sink) {
  auto reply = change("share images on " + node_.name,
                      [&] { return call<runtime::method::ShareImages>(request, transfer_timeout, sink); });
  if (!reply || reply->tickets.size() == request.loads.size()) return reply;
  return Error{Status::fatal, "node '" + node_.name + "' gave tickets for other images than were asked for", {}};
}

Result<void> NodeClient::end_share(const std::string& share) {
  return drop_value(call<runtime::method::EndShare>({share}, read_timeout, nullptr));
}

Result<runtime::Instance> NodeClient::create(const runtime::InstanceSpec& spec, CallSink* sink) {
  return change("create " + spec.name, [&] { return call<runtime::method::Create>(spec, change_timeout, sink); });
}

Result<runtime::Instance> NodeClient::start(const std::string& name, CallSink* sink) {
  return change("start " + name, [&] { return call<runtime::method::Start>({name}, change_timeout, sink); });
}

Result<void> NodeClient::stop(const std::string& name, std::uint32_t stop_timeout_s, CallSink* sink) {
  return change("stop " + name, [&] {
    return drop_value(call<runtime::method::Stop>({name}, seconds(stop_timeout_s) + change_timeout, sink));
  });
}

Result<void> NodeClient::remove(const std::string& name, CallSink* sink) {
  return change("remove " + name,
                [&] { return drop_value(call<runtime::method::Remove>({name}, change_timeout, sink)); });
}

Result<runtime::Instance> NodeClient::inspect(const std::string& name, CallSink* sink) {
  return call<runtime::method::Inspect>({name}, read_timeout, sink);
}

Result<void> NodeClient::logs(const runtime::LogsRequest& request, CallSink* sink) {
  return drop_value(call<runtime::method::Logs>(request, request.follow ? follow_timeout : change_timeout, sink));
}

Result<Observation> GatewayClient::observe(const txn::Entry* expected, const CallOptions& options) {
  return call<gateway::method::Observe>({expected_of(expected, &model::State::gateways)}, options);
}

Result<void> GatewayClient::prepare(const txn::Preparation& preparation, const CallOptions& options) {
  return drop_value(call<gateway::method::Prepare>(
      {preparation.seen, preparation.target, preparation.entry->state.gateways, {}}, options));
}

Result<CommitReply> GatewayClient::commit(const CommitRequest& request, const CallOptions& options) {
  return call<gateway::method::Commit>(request, options);
}

Result<void> GatewayClient::abort(const std::string& txn, const CallOptions& options) {
  return drop_value(call<gateway::method::Abort>({txn}, options));
}

Result<std::vector<gateway::ConnectionCount>> GatewayClient::connections(
    const std::vector<gateway::Endpoint>& endpoints) {
  K4T_ASSIGN(auto reply, call<gateway::method::Connections>({endpoints}, {read_timeout, nullptr}));
  const auto asked_for = [](const gateway::ConnectionCount& count, const gateway::Endpoint& endpoint) {
    return count.endpoint == endpoint;
  };
  if (!std::equal(reply.counts.begin(), reply.counts.end(), endpoints.begin(), endpoints.end(), asked_for)) {
    return Error{Status::fatal, "gateway '" + config().name + "' counted other endpoints than it was asked for", {}};
  }
  return std::move(reply.counts);
}

Result<Observation> DnsClient::observe(const txn::Entry* expected, const CallOptions& options) {
  return call<dns::method::Observe>({expected_of(expected, &model::State::dns)}, options);
}

Result<void> DnsClient::prepare(const txn::Preparation& preparation, const CallOptions& options) {
  dns::PrepareRequest request{preparation.seen, preparation.target, preparation.entry->state.dns, {}};
  if (preparation.base != nullptr) request.base = preparation.base->state.dns;
  return drop_value(call<dns::method::Prepare>(request, options));
}

Result<CommitReply> DnsClient::commit(const CommitRequest& request, const CallOptions& options) {
  return call<dns::method::Commit>(request, options);
}

Result<void> DnsClient::abort(const std::string& txn, const CallOptions& options) {
  return drop_value(call<dns::method::Abort>({txn}, options));
}

Result<std::optional<std::string>> DnsClient::witness_text(const std::string& suffix, const std::string& id,
                                                           const CallOptions& options) {
  K4T_ASSIGN(auto value, call<dns::method::WitnessRead>({suffix, id}, options));
  return std::move(value.text);
}

Result<void> DnsClient::swap_witness_text(const std::string& suffix, const std::string& id,
                                          const std::optional<std::string>& expected, std::string text,
                                          const CallOptions& options) {
  return drop_value(call<dns::method::WitnessSwap>({suffix, id, expected, std::move(text)}, options));
}

Fleet::Fleet(const model::Cluster& cluster, const Opener& open) {
  const auto callee = [&](const model::Driven& thing, const char* kind) {
    return open(thing.driver, kind, open_request(cluster, thing));
  };
  for (const auto& node : cluster.nodes) {
    nodes_.push_back(std::make_unique<NodeClient>(node, callee(node, runtime::Kind::name)));
  }
  for (const auto& gateway : cluster.gateways) {
    gateways_.push_back(std::make_unique<GatewayClient>(cluster.name, gateway, callee(gateway, gateway::Kind::name)));
  }
  for (const auto& server : cluster.dns) {
    dns_.push_back(std::make_unique<DnsClient>(cluster.name, server, callee(server, dns::Kind::name)));
  }
}

NodeClient* Fleet::node(const std::string& name) const { return find_by_name(nodes_, name); }

DnsClient* Fleet::dns_server(const std::string& name) const { return find_by_name(dns_, name); }

ParticipantClient* Fleet::participant(const txn::Participant& who) const {
  if (who.group == txn::Group::gateway) return find_by_name(gateways_, who.name);
  return dns_server(who.name);
}

}  // namespace k4t::drivers
