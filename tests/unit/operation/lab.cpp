#include "unit/operation/lab.hpp"

#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "k4t/digest.hpp"

namespace k4t::operation {

void Told::stage(const std::string& what) {
  if (watch_stage) watch_stage(what);
}

void Told::happening(const Happening& happening) {
  if (watch) watch(happening);
}

void Told::warning(const std::string& text) {
  const std::scoped_lock lock(mutex_);
  warnings_.push_back(text);
}

bool Told::warned(const std::string& text) {
  const std::scoped_lock lock(mutex_);
  return std::any_of(warnings_.begin(), warnings_.end(),
                     [&](const std::string& one) { return one.find(text) != std::string::npos; });
}

Lab::Lab(const std::filesystem::path& folder) : folder_(folder) {
  cluster.name = "demo";
  cluster.domain = "demo.example.net";
  cluster.state_folder = folder / "state";
  for (int i = 1; i <= 2; ++i) {
    model::Node node;
    node.name = "n" + std::to_string(i);
    node.driver = "fake";
    node.address = "192.0.2." + std::to_string(i);
    node.last_port = 20009;
    cluster.nodes.push_back(node);
    world.add_node(node.name, node.address);
    model::Driven gateway;
    gateway.name = "gw" + std::to_string(i);
    gateway.driver = "fake";
    gateway.address = "198.51.100." + std::to_string(i);
    cluster.gateways.push_back(gateway);
    world.add_gateway(gateway.name);
  }
  model::Driven server;
  server.name = "ns1";
  server.driver = "fake";
  server.address = "198.51.100.53";
  cluster.dns.push_back(server);
  world.add_dns(server.name);
  for (const char* id : {"w1", "w2", "w3"}) cluster.witnesses.push_back({id, "local", (folder / id).string()});
  open_store();
}

Lab::Lab(const std::filesystem::path& folder, Lab& other)
    : cluster(other.cluster), holder("beta admin"), machines_(other.machines_), folder_(folder) {
  cluster.state_folder = folder / "state";
  open_store();
}

void Lab::open_store() {
  std::filesystem::create_directories(folder_);
  auto opened = store::Store::open(folder_ / "state", "test");
  if (!opened) throw std::runtime_error(opened.error().message);
  store_ = *std::move(opened);
}

void Lab::copy_store_to(const std::filesystem::path& folder) {
  power_off();  // so that all of it is in the file
  std::filesystem::create_directories(folder);
  std::filesystem::remove_all(folder / "state");
  std::filesystem::copy(folder_ / "state", folder / "state");
  open_store();
}

Lab::~Lab() { forget_master(); }

void Lab::power_off() {
  forget_master();
  store_.reset();
}

void Lab::forget_master() {
  master_.reset();
  transactions_.reset();
  fleet_.reset();
}

Master& Lab::master() {
  master_ = std::make_unique<Master>(environment());
  return *master_;
}

Transactions& Lab::transactions() {
  transactions_ = std::make_unique<Transactions>(environment());
  return *transactions_;
}

Environment Lab::environment() {
  forget_master();
  fleet_ = std::make_unique<drivers::Fleet>(
      cluster, [this](const std::string& /*driver*/, const std::string& kind, const OpenRequest& request) {
        return machines_->open(kind, request.name);
      });
  Environment environment{cluster, *store_, *fleet_, told, interrupted};
  environment.run =
      sha256_hex(folder_.string() + std::to_string(::getpid()) + "." + std::to_string(++lives_)).substr(0, 32);
  environment.holder = holder;
  environment.take_over = take_over;
  environment.draw_id = [this] {
    return (machines_ == &world ? "i" : "j") + std::to_string(::getpid()) + std::to_string(++drawn_);
  };
  environment.probe = [this](const gateway::Endpoint& endpoint, const gateway::Health&) -> Result<void> {
    if (healthy && machines_->answers(endpoint)) return {};
    return Error{k4t::Status::unavailable, "refused", {}};
  };
  environment.capabilities = [this](const std::string&, const std::string&) { return capabilities; };
  environment.now_s = [this] { return now_s; };
  environment.pause = [](std::chrono::milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
  return environment;
}

Result<Report> Lab::apply(const Change& change, bool force) {
  ApplyOptions options;
  options.force = force;
  return master().apply(change, options);
}

model::Service Lab::web(std::uint32_t replicas, const std::string& image) {
  model::Service service;
  service.name = "web";
  service.replicas = replicas;
  service.image = image;
  service.ports = {{"http", 8080}};
  model::Expose expose;
  expose.port = "http";
  expose.listen = 80;
  service.expose = {expose};
  service.health = model::ServiceHealth{"http", {}, 1};
  service.drain_timeout_s = 1;
  return service;
}

std::string Lab::witness_files() const {
  std::string all;
  for (const auto& witness : cluster.witnesses) {
    all += k4t::testing::Scratch::read(std::filesystem::path(witness.path) / ("k4t-witness-" + witness.id + ".json"));
  }
  return all;
}

std::vector<std::string> Lab::routes(const std::string& gateway) {
  std::vector<std::string> all;
  for (const auto& backend : world.gateway(gateway).member.state.backends) {
    for (const auto& endpoint : backend.endpoints)
      all.push_back(endpoint.address + ":" + std::to_string(endpoint.port));
  }
  return all;
}

std::vector<store::Operation> Lab::unfinished() {
  auto all = store_->unfinished_operations();
  if (!all) throw std::runtime_error(all.error().message);
  return *std::move(all);
}

}  // namespace k4t::operation
