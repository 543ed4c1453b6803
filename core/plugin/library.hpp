#pragma once

#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <memory>

#include "k4t/plugin.hpp"

/// One plugin in memory: its checked file, its table of functions and its manifest.

namespace k4t::plugin {

/// A table as this program knows it, read from one of `plugin_bytes` bytes: the smaller of both sizes, the rest zero.
/// `Table` begins with its size. Both sides may be older than the other.
template <class Table>
Table read_by_size(const void* table) {
  std::uint32_t plugin_bytes = 0;
  std::memcpy(&plugin_bytes, table, sizeof plugin_bytes);
  Table known{};
  std::memcpy(&known, table, plugin_bytes < sizeof known ? plugin_bytes : sizeof known);
  return known;
}

class Library {
 public:
  /// Checks the file (see check_file), loads it with all its symbols bound and private, and asks it for its manifest,
  /// which must come within `describe_timeout`. Code that was loaded stays until the program ends. Errors carry an id
  /// of messages.hpp, the file, the cause and the remedy. Thread-safe.
  static Result<std::shared_ptr<const Library>> load(
      const std::filesystem::path& file, std::chrono::milliseconds describe_timeout = std::chrono::seconds(5));

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const Manifest& manifest() const { return manifest_; }
  /// All functions are there.
  [[nodiscard]] const k4t_driver& table() const { return table_; }

 private:
  Library(std::filesystem::path path, const k4t_driver& table, Manifest manifest)
      : path_(std::move(path)), table_(table), manifest_(std::move(manifest)) {}

  std::filesystem::path path_;
  k4t_driver table_;
  Manifest manifest_;
};

}  // namespace k4t::plugin
