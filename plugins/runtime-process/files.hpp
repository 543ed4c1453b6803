#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "k4t/result.hpp"

/// Small file operations that tell "absent" from "cannot be read", and the pieces of /proc that identify a process.

namespace k4t::process {

/// A file descriptor that is closed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  void reset();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// Both ends of a pipe, closed on exec.
struct Pipe {
  Descriptor read;
  Descriptor write;
};
Result<Pipe> make_pipe();

/// "WHAT: <errno's text>"; NOT_FOUND where errno says that there is no such file, else UNAVAILABLE.
Error system_error(const std::string& what);

Result<std::string> read_file(const std::string& path);

enum class Durability {
  process,  ///< survives the death of any process; after a power cut the content may be lost
  power,    ///< survives a power cut
};

/// Replaces a file as a whole: readers see the old or the new content.
Result<void> replace_file(const std::string& path, std::string_view text, Durability durability);

/// Makes what was created, renamed or deleted in a folder survive a power cut.
Result<void> sync_folder(const std::string& path);

/// Deletes a file, durably; an absent one is a success.
Result<void> delete_file(const std::string& path);

/// Writes into an existing file of the kernel's, such as a cgroup's, as one write.
Result<void> write_kernel_file(const std::string& path, std::string_view text);

/// Identifies this boot of the machine.
std::string boot_id();

/// When a process began, in clock ticks since the boot; 0: there is none, or only a zombie. With the pid it names a
/// process for good.
unsigned long long process_start_ticks(int pid);

}  // namespace k4t::process
