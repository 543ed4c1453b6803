#include "backup/beside.hpp"

#include <algorithm>
#include <chrono>

namespace k4t::backup {

Beside::Beside(std::string state_folder, const model::Cluster& cluster, Files files)
    : state_folder_(std::move(state_folder)), cluster_(cluster), files_(std::move(files)) {
  thread_ = std::thread([this] { run(); });
}

Beside::~Beside() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  ends_.notify_all();
  thread_.join();
}

void Beside::run() {
  const auto& all = cluster_.backups;
  std::vector<Clock::time_point> due(all.size());
  const auto next_of = [](const model::BackupPlace& place) {
    return Clock::now() + std::chrono::seconds(place.every_s);
  };
  std::transform(all.begin(), all.end(), due.begin(), next_of);
  while (!all.empty()) {
    {
      std::unique_lock lock(mutex_);
      if (ends_.wait_until(lock, *std::min_element(due.begin(), due.end()), [this] { return ending_.load(); })) return;
    }
    std::vector<std::string> places;
    for (std::size_t at = 0; at < all.size(); ++at) {
      if (due[at] > Clock::now()) continue;
      places.push_back(all[at].title());
      due[at] = next_of(all[at]);
    }
    if (!places.empty()) send(places);
  }
}

void Beside::send(const std::vector<std::string>& places) {
  const auto store = store::Store::open(state_folder_, "copies", store::Mode::read);
  if (!store) return;
  const auto now_s = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  static_cast<void>(Keeper(**store, cluster_, files_(), ending_).send(now_s, places));
}

}  // namespace k4t::backup
