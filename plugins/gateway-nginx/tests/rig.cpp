#include "rig.hpp"

namespace k4t::nginx::testing {
namespace {

std::string hex32(std::uint64_t number) {
  std::string text = std::to_string(number);
  return std::string(32 - text.size(), '0') + text;
}

}  // namespace

void Rig::SetUp() {
  if (!NginxServer::available()) K4T_SKIP_OR_FAIL("nginx with its stream module is not installed");
  nginx_.start();
  driver_ = open();
}

std::unique_ptr<gateway::Driver> Rig::open(Json more_options) const {
  OpenRequest request;
  request.cluster = "demo";
  request.name = "gw1";
  request.address = "127.0.0.1";
  request.options = {{"config", nginx_.config().string()},
                     {"folder", nginx_.folder().string()},
                     {"pid_file", nginx_.pid_file().string()},
                     {"status_port", status_port_}};
  request.options.update(more_options);
  HostCall host(CallOptions{});
  Call call(*host.raw());
  auto opened = open_driver(request, call);
  if (!opened) throw std::runtime_error(opened.error().message);
  return std::move(opened).value();
}

gateway::Endpoint Rig::serve(const std::string& body) {
  const std::uint16_t port = free_port();
  endpoint_servers_ += "server { listen 127.0.0.1:" + std::to_string(port) +
                       "; client_max_body_size 0; default_type text/plain; location / { return 200 \"" + body +
                       "\"; } }\n";
  endpoints_.set_http(endpoint_servers_);
  endpoints_.stop();
  endpoints_.start();
  return {"127.0.0.1", port};
}

Register Rig::next() {
  ++version_;
  return {"demo", version_, hex32(version_), "0123456789abcdef." + std::to_string(version_)};
}

gateway::State Rig::web(const std::vector<gateway::Endpoint>& endpoints) const {
  gateway::Backend backend;
  backend.name = "web";
  backend.endpoints = endpoints;
  gateway::Listener listener;
  listener.port = port_;
  listener.routes = {{"", "/", "web", {}, {}}};
  return {{listener}, {backend}};
}

Result<Nothing> Rig::prepare(const std::optional<Register>& seen, const Register& target, const gateway::State& state) {
  HostCall host(CallOptions{});
  Call call(*host.raw());
  return driver_->prepare({seen, target, state, {}}, call);
}

Result<CommitReply> Rig::commit(const std::optional<Register>& seen, const Register& target) {
  HostCall host(CallOptions{});
  Call call(*host.raw());
  return driver_->commit({seen, target}, call);
}

Result<Observation> Rig::observe() {
  HostCall host(CallOptions{});
  Call call(*host.raw());
  return driver_->observe({}, call);
}

Register Rig::deploy(const gateway::State& state) {
  const Register target = next();
  EXPECT_OK(prepare(seen_, target, state));
  EXPECT_OK(commit(seen_, target));
  seen_ = target;
  return target;
}

}  // namespace k4t::nginx::testing
