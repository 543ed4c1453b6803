#include "schedule/schedule.hpp"

#include <algorithm>
#include <tuple>

namespace k4t::schedule {
namespace {

std::uint64_t free_of(std::uint64_t capacity, std::uint64_t used) { return capacity > used ? capacity - used : 0; }

/// Share in use after the placement, in thousandths; a resource that is neither offered nor needed does not count.
std::uint64_t load_after(const Need& need, const Room& room) {
  const auto share = [](std::uint64_t used, std::uint64_t wanted, std::uint64_t capacity) {
    return capacity == 0 ? std::uint64_t{0} : (used + wanted) * 1000 / capacity;
  };
  return std::max(share(room.used_memory_bytes, need.memory_bytes, room.memory_bytes),
                  share(room.used_cpu_millis, need.cpu_millis, room.cpu_millis));
}

std::string mebibytes(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

bool gets_address(const Need& need, const Room& room) { return need.takes_address && room.addresses; }

/// What stands against this node; empty: it fits.
std::string obstacle(const Need& need, const Room& room) {
  if (!room.closed.empty()) return room.closed;
  for (const auto& [key, value] : need.labels) {
    const auto found = room.labels.find(key);
    if (found == room.labels.end() || found->second != value) return "has no label " + key + "=" + value;
  }
  const auto memory = free_of(room.memory_bytes, room.used_memory_bytes);
  if (need.memory_bytes > memory) {
    return "needs " + mebibytes(need.memory_bytes) + " of memory, " + mebibytes(memory) + " free";
  }
  const auto cpu = free_of(room.cpu_millis, room.used_cpu_millis);
  if (need.cpu_millis > cpu) {
    return "needs " + std::to_string(need.cpu_millis) + "m of CPU, " + std::to_string(cpu) + "m free";
  }
  if (gets_address(need, room)) return *room.addresses == 0 ? "has no free address left in its subnet" : "";
  if (room.ports.free(need.ports).size() < need.ports) {
    return "has no free port left in " + std::to_string(room.ports.first()) + "-" + std::to_string(room.ports.last());
  }
  return {};
}

}  // namespace

void Ports::take(std::uint16_t port) {
  if (port < lowest_free_ || port > last_) return;
  taken_.insert(port);
  while (lowest_free_ <= last_ && taken_.erase(static_cast<std::uint16_t>(lowest_free_)) > 0) ++lowest_free_;
}

std::vector<std::uint16_t> Ports::free(std::uint32_t count) const {
  std::vector<std::uint16_t> ports;
  for (std::uint32_t port = lowest_free_; port <= last_ && ports.size() < count; ++port) {
    const auto candidate = static_cast<std::uint16_t>(port);
    if (!taken_.contains(candidate)) ports.push_back(candidate);
  }
  return ports;
}

std::optional<Placement> place(const Need& need, std::vector<Room>& rooms) {
  const auto rank = [&need](const Room& room) {
    const auto same = room.instances.find(need.service);
    return std::make_tuple(same == room.instances.end() ? 0u : same->second, load_after(need, room), room.node);
  };
  Room* best = nullptr;
  for (Room& room : rooms) {
    if (!obstacle(need, room).empty()) continue;
    if (best == nullptr || rank(room) < rank(*best)) best = &room;
  }
  if (best == nullptr) return std::nullopt;

  Placement placement{best->node, {}, gets_address(need, *best)};
  if (placement.own_address) {
    --*best->addresses;
  } else {
    placement.ports = best->ports.free(need.ports);
  }
  best->used_cpu_millis += need.cpu_millis;
  best->used_memory_bytes += need.memory_bytes;
  ++best->instances[need.service];
  for (const auto port : placement.ports) best->ports.take(port);
  return placement;
}

std::string explain(const Need& need, const std::vector<Room>& rooms) {
  if (rooms.empty()) return "no node can be read";
  std::string text;
  for (const Room& room : rooms) {
    const auto reason = obstacle(need, room);
    if (reason.empty()) continue;
    if (!text.empty()) text += "; ";
    text += room.node + ": " + reason;
  }
  return text;
}

}  // namespace k4t::schedule
