#pragma once

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace k4t::platform {

/// `work(item)` for every item, at most `limit` at a time, on threads of its own; the results in the items' order.
/// Returns when all have ended. `work` must not throw.
template <class Item, class Work>
auto parallel_map(const std::vector<Item>& items, std::size_t limit, Work work) {
  using Value = std::invoke_result_t<Work&, const Item&>;
  std::vector<std::optional<Value>> slots(items.size());
  std::atomic<std::size_t> next = 0;
  {
    std::vector<std::jthread> workers;
    const std::size_t count = std::min(std::max<std::size_t>(limit, 1), items.size());
    for (std::size_t i = 0; i < count; ++i) {
      workers.emplace_back([&] {
        for (std::size_t at = next++; at < items.size(); at = next++) slots[at].emplace(work(items[at]));
      });
    }
  }
  std::vector<Value> results;
  results.reserve(items.size());
  for (auto& slot : slots) results.push_back(*std::move(slot));
  return results;
}

}  // namespace k4t::platform
