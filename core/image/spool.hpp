#pragma once

#include <string>
#include <string_view>

#include "k4t/result.hpp"

namespace k4t::image {

/// A file without a name, which ends with this object or this process, however that ends. Not thread-safe.
class Spool {
 public:
  /// In the folder $TMPDIR, else /var/tmp: images are too large for a /tmp in memory.
  static Result<Spool> create();
  Spool(Spool&& other) noexcept;
  Spool& operator=(Spool&&) = delete;
  ~Spool();

  Result<void> append(std::string_view bytes);
  /// Under which this process, and others of its user, can open it meanwhile.
  [[nodiscard]] std::string path() const;

 private:
  Spool(int descriptor, std::string folder);

  int descriptor_;
  std::string folder_;
};

}  // namespace k4t::image
