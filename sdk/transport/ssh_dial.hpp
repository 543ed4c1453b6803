#pragma once

#include "errors.hpp"
#include "ssh_session.hpp"

namespace k4t::transport {

/// A connected, non-blocking TCP socket to the target, whose addresses are tried one after the other. UNAVAILABLE: the
/// name cannot be resolved or nobody accepts.
Result<Fd> dial(const SshTarget& target, const Wait& wait);

}  // namespace k4t::transport
