#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "k4t/result.hpp"

namespace k4t::store {

/// Keeps other k4t processes of this machine out as long as it lives. The kernel drops it when the process ends,
/// however it ends; the file stays and says who holds or last held it.
class FolderLock {
 public:
  /// BUSY: another process holds it; the message says which one. `command` is shown to others.
  static Result<std::unique_ptr<FolderLock>> acquire(const std::filesystem::path& file, const std::string& command);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace k4t::store
