#include "operation/nodes.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "operation/telling.hpp"
#include "platform/parallel.hpp"

namespace k4t::operation {
namespace {

using std::chrono::milliseconds;

/// An engine's throughput hardly grows beyond this many calls at once.
constexpr std::size_t calls_per_node = 4;
constexpr std::size_t most_calls = 64;
constexpr milliseconds health_poll = milliseconds(100);
constexpr milliseconds drain_poll = milliseconds(100);

std::size_t call_limit(const Environment& environment) {
  return std::clamp<std::size_t>(calls_per_node * environment.fleet.nodes().size(), 1, most_calls);
}

std::string subject_of(const plan::Placed& placed) { return "instance " + placed.name + " on " + placed.node; }

Result<drivers::NodeClient*> node_of(const Environment& environment, const std::string& name) {
  if (auto* node = environment.fleet.node(name)) return node;
  return Error{k4t::Status::unavailable, "node '" + name + "' is not in k4t.toml any more", {}};
}

Result<void> first_error(const std::vector<Result<void>>& results) {
  for (const auto& result : results) K4T_TRY(result);
  return {};
}

Result<void> ensure_images(const Environment& environment, const std::vector<plan::Creation>& creations) {
  std::set<std::pair<std::string, std::string>> wanted;
  for (const auto& creation : creations) {
    if (!creation.spec.image.empty()) wanted.emplace(creation.placed.node, creation.spec.image);
  }
  const std::vector<std::pair<std::string, std::string>> pairs(wanted.begin(), wanted.end());
  return first_error(platform::parallel_map(pairs, call_limit(environment), [&](const auto& pair) -> Result<void> {
    if (environment.interrupted) return interrupted_error();
    Telling telling(environment, "image " + pair.second + " on " + pair.first);
    K4T_ASSIGN(auto* node, node_of(environment, pair.first));
    K4T_TRY(node->ensure_image(pair.second, &telling));
    telling.tell("present");
    return {};
  }));
}

Result<void> create_one(const Environment& environment, const plan::Creation& creation) {
  if (environment.interrupted) return interrupted_error();
  Telling telling(environment, subject_of(creation.placed));
  K4T_ASSIGN(auto* node, node_of(environment, creation.placed.node));
  telling.tell("creating");
  K4T_TRY(node->create(creation.spec, &telling));
  telling.tell("starting");
  K4T_TRY(node->start(creation.spec.name, &telling));
  telling.tell("started");
  return {};
}

const model::Service* service_of(const plan::Placed& placed, const std::vector<model::Service>& services) {
  const auto found = std::find_if(services.begin(), services.end(),
                                  [&](const model::Service& service) { return service.name == placed.service; });
  return found == services.end() ? nullptr : &*found;
}

/// One look at one instance. OK: this look was good. UNAVAILABLE: not yet. Any other: it never will be.
Result<void> look_at(const Environment& environment, const plan::Placed& placed, const model::Service* service) {
  K4T_ASSIGN(auto* node, node_of(environment, placed.node));
  K4T_ASSIGN(const auto instance, node->inspect(placed.name));
  const std::string detail = instance.detail.empty() ? std::string{} : " (" + instance.detail + ")";
  if (instance.phase == runtime::Phase::exited && service != nullptr && service->restart != runtime::Restart::always) {
    return Error{k4t::Status::fatal, "it ended with exit code " + std::to_string(instance.exit_code) + detail, {}};
  }
  if (instance.phase != runtime::Phase::running) {
    return Error{k4t::Status::unavailable,
                 "it is " + std::string(to_string(instance.phase)) + ", last exit code " +
                     std::to_string(instance.exit_code) + ", restarted " + std::to_string(instance.restarts) +
                     " times" + detail,
                 {}};
  }
  if (instance.health == runtime::Health::starting || instance.health == runtime::Health::unhealthy) {
    return Error{
        k4t::Status::unavailable, "the image's own health check says " + std::string(to_string(instance.health)), {}};
  }
  if (service == nullptr || !service->health) return {};
  const auto endpoint = placed.endpoint(service->health->port);
  if (!endpoint) return {};
  return environment.probe(*endpoint, service->health->check);
}

/// The last words of an instance that did not become healthy: where its reason usually stands.
std::string last_lines(const Environment& environment, const plan::Placed& placed) {
  struct Gather final : CallSink {
    std::string text;
    bool stream(Channel /*channel*/, std::string_view bytes) override {
      text += bytes;
      return text.size() < 4096;
    }
  } gather;
  auto* node = environment.fleet.node(placed.node);
  if (node == nullptr || !node->logs({placed.name, false, 10, false}, &gather) || gather.text.empty()) return {};
  return "its last lines:\n" + gather.text;
}

Result<void> await_one(const Environment& environment, const plan::Placed& placed,
                       const std::vector<model::Service>& services) {
  const model::Service* service = service_of(placed, services);
  const bool checked = service != nullptr && service->health.has_value();
  const std::uint32_t rise = checked ? std::max(service->health->check.rise, 1u) : 1;
  const auto deadline_s = checked ? service->health->deadline_s : model::ServiceHealth{}.deadline_s;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(deadline_s);
  Telling telling(environment, subject_of(placed));
  telling.tell("waiting until healthy");
  for (std::uint32_t good = 0; good < rise;) {
    if (environment.interrupted) return interrupted_error();
    const auto look = look_at(environment, placed, service);
    if (look) {
      ++good;
      continue;
    }
    good = 0;
    const bool hopeless = look.status() == k4t::Status::fatal || look.status() == k4t::Status::not_found;
    if (hopeless || std::chrono::steady_clock::now() >= until) {
      return Error{k4t::Status::deadline,
                   subject_of(placed) + " did not become healthy" +
                       (hopeless ? std::string{} : " within " + std::to_string(deadline_s) + " s") + ": " +
                       look.error().message,
                   last_lines(environment, placed)};
    }
    environment.pause(health_poll);
  }
  telling.tell("healthy");
  return {};
}

/// What the gateways hold of connections at one look.
struct Held {
  std::map<gateway::Endpoint, std::uint64_t> connections;
  bool known = true;  ///< false: a gateway that serves did not tell, so there may be more
};

/// Asks those gateways that serve; each reason for not telling is told to the user once.
class ConnectionCounter {
 public:
  ConnectionCounter(const Environment& environment, const std::set<std::string>& serving)
      : environment_(environment), serving_(serving) {}

