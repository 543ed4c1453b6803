#include "rig.hpp"

#include <stdexcept>
#include <utility>

namespace k4t::haproxy::testing {

class SteppedHost final : public transport::Host {
 public:
  SteppedHost(std::shared_ptr<transport::Host> inner, const std::string& step, std::string code)
      : inner_(std::move(inner)), step_("# step: " + step + "\n"), code_(std::move(code)) {}
  [[nodiscard]] std::string name() const override { return inner_->name(); }
  Result<transport::Output> run(const transport::Command& command) override { return inner_->run(command); }
  Result<std::unique_ptr<transport::Stream>> start(const transport::Command& command) override {
    transport::Command changed = command;
    for (auto& word : changed.argv) {
      const auto at = word.find(step_);
      if (at != std::string::npos) word.replace(at, step_.size(), code_ + "\n");
    }
    return inner_->start(changed);
  }
  Result<std::string> read_file(const std::string& path, const transport::Limits& limits) override {
    return inner_->read_file(path, limits);
  }
  Result<void> put_file(const std::string& path, std::string_view bytes, unsigned mode,
                        const transport::Limits& limits) override {
    return inner_->put_file(path, bytes, mode, limits);
  }
  Result<void> swap_file(const std::string& path, const std::optional<std::string>& expected, std::string_view bytes,
                         unsigned mode, const transport::Limits& limits, const std::string& keep_as) override {
    return inner_->swap_file(path, expected, bytes, mode, limits, keep_as);
  }
  Result<void> make_folder(const std::string& path, unsigned mode, const transport::Limits& limits) override {
    return inner_->make_folder(path, mode, limits);
  }
  Result<std::vector<std::string>> list_folder(const std::string& path, const transport::Limits& limits) override {
    return inner_->list_folder(path, limits);
  }
  Result<void> remove_file(const std::string& path, const transport::Limits& limits) override {
    return inner_->remove_file(path, limits);
  }
  Result<void> sweep_folder(const std::string& path, const transport::Limits& limits) override {
    return inner_->sweep_folder(path, limits);
  }
  Result<std::unique_ptr<transport::Stream>> connect_unix(const std::string& path,
                                                          std::chrono::milliseconds timeout) override {
    return inner_->connect_unix(path, timeout);
  }
  Result<std::unique_ptr<transport::Stream>> connect_tcp(const std::string& address, std::uint16_t port,
                                                         std::chrono::milliseconds timeout) override {
    return inner_->connect_tcp(address, port, timeout);
  }

 private:
  std::shared_ptr<transport::Host> inner_;
  std::string step_;
  std::string code_;
};

void Rig::SetUp() {
  if (!HaproxyServer::available()) K4T_SKIP_OR_FAIL("HAProxy or perl is not installed");
  haproxy_.start();
  driver_ = open();
}

OpenRequest Rig::open_request() const {
  OpenRequest request;
  request.cluster = "demo";
  request.name = "gw1";
  request.address = "127.0.0.1";
  request.options = {{"config", {haproxy_.config().string()}},
                     {"file", haproxy_.file().string()},
                     {"binary", HaproxyServer::binary()},
                     {"master_socket", haproxy_.master_socket().string()}};
  return request;
}

Paths Rig::paths() const {
  return {{haproxy_.config().string()},
          haproxy_.file().string(),
          HaproxyServer::binary(),
          haproxy_.master_socket().string()};
}

std::unique_ptr<gateway::Driver> Rig::open() const {
  HostCall host(CallOptions{});
  Call call(*host.raw());
  auto opened = open_driver(open_request(), call);
  if (!opened) throw std::runtime_error(opened.error().message);
  return std::move(opened).value();
}

std::unique_ptr<gateway::Driver> Rig::open_with_step(const std::string& step, const std::string& code) const {
  return std::make_unique<HaproxyDriver>(std::make_shared<SteppedHost>(transport::local_host(), step, code), paths(),
                                         Placement{"127.0.0.1", paths().server_state(), 3600});
}

Register Rig::next() {
  ++version_;
  const std::string number = std::to_string(version_);
  return {"demo", version_, std::string(32 - number.size(), '0') + number, "0123456789abcdef." + number};
}

gateway::State Rig::web(const std::vector<const PeerEndpoint*>& endpoints) const {
  gateway::Backend backend;
  backend.name = "web";
  for (const auto* endpoint : endpoints) backend.endpoints.push_back(endpoint_of(*endpoint));
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

Result<Nothing> Rig::abort(const std::string& txn) {
  HostCall host(CallOptions{});
  Call call(*host.raw());
  return driver_->abort({txn}, call);
}

std::uint64_t Rig::connections(const PeerEndpoint& endpoint) {
  HostCall host(CallOptions{});
  Call call(*host.raw());
  const auto reply = driver_->connections({{endpoint_of(endpoint)}}, call);
  if (!reply) throw std::runtime_error(text_of(reply));
  return reply->counts.at(0).connections;
}

Register Rig::deploy(const gateway::State& state) {
  const Register target = next();
  EXPECT_OK(prepare(seen_, target, state));
  EXPECT_OK(commit(seen_, target));
  seen_ = target;
  return target;
}

void expect_at(const Result<Observation>& seen, const Register& at) {
  ASSERT_TRUE(seen.ok()) << text_of(seen);
  EXPECT_EQ(seen->stored, at);
  EXPECT_EQ(seen->served, at);
  EXPECT_EQ(seen->content, Content::clean) << seen->detail;
  EXPECT_FALSE(seen->half) << seen->detail;
}

gateway::Endpoint endpoint_of(const PeerEndpoint& peer, const std::string& address) { return {address, peer.port()}; }

}  // namespace k4t::haproxy::testing
