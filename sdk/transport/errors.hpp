#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

#include "k4t/result.hpp"

namespace k4t::transport {

/// What the system's refusal means to a caller. `doing` is the beginning of a sentence: "cannot read /etc/x".
/// NOT_FOUND: the file or its folder is known to be absent. UNAVAILABLE: the machine cannot do it now (full or failing
/// disk, no memory or descriptors left), the same request may succeed later. INVALID_ARGUMENT: it refuses.
Error system_error(std::string_view doing, int number);

/// INVALID_ARGUMENT for text that no system call can take whole: empty, or with a NUL byte in it.
Result<void> check_path(std::string_view path);

/// Owns a file descriptor.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool open() const { return fd_ >= 0; }
  /// Gives it away.
  int release() { return std::exchange(fd_, -1); }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

}  // namespace k4t::transport