  Held count(const std::vector<gateway::Endpoint>& endpoints) {
    Held held;
    for (const auto& gateway : environment_.fleet.gateways()) {
      const std::string& name = gateway->config().name;
      if (!serving_.contains(name)) continue;
      const auto counts = gateway->connections(endpoints);
      if (counts) {
        for (const auto& count : *counts) held.connections[count.endpoint] += count.connections;
        continue;
      }
      held.known = false;
      if (!told_.insert(name + counts.error().message).second) continue;
      environment_.reporter.warning("gateway '" + name + "' cannot tell its connections: " + counts.error().message);
    }
    return held;
  }

 private:
  const Environment& environment_;
  const std::set<std::string>& serving_;
  std::set<std::string> told_;
};

/// Whether the instance may go: nobody holds a connection to it, or its service's drain time-out is over.
bool is_drained(const Environment& environment, const plan::Placed& placed, const Held& held,
                const model::Service* service, std::chrono::steady_clock::duration waited) {
  std::uint64_t connections = 0;
  for (const auto& endpoint : placed.endpoints()) {
    if (const auto found = held.connections.find(endpoint); found != held.connections.end()) {
      connections += found->second;
    }
  }
  if (!placed.alive() || (connections == 0 && held.known)) {
    environment.reporter.happening({subject_of(placed), "drained", {}, 0, 0});
    return true;
  }
  const std::string left = held.known ? std::to_string(connections) : "an unknown number of";
  const auto limit_s = service == nullptr ? model::Service{}.drain_timeout_s : service->drain_timeout_s;
  if (waited < std::chrono::seconds(limit_s)) {
    environment.reporter.happening({subject_of(placed), "draining", left + " connections left", 0, 0});
    return false;
  }
  environment.reporter.warning(subject_of(placed) + " still has " + left + " connections after its drain time-out of " +
                               std::to_string(limit_s) + " s; they are cut");
  return true;
}

/// How long the driver may take to stop an instance: its own limit, and at least this.
constexpr std::uint32_t shortest_stop_s = 60;

std::uint32_t stop_timeout_s(const plan::Placed& placed, const std::vector<model::Service>& services) {
  std::uint32_t longest = shortest_stop_s;
  for (const auto& service : services) {
    if (service.name == placed.service) longest = std::max(longest, service.stop_timeout_s);
  }
  return longest;
}

plan::NodeView read_node(const Environment& environment, drivers::NodeClient& node) {
  plan::NodeView view;
  view.name = node.config().name;
  auto info = node.info();
  if (!info) {
    view.problem = info.error();
    return view;
  }
  view.info = *std::move(info);
  auto instances = node.list(environment.cluster.name);
  if (instances) {
    view.instances = *std::move(instances);
  } else {
    view.problem = instances.error();
  }
  return view;
}

}  // namespace

std::vector<plan::NodeView> read_nodes(const Environment& environment,
                                       const std::function<void(const plan::NodeView&)>& on_read) {
  std::vector<drivers::NodeClient*> nodes;
  for (const auto& node : environment.fleet.nodes()) nodes.push_back(node.get());
  return platform::parallel_map(nodes, most_reads, [&](drivers::NodeClient* node) {
    auto view = read_node(environment, *node);
    if (on_read) on_read(view);
    return view;
  });
}

void read_again(const Environment& environment, std::vector<plan::NodeView>& views) {
  std::vector<plan::NodeView*> failed;
  for (auto& view : views) {
    if (view.problem) failed.push_back(&view);
  }
  const auto again = platform::parallel_map(failed, most_reads, [&](const plan::NodeView* view) {
    return read_node(environment, *environment.fleet.node(view->name));
  });
  for (std::size_t i = 0; i < failed.size(); ++i) {
    const auto mark = failed[i]->mark;
    *failed[i] = again[i];
    failed[i]->mark = mark;
  }
}

std::vector<plan::Placed> placed_instances(const Environment& environment, const std::vector<plan::NodeView>& views) {
  std::vector<plan::Placed> all;
  for (const auto& view : views) {
    const auto* node = environment.fleet.node(view.name);
    if (node == nullptr) continue;
    for (const auto& instance : view.instances) {
      if (auto placed = plan::read_labels(view.name, node->config().address, instance))
        all.push_back(*std::move(placed));
    }
  }
  return all;
}

Result<void> create_instances(const Environment& environment, const std::vector<plan::Creation>& creations,
                              std::vector<gateway::Endpoint>& taken) {
  K4T_TRY(ensure_images(environment, creations));
  const auto results = platform::parallel_map(creations, call_limit(environment), [&](const plan::Creation& creation) {
    return create_one(environment, creation);
  });
  for (std::size_t i = 0; i < creations.size(); ++i) {
    if (results[i].status() != k4t::Status::conflict) continue;
    const auto endpoints = creations[i].placed.endpoints();
    taken.insert(taken.end(), endpoints.begin(), endpoints.end());
  }
  // An error that another port cannot mend counts more than a conflict.
  for (const auto& result : results) {
    if (!result && result.status() != k4t::Status::conflict) return result;
  }
  return first_error(results);
}

Result<void> await_healthy(const Environment& environment, const std::vector<plan::Placed>& instances,
                           const std::vector<model::Service>& services) {
  return first_error(platform::parallel_map(
      instances, most_calls, [&](const plan::Placed& placed) { return await_one(environment, placed, services); }));
}

Result<void> await_drained(const Environment& environment, const std::vector<plan::Placed>& instances,
                           const std::vector<model::Service>& services, const std::set<std::string>& serving) {
  const auto begun = std::chrono::steady_clock::now();
  std::vector<plan::Placed> waiting = instances;
  ConnectionCounter counter(environment, serving);
  while (!waiting.empty()) {
    if (environment.interrupted) return interrupted_error();
    std::vector<gateway::Endpoint> endpoints;
    for (const auto& placed : waiting) {
      for (const auto& endpoint : placed.endpoints()) endpoints.push_back(endpoint);
    }
    if (endpoints.empty()) return {};
    const Held held = counter.count(endpoints);
    std::erase_if(waiting, [&](const plan::Placed& placed) {
      return is_drained(environment, placed, held, service_of(placed, services),
                        std::chrono::steady_clock::now() - begun);
    });
    if (!waiting.empty()) environment.pause(drain_poll);
  }
  return {};
}

Result<void> remove_instances(const Environment& environment, const std::vector<plan::Placed>& instances,
                              const std::vector<model::Service>& services) {
  return first_error(
      platform::parallel_map(instances, call_limit(environment), [&](const plan::Placed& placed) -> Result<void> {
        Telling telling(environment, subject_of(placed));
        K4T_ASSIGN(auto* node, node_of(environment, placed.node));
        telling.tell("stopping");
        // Removing does not stop at an interruption: half of it would be left for the next command.
        auto stopped = node->stop(placed.name, stop_timeout_s(placed, services), nullptr);
        if (!stopped && stopped.status() != k4t::Status::not_found) {
          telling.tell("failed", stopped.error().message);
          return stopped;
        }
        if (auto removed = node->remove(placed.name, nullptr); !removed && removed.status() != k4t::Status::not_found) {
          telling.tell("failed", removed.error().message);
          return removed;
        }
        telling.tell("removed");
        return {};
      }));
}

}  // namespace k4t::operation
