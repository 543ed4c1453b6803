#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "register_text.hpp"

/// What nginx's host shows in one look: files, processes, the status port. Pure: text → values.

namespace k4t::nginx {

struct LiveFile {
  std::optional<FirstLine> line;  ///< absent: it is not one that k4t writes
  std::string digest;             ///< of the rest, as it is now
  [[nodiscard]] bool intact() const { return line && line->digest == digest; }
};

struct Worker {
  int pid = 0;
  bool retiring = false;
  std::int64_t started_s = 0;  ///< since the epoch, exact to about 2 s
};

struct Snapshot {
  enum class Folder { absent, readable, unreadable };
  enum class StatusPort { silent, listening, unknown };

  Folder folder = Folder::unreadable;
  bool has_live = false;
  LiveFile http;
  LiveFile stream;
  std::int64_t changed_s = 0;       ///< the latest change of the live files
  std::vector<std::string> damage;  ///< what could not be read, for people
  std::vector<std::string> staged;  ///< txns
  bool master_alive = false;
  int master_pid = 0;  ///< 0: there is no pid file
  std::vector<Worker> workers;
  StatusPort status_port = StatusPort::unknown;

  /// The register on disk. Absent while has_live: both first lines are damaged.
  [[nodiscard]] std::optional<Register> stored() const;
  [[nodiscard]] bool intact() const;
};

/// UNAVAILABLE where the text does not come from the snapshot script, or not all of it.
Result<Snapshot> parse_snapshot(std::string_view text);

}  // namespace k4t::nginx
