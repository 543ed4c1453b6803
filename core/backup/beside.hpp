#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "backup/keeper.hpp"

namespace k4t::backup {

/// Copies of the metadata while a command is at work that takes longer than an interval: made by a thread of its own
/// from a second opening of the store, each as the metadata is at that moment, and sent to each place once its interval
/// has passed. What becomes of them the command's last copy makes up for, so nothing is told. A place that is silent is
/// given up when this ends.
class Beside {
 public:
  using Files = std::function<std::map<std::string, std::string>()>;
  /// `cluster` outlives this. `files` as Keeper's, asked for each time.
  Beside(std::string state_folder, const model::Cluster& cluster, Files files);
  ~Beside();
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  void run();
  void send(const std::vector<std::string>& places);

  const std::string state_folder_;
  const model::Cluster& cluster_;
  const Files files_;
  std::mutex mutex_;
  std::condition_variable ends_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace k4t::backup
