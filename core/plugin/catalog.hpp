#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugin/handle.hpp"
#include "plugin/library.hpp"

/// The plugins of a cluster's plugin folders.

namespace k4t::plugin {

/// One line of `k4t plugin ls`: a plugin that can be used, or a file or folder that cannot and why.
struct Row {
  std::string name;
  std::string kind;
  std::string version;
  std::string summary;
  std::vector<std::string> apis;
  std::vector<std::string> capabilities;
  std::string path;
  Status status = Status::ok;
  std::string error;   ///< with its id; empty: usable
  std::string detail;  ///< evidence to the error, e.g. the linker's words
};
/// {"name", …, "status": "ok", "error", "detail"}
void to_json(Json& json, const Row& row);

class Catalog {
 public:
  /// Loads every "*.so" of the folders, in the given order and by name within a folder. Of two plugins with the same
  /// kind and name the first is used and the second reported. What is broken is a row with its error and stops nothing
  /// else.
  static Catalog scan(const std::vector<std::string>& folders);

  /// In the order of the scan; those that cannot be used included.
  [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }

  /// Those that can be used, by kind and name.
  [[nodiscard]] std::vector<std::shared_ptr<const Library>> libraries() const;

  /// NOT_FOUND names the drivers of that kind that there are and the files that could not be loaded.
  [[nodiscard]] Result<std::shared_ptr<const Library>> find(const std::string& kind, const std::string& driver) const;

  /// Whether there is such a driver and it declares the capability.
  [[nodiscard]] bool has_capability(const std::string& kind, const std::string& driver,
                                    std::string_view capability) const;

  /// Opens `driver` of `kind` for one configured thing, whose options must fit the manifest's schema. Thread-safe.
  [[nodiscard]] Result<std::unique_ptr<Handle>> open(const std::string& driver, const std::string& kind,
                                                     const OpenRequest& request, const CallOptions& options = {}) const;

 private:
  void add_folder(const std::string& folder);
  void add_file(const std::filesystem::path& file);

  std::vector<Row> rows_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const Library>> libraries_;  ///< by kind, name
};

}  // namespace k4t::plugin
