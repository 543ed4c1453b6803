#pragma once

#include <string>
#include <vector>

#include "config/table.hpp"
#include "model/cluster.hpp"

/// What k4t.toml says of copies of the metadata: part of the cluster file's reader.

namespace k4t::config {

/// [cluster.backup] as it is written.
struct CopyKeyKeys {
  bool encrypt = model::BackupKey{}.encrypt;
  std::string key_file = "backup.key";
  std::string passphrase_file;
};

const Table<CopyKeyKeys>& copy_key_table();
const Table<model::BackupPlace>& copies_table();

/// Gives each place its machine and its absolute path; what cannot be is reported.
void finish_copies(const Value& root, const std::string& folder, const std::vector<model::Node>& nodes,
                   std::vector<model::BackupPlace>& places, Report& report);
model::BackupKey finish_copy_key(const Value& root, const std::string& folder, const CopyKeyKeys& keys, Report& report);

// Shared by the readers of the cluster file's parts.
/// The item of the list at that index if it was read without errors; nullptr otherwise.
const Value* sound_item(const Value& root, std::string_view list_name, std::size_t index, const Report& report);
std::string absolute(const std::string& folder, const std::string& path);
/// Makes a local path absolute; absent: it cannot be, and that is reported.
std::optional<std::string> absolute_path(const Value& item, const std::string& host, const std::string& path,
                                         const std::string& folder, Report& report);

}  // namespace k4t::config
