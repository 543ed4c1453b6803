#include "txn_bed.hpp"

#include <algorithm>
#include <stdexcept>

#include "sample.hpp"

namespace k4t::bench {
namespace {

/// Answered by nobody, so that health checks and connections fail at once and leave no packet on a wire.
std::string loopback_of(std::size_t number) {
  return "127.64." + std::to_string(number / 250) + '.' + std::to_string(number % 250 + 1);
}

std::string_view round_of(txn::Phase phase) {
  switch (phase) {
    case txn::Phase::preparing: return "prepare";
    case txn::Phase::voting: return "vote";
    case txn::Phase::committing: return "commit";
    default: return {};
  }
}

}  // namespace

Bed::Bed(plugin::Catalog& catalog, std::vector<std::string> gateways, std::size_t dns_servers, std::size_t services)
    : http_port_(testing::free_port()) {
  Sample sample = sample_of(services);
  cluster_ = sample.cluster;
  cluster_.domain = "example.net";
  cluster_.gateways.clear();
  cluster_.dns.clear();
  for (std::size_t i = 0; i < gateways.size(); ++i) {
    const std::string name = "gw" + std::to_string(i + 1);
    gateways[i] == "nginx" ? add_nginx(name) : add_haproxy(name);
  }
  for (std::size_t i = 0; i < dns_servers; ++i) add_dns("ns" + std::to_string(i + 1));
  cluster_.witnesses = {{"w1", "local", (scratch_.path() / "witness").string()}};

  for (std::size_t i = 0; i < cluster_.nodes.size(); ++i) cluster_.nodes[i].address = loopback_of(i);
  for (auto& service : sample.services) {
    service.expose.front().listen = http_port_;
    service.health.reset();
  }
  sample.services.front().txt = {"change 0"};
  sample.cluster = cluster_;
  state_ = state_of(sample);

  cluster_.nodes.clear();
  fleet_ = std::make_unique<drivers::Fleet>(cluster_,
                                            [&catalog](const std::string& driver, const std::string& kind,
                                                       const OpenRequest& request) -> Result<std::unique_ptr<Callee>> {
                                              K4T_ASSIGN(auto handle, catalog.open(driver, kind, request));
                                              return std::unique_ptr<Callee>(std::move(handle));
                                            });
  start_run();
  commit(state_);
}

Bed::~Bed() {
  if (runner_ != nullptr) runner_->close();
}

void Bed::add_nginx(const std::string& name) {
  nginx_.push_back(std::make_unique<testing::NginxServer>(scratch_, name));
  auto& nginx = *nginx_.back();
  nginx.set_http("server_names_hash_max_size 65536;");
  nginx.start();
  const std::string address = "127.0.1." + std::to_string(cluster_.gateways.size() + 1);
  cluster_.gateways.push_back({name,
                               "nginx",
                               address,
                               {{"config", nginx.config().string()},
                                {"folder", nginx.folder().string()},
                                {"pid_file", nginx.pid_file().string()},
                                {"status_port", testing::free_port()}}});
}

void Bed::add_haproxy(const std::string& name) {
  haproxy_.push_back(std::make_unique<testing::HaproxyServer>(scratch_, name));
  auto& haproxy = *haproxy_.back();
  haproxy.start();
  const std::string address = "127.0.1." + std::to_string(cluster_.gateways.size() + 1);
  cluster_.gateways.push_back({name,
                               "haproxy",
                               address,
                               {{"config", {haproxy.config().string()}},
                                {"file", haproxy.file().string()},
                                {"binary", testing::HaproxyServer::binary()},
                                {"master_socket", haproxy.master_socket().string()}}});
}

void Bed::add_dns(const std::string& name) {
  dns_.push_back(std::make_unique<testing::BindServer>());
  const auto& server = *dns_.back();
  cluster_.dns.push_back({name, "bind", server.address(), {{"port", server.port()}, {"key_file", server.key_file()}}});
}

void Bed::start_run() {
  ports_ = std::make_unique<drivers::ClusterPorts>(cluster_, *fleet_, [](const txn::Note&) { return Result<void>(); });
  txn::Settings settings;
  settings.cluster = cluster_.name;
  settings.run = std::string(32, 'b');
  settings.holder = "bench";
  settings.witnesses = cluster_.witnesses;
  settings.fresh_witnesses = {"w1"};
  settings.gateways = state_.gateway_members;
  settings.dns = state_.dns_members;
  settings.gateway_availability = settings.dns_availability = model::Availability::all;
  txn::RunnerOptions options;
  options.deadlines.prepare = options.deadlines.commit = std::chrono::minutes(5);
  options.listener = this;
  runner_ = std::make_unique<txn::Runner>(*ports_, settings, options);
  if (const auto begun = runner_->begin(); !begun) throw std::runtime_error(begun.error().message);
}

Times Bed::commit(const model::State& next) {
  times_ = {};
  complaint_.clear();
  const auto began = Clock::now();
  const auto outcome = runner_->propose(next);
  times_.whole = Clock::now() - began;
  if (!outcome) throw std::runtime_error(outcome.error().message);
  if (outcome->verdict != txn::Verdict::decided || !complaint_.empty()) {
    throw std::runtime_error("the change was not committed everywhere: " +
                             (outcome->why ? outcome->why->message + "\n" + outcome->why->detail : complaint_));
  }
  state_ = next;
  return times_;
}

model::State Bed::small_change() {
  model::State next = state_;
  ++changes_;
  if (!next.gateways.backends.empty()) {
    auto& endpoints = next.gateways.backends.front().endpoints;
    constexpr std::uint16_t base_port = 30000;
    endpoints.front().port = static_cast<std::uint16_t>(base_port + changes_ % 10000);
    std::sort(endpoints.begin(), endpoints.end());
  }
  for (auto& set : next.dns.records) {
    if (set.type == dns::Type::txt) set.values = {"change " + std::to_string(changes_)};
  }
  return next;
}

void Bed::on_phase(txn::Phase phase) {
  const auto now = Clock::now();
  if (!round_.empty()) times_.rounds[round_] = now - round_began_;
  round_ = round_of(phase);
  round_began_ = now;
}

void Bed::on_participant(const txn::Participant& who, std::string_view what, std::string_view why) {
  const auto now = Clock::now();
  const std::string name = txn::to_string(who);
  if (what == "failed") complaint_ += name + ": " + std::string(why) + "\n";
  if (what == "preparing" || what == "committing") member_began_[name] = now;
  if (what == "prepared") times_.members["prepare " + name] = now - member_began_[name];
  if (what == "committed") times_.members["commit " + name] = now - member_began_[name];
}

}  // namespace k4t::bench
