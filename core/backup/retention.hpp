#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// Which copies are kept. Pure.

namespace k4t::backup {

/// What a copy's file is called: k4t-20261127T113000Z-v42-1a2b3c4d.copy.
struct CopyName {
  std::int64_t made_at_s = 0;
  std::uint64_t version = 0;
  std::string mark;  ///< the first 8 digits of the metadata's digest

  [[nodiscard]] std::string text() const;
  friend bool operator==(const CopyName&, const CopyName&) = default;
};
/// Absent: the file is something else, and not ours to touch.
std::optional<CopyName> parse_copy_name(const std::string& text);

/// At most so many, and none that is older.
struct Retention {
  std::uint32_t keep = 100;
  std::int64_t keep_for_s = 90 * 24 * 3600;
};

/// Those to delete, of all that one place has. Of the last hour all are kept, of the last day one of each hour, of the
/// last 30 days one of each day, and one of each 30 days before that; of each of these the last. Then the number
/// counts: the oldest go first. The newest copy always stays.
std::vector<CopyName> outdated(std::vector<CopyName> copies, std::int64_t now_s, const Retention& retention);

}  // namespace k4t::backup
