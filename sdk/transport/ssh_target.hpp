#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "k4t/ssh.hpp"

namespace k4t::transport {

/// What an ssh:// URL names. Every part is plain text that no program takes for anything else.
struct SshTarget {
  std::string user;  ///< empty: the user this program runs as
  std::string host;  ///< a name or an address, without brackets
  std::uint16_t port = 22;

  /// "ssh://[user@]host[:port]", the same text for the same target.
  [[nodiscard]] std::string url() const;
  /// "host", or "[host]:port" where the port is not 22: how known_hosts and ssh-keygen write it.
  [[nodiscard]] std::string known_as() const;
};

/// INVALID_ARGUMENT saying what is wrong with the URL.
Result<SshTarget> parse_ssh_url(std::string_view url);

/// INVALID_ARGUMENT naming the option that cannot be right.
Result<void> check_ssh_options(const SshOptions& options);

}  // namespace k4t::transport
