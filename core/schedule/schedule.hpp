#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// Where new instances go. Pure: the same input gives the same placement on every machine.

namespace k4t::schedule {

/// What one machine offers and what is taken of it. Zero capacity: none of it is offered.
struct Room {
  std::string node;
  std::map<std::string, std::string> labels;
  std::uint64_t cpu_millis = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t used_cpu_millis = 0;
  std::uint64_t used_memory_bytes = 0;
  std::map<std::string, std::uint32_t> instances;  ///< by service: those that stay, and those placed by this call
  std::uint16_t first_port = 0;                    ///< inclusive range of host ports that may be given out
  std::uint16_t last_port = 0;
  std::set<std::uint16_t> taken_ports;  ///< in use, or not to be used again yet
};

/// What one new instance needs.
struct Need {
  std::string service;
  std::uint64_t cpu_millis = 0;
  std::uint64_t memory_bytes = 0;
  std::map<std::string, std::string> labels;  ///< the node must have all of these
  std::uint32_t ports = 0;                    ///< how many host ports
};

struct Placement {
  std::string node;
  std::vector<std::uint16_t> ports;  ///< Need::ports of them, ascending
  friend bool operator==(const Placement&, const Placement&) = default;
};

/// Places one instance and takes its room, or leaves `rooms` as it was. Among the nodes where it fits it takes the one
/// with the fewest instances of the service (spread), then the lowest share of memory and CPU in use, then the first
/// by name.
std::optional<Placement> place(const Need& need, std::vector<Room>& rooms);

/// Why `place` finds nothing, for people: "n1: needs 512 MiB memory, 100 MiB free; n2: label zone=a is missing".
std::string explain(const Need& need, const std::vector<Room>& rooms);

}  // namespace k4t::schedule
