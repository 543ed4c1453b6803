#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "drivers/fleet.hpp"
#include "model/cluster.hpp"
#include "operation/reporter.hpp"
#include "plan/plan.hpp"
#include "store/store.hpp"

namespace k4t::operation {

/// What an operation needs of the world, lent by the program. Everything outlives the operation.
struct Environment {
  const model::Cluster& cluster;
  store::Store& store;
  const drivers::Fleet& fleet;
  Reporter& reporter;
  const std::atomic<bool>& interrupted;  ///< the user asked to stop: what is undecided is undone

  std::string run{};     ///< 32 hex digits, drawn when the process started
  std::string holder{};  ///< see txn::ClaimRequest
  bool take_over = false;
  plan::DrawId draw_id{};

  /// Asks an endpoint once, as the check says.
  std::function<Result<void>(const gateway::Endpoint&, const gateway::Health&)> probe{};
  /// A driver's declared capabilities; empty where its plugin is missing.
  std::function<std::vector<std::string>(const std::string& driver, const std::string& kind)> capabilities{};
  std::function<store::Seconds()> now_s{};
  /// Between two looks at something that announces nothing.
  std::function<void(std::chrono::milliseconds)> pause{};
  std::set<std::string> added_nodes{};  ///< those of the cluster that k4t.toml does not name
};

/// How an operation ends that the user asked to stop.
inline Error interrupted_error() { return {k4t::Status::deadline, "interrupted", {}}; }

}  // namespace k4t::operation
