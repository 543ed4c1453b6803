#pragma once

#include <map>
#include <optional>
#include <string>

#include "image/spool.hpp"
#include "k4t/result.hpp"
#include "k4t/runtime.hpp"

namespace k4t::image {

/// A tar on this machine's disk, as it is or compressed with gzip, bzip2, xz or zstd: where its members are. Nothing is
/// ever extracted, so that no name in it, however hostile, means a file of this machine.
class TarFile {
 public:
  /// Reads it to its end once. A compressed one is kept uncompressed in a Spool. NOT_FOUND, UNAVAILABLE: it cannot be
  /// read. INVALID_ARGUMENT: it is no tar, damaged, or has no end.
  static Result<TarFile> open(const std::string& path);
  /// The same of a file that was written here.
  static Result<TarFile> open(Spool spool);

  /// The content of a regular file in it, found through symbolic and hard links too; absent: there is none.
  [[nodiscard]] std::optional<runtime::Extent> find(const std::string& name) const;
  /// UNAVAILABLE: it cannot be read. INVALID_ARGUMENT: it is longer than `limit_bytes`.
  [[nodiscard]] Result<std::string> read(const runtime::Extent& extent, std::uint64_t limit_bytes) const;
  /// Of the file that extents are parts of, valid as long as this object.
  [[nodiscard]] std::string path() const { return spool_ ? spool_->path() : path_; }

 private:
  TarFile(std::string path, std::optional<Spool> spool) : path_(std::move(path)), spool_(std::move(spool)) {}
  Result<bool> index();

  std::string path_;
  std::optional<Spool> spool_;
  std::map<std::string, runtime::Extent> files_;  ///< by name, without "./" and the like
  std::map<std::string, std::string> links_;      ///< to a name of the same kind
};

}  // namespace k4t::image
