#pragma once

#include <string>

#include "k4t/result.hpp"

namespace k4t {

/// Who beside its owner may read a file that holds a secret.
enum class Readers { group, nobody };

/// The bytes of a file that holds a secret; the caller wipes them. `what` names it in messages ("key file").
/// INVALID_ARGUMENT: missing, no regular file, larger than 64 KiB, or open to other users of this machine than
/// `allowed`.
Result<std::string> read_secret_file(const std::string& path, const std::string& what,
                                     Readers allowed = Readers::group);

}  // namespace k4t
