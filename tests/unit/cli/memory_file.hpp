#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace k4t::cli {

/// A FILE in memory: what a reporter writes, byte for byte.
class MemoryFile {
 public:
  MemoryFile() : file_(::open_memstream(&text_, &size_)) {}
  ~MemoryFile() {
    std::fclose(file_);
    std::free(text_);  // NOLINT(cppcoreguidelines-no-malloc): open_memstream allocates it so
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  [[nodiscard]] std::FILE* file() const { return file_; }
  /// What was written since the last call.
  std::string take() {
    std::fflush(file_);
    const std::string all(text_, size_);
    const std::string fresh = all.substr(taken_);
    taken_ = all.size();
    return fresh;
  }

 private:
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::size_t taken_ = 0;
  std::FILE* file_;
};

}  // namespace k4t::cli
