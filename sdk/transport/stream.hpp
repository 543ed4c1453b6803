#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "errors.hpp"
#include "k4t/transport.hpp"

namespace k4t::transport {

/// Host::connect_unix and Host::connect_tcp for this machine. UNAVAILABLE: nobody accepts there, for whatever reason;
/// also a socket file that does not exist, since that tells nothing about what the server holds.
Result<std::unique_ptr<Stream>> connect_to_unix(const std::string& path, std::chrono::milliseconds timeout);
Result<std::unique_ptr<Stream>> connect_to_tcp(const std::string& address, std::uint16_t port,
                                               std::chrono::milliseconds timeout);

/// Takes over a connected, non-blocking socket.
std::unique_ptr<Stream> stream_over(Fd fd);

/// INVALID_ARGUMENT for what no socket can be found at.
Result<void> check_unix_path(const std::string& path);
Result<void> check_tcp_address(const std::string& address, std::uint16_t port);

}  // namespace k4t::transport
