#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backup/retention.hpp"
#include "k4t/transport.hpp"
#include "model/cluster.hpp"

namespace k4t::backup {

/// The folder of one cluster on one machine that keeps copies. Thread-safe. Errors name the machine.
class Place {
 public:
  /// Connects to nothing. What is wrong with the host's address is told when it is used.
  Place(const model::BackupPlace& config, const std::string& cluster, const transport::SshOptions& ssh);

  [[nodiscard]] const model::BackupPlace& config() const { return config_; }
  /// On another machine than this one.
  [[nodiscard]] bool is_elsewhere() const { return config_.host != "local"; }

  /// Puts a copy there durably, under its name only once it is whole, and reads it back. UNAVAILABLE: what can be read
  /// there is not what was put.
  Result<void> put(const CopyName& name, const std::string& file, const transport::Limits& limits);
  /// Sorted, the newest first. Files that are no copies are left out.
  Result<std::vector<CopyName>> list(const transport::Limits& limits);
  Result<std::string> read(const CopyName& name, const transport::Limits& limits);
  /// Deletes what its retention does not keep, and how many that were.
  Result<std::size_t> thin(std::int64_t now_s, const transport::Limits& limits);

 private:
  [[nodiscard]] std::string path_of(const CopyName& name) const { return folder_ + '/' + name.text(); }
  [[nodiscard]] Error told(const Error& error) const;

  model::BackupPlace config_;
  std::string folder_;
  Result<std::shared_ptr<transport::Host>> host_;
};

}  // namespace k4t::backup
