#pragma once

#include <chrono>
#include <string>

#include "k4t/transport.hpp"

namespace k4t::transport::remote {

/// Why the machine's SSH server refused to connect to the unix socket `path`, of which it tells nothing itself: looks
/// at the socket by a command there and adds the cause and the remedy to `refusal`. UNAVAILABLE in any case.
Error explain_refusal(Host& host, const std::string& path, const Error& refusal, std::chrono::milliseconds timeout);

}  // namespace k4t::transport::remote
