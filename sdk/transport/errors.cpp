#include "errors.hpp"

#include <cerrno>
#include <system_error>

namespace k4t::transport {
namespace {

Status status_of(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR: return Status::not_found;
    case EAGAIN:
    case EDQUOT:
    case EIO:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
    case EROFS:  // a disk that failed is remounted read-only
    case ESTALE:
    case ETIMEDOUT: return Status::unavailable;
    default: return Status::invalid_argument;
  }
}

}  // namespace

Error system_error(std::string_view doing, int number) {
  return Error{status_of(number), std::string(doing) + ": " + std::generic_category().message(number), {}};
}

Result<void> check_path(std::string_view path) {
  if (path.empty()) return Error{Status::invalid_argument, "a path is empty", {}};
  if (path.find('\0') != std::string_view::npos) {
    return Error{Status::invalid_argument, "a path contains a NUL byte", {}};
  }
  return {};
}

}  // namespace k4t::transport
