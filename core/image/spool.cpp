#include "image/spool.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace k4t::image {
namespace {

Error spool_error(const std::string& folder) {
  return Error{Status::unavailable,
               "cannot keep an image in " + folder + ": " + std::generic_category().message(errno) +
                   "; TMPDIR names another folder",
               {}};
}

std::string spool_folder() {
  const char* chosen = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return chosen != nullptr && *chosen != '\0' ? chosen : "/var/tmp";
}

}  // namespace

Spool::Spool(int descriptor, std::string folder) : descriptor_(descriptor), folder_(std::move(folder)) {}

Spool::Spool(Spool&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), folder_(std::move(other.folder_)) {}

Spool::~Spool() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<Spool> Spool::create() {
  const std::string folder = spool_folder();
  // Not O_TMPFILE, which not every file system has.
  std::string name = folder + "/k4t-image-XXXXXX";
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor < 0) return spool_error(folder);
  ::unlink(name.c_str());
  return Spool(descriptor, folder);
}

Result<void> Spool::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return spool_error(folder_);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

std::string Spool::path() const { return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(descriptor_); }

}  // namespace k4t::image
