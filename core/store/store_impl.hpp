#pragma once

#include <memory>
#include <utility>

#include "k4t/json.hpp"
#include "store/folder_lock.hpp"
#include "store/sqlite.hpp"
#include "store/store.hpp"

/// What the store's own source files share; for nobody else.

namespace k4t::store {

/// The database's name in a state folder.
inline constexpr const char* metadata_file = "metadata.db";

class Store::Impl {
 public:
  std::filesystem::path file;
  std::unique_ptr<FolderLock> lock;  ///< nullptr in mode read; released after the database was closed
  std::unique_ptr<Database> database;
};

/// 0700, with its parents.
Result<void> make_state_folder(const std::filesystem::path& folder);

/// Where a folder's lock is.
inline std::filesystem::path lock_file(const std::filesystem::path& folder) {
  return folder / (std::string(metadata_file) + ".lock");
}

/// Decodes what the store itself wrote earlier.
template <class T>
Result<T> read_json(const std::string& text, const std::filesystem::path& file) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  Result<T> value = json.is_discarded() ? Error{Status::fatal, "not JSON", {}} : decode<T>(json);
  if (value) return value;
  return Error{Status::fatal, file.string() + " holds a value that cannot be understood", value.error().message};
}

}  // namespace k4t::store
