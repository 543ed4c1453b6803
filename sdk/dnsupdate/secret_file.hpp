#pragma once

#include <string>

#include "k4t/result.hpp"

namespace k4t::dnsupdate {

/// The bytes of a file that holds a secret; the caller wipes them. `what` names it in messages ("key file").
/// INVALID_ARGUMENT: missing, no regular file, larger than 64 KiB, or open to other users of this machine.
Result<std::string> read_secret_file(const std::string& path, const std::string& what);

}  // namespace k4t::dnsupdate
