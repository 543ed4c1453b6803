#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "k4t/json.hpp"

/// How hosts are reached over SSH, as people write it: the [ssh] table of k4t.toml, or a driver's option `ssh`. Nothing
/// else is read: no ~/.ssh/config, so that a cluster's file means the same for every user and on every machine.

namespace k4t::transport {

/// All paths are absolute.
struct SshOptions {
  /// Private keys, tried in this order (OpenSSH or PEM format; Ed25519, ECDSA, RSA). None: what ssh-agent offers, then
  /// ~/.ssh/id_ed25519, id_ecdsa and id_rsa as far as they exist.
  std::vector<std::string> identity;
  /// A file whose first line decrypts the keys; empty: the keys are not encrypted, or ssh-agent holds them.
  std::string passphrase_file;
  /// The only file whose host keys are believed; empty: ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts.
  std::string known_hosts;
  /// A host to go through, ssh://[user@]host[:port], with the same keys and known hosts; empty: none.
  std::string jump;
  /// For connecting, the key exchange and authentication together. Where many connections are made at once, the latter
  /// two have their turn; waiting for it does not count, and ends with the caller's own time-out or cancellation.
  std::uint32_t connect_timeout_ms = 10'000;
  std::uint32_t keep_alive_ms = 15'000;  ///< silent so long: asked; silent so long again: given up
  friend bool operator==(const SshOptions&, const SshOptions&) = default;
};
K4T_JSON_DECLARE(SshOptions)

/// JSON Schema (draft 7) of SshOptions, for drivers' option schemas.
Json ssh_options_schema();

}  // namespace k4t::transport
