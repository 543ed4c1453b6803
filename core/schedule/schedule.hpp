#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// Where new instances go. Pure: the same input gives the same placement on every machine.

namespace k4t::schedule {

/// Host ports that may be given out, an inclusive range, less those that are in use or not to be used again yet.
class Ports {
 public:
  Ports() = default;  ///< none
  Ports(std::uint16_t first, std::uint16_t last) : first_(first), last_(last), lowest_free_(first) {}

  void take(std::uint16_t port);
  /// The lowest `count` that are free, ascending; fewer where there are not so many.
  [[nodiscard]] std::vector<std::uint16_t> free(std::uint32_t count) const;
  [[nodiscard]] std::uint16_t first() const { return first_; }
  [[nodiscard]] std::uint16_t last() const { return last_; }

 private:
  std::uint16_t first_ = 1;
  std::uint16_t last_ = 0;
  std::uint32_t lowest_free_ = 1;
  std::set<std::uint16_t> taken_;  ///< above lowest_free_
};

/// What one machine offers and what is taken of it. Zero capacity: none of it is offered.
struct Room {
  std::string node;
  std::string closed;  ///< why nothing is to be placed here, e.g. "is cordoned"; empty: it may be
  std::map<std::string, std::string> labels;
  std::uint64_t cpu_millis = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t used_cpu_millis = 0;
  std::uint64_t used_memory_bytes = 0;
  std::map<std::string, std::uint32_t> instances;  ///< by service: those that stay, and those placed by this call
  Ports ports;
  std::optional<std::uint64_t> addresses;  ///< how many are free for instances; absent: it gives none
};

/// What one new instance needs.
struct Need {
  std::string service;
  std::uint64_t cpu_millis = 0;
  std::uint64_t memory_bytes = 0;
  std::map<std::string, std::string> labels;  ///< the node must have all of these
  std::uint32_t ports = 0;                    ///< how many host ports
  bool takes_address = false;                 ///< one of its own instead of host ports, where the node gives such
};

struct Placement {
  std::string node;
  std::vector<std::uint16_t> ports;  ///< Need::ports of them, ascending; none with an address of its own
  bool own_address = false;          ///< one of the node's is counted as taken; which one is the caller's choice
  friend bool operator==(const Placement&, const Placement&) = default;
};

/// Places one instance and takes its room, or leaves `rooms` as it was. Among the nodes where it fits it takes the one
/// with the fewest instances of the service (spread), then the lowest share of memory and CPU in use, then the first
/// by name.
std::optional<Placement> place(const Need& need, std::vector<Room>& rooms);

/// Why `place` finds nothing, for people: "n1: needs 512 MiB memory, 100 MiB free; n2: label zone=a is missing".
std::string explain(const Need& need, const std::vector<Room>& rooms);

}  // namespace k4t::schedule
