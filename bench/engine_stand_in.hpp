#pragma once

#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

/// What `k4t status` asks of a Docker Engine, answered as an engine without containers would: fifty real ones are too
/// much for one machine.

namespace k4t::bench {

class EngineStandIn {
 public:
  EngineStandIn() = default;
  ~EngineStandIn();
  EngineStandIn(const EngineStandIn&) = delete;
  EngineStandIn& operator=(const EngineStandIn&) = delete;

  /// Listens on that unix socket until this object ends. Throws std::runtime_error where it cannot.
  void listen(const std::filesystem::path& socket);

 private:
  void accept_all(int listener);
  void serve(int connection) const;

  std::mutex mutex_;
  bool ending_ = false;
  std::vector<int> open_;  ///< listeners and connections
  std::vector<std::thread> threads_;
};

}  // namespace k4t::bench
