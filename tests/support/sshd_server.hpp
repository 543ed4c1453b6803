#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "support/process.hpp"

namespace k4t::testing {

/// OpenSSH's server on a port of 127.0.0.1, with host key, user key and known_hosts of its own. Logins are those of the
/// user that runs the test, which is root: sshd lets nobody else in who is not. Their home folder is the scratch
/// folder, so that nobody's start-up files run.
class SshdServer {
 public:
  static bool available();

  /// Makes the keys. `settings` are further lines of sshd_config, which win.
  explicit SshdServer(const std::string& settings = {});

  /// Starts it and waits until it accepts connections.
  void start();
  /// Kills it with all its connections.
  void kill();
  /// Kills its connections only; it goes on accepting new ones.
  void cut_connections() const;
  /// Stops everything in its tracks, as on a machine that hangs: the kernel still accepts connections.
  void freeze() const;
  void thaw() const;
  /// From the next start on `name` can log in too, an ordinary user with /bin/sh and a group of its own.
  void add_user(const std::string& name, unsigned uid) const;
  /// Another host key from the next start on.
  void change_host_key() const;
  /// known_hosts believes its host key at another port of 127.0.0.1 too.
  void know_at(std::uint16_t port) const;

  /// How many clients have authenticated since the first start.
  [[nodiscard]] std::size_t logins() const;
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const { return "ssh://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::string url(const std::string& user) const {
    return "ssh://" + user + "@127.0.0.1:" + std::to_string(port_);
  }
  [[nodiscard]] std::string identity() const { return path("id_ed25519"); }
  [[nodiscard]] std::string known_hosts() const { return path("known_hosts"); }
  [[nodiscard]] std::string authorized_keys() const { return path("authorized_keys"); }
  [[nodiscard]] std::string log() const { return path("log"); }
  [[nodiscard]] const Scratch& scratch() const { return scratch_; }

  /// Makes a key pair FILE and FILE.pub; RSA keys have 2048 bits.
  static void make_key(const std::string& file, const std::string& type, const std::string& passphrase = {});

 private:
  [[nodiscard]] std::string path(const std::string& name) const { return (scratch_.path() / name).string(); }
  void signal_all(int number) const;

  Scratch scratch_;
  std::uint16_t port_;
  std::unique_ptr<Server> server_;
};

}  // namespace k4t::testing
