#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "support/process.hpp"

/// A real Samba AD domain controller on 127.0.0.1, as far as DNS needs one: its DNS server, which takes secure dynamic
/// updates only, and its Kerberos server. It stands in for Windows Server in tests of DNS drivers and of whole
/// clusters.

namespace k4t::testing {

/// An account of the domain.
struct SambaAccount {
  std::string name;           ///< its principal is NAME@REALM
  std::string keytab;         ///< path
  std::string password_file;  ///< path
};

/// A domain of its own, with data, ports and records that no other server shares. The first one of a program takes some
/// twenty seconds, because samba-tool makes the domain then; later ones are copies of it from before it ever ran. Runs
/// from its construction until stop(), kill() or destruction; all its data live in a Scratch. Everything throws
/// std::runtime_error where it fails.
class SambaServer {
 public:
  SambaServer();
  ~SambaServer();
  SambaServer(const SambaServer&) = delete;
  SambaServer& operator=(const SambaServer&) = delete;

  /// False: Samba's domain controller or its tools are not installed.
  static bool installed();

  [[nodiscard]] std::string address() const { return "127.0.0.1"; }
  [[nodiscard]] std::uint16_t port() const { return port_; }          ///< of DNS
  [[nodiscard]] std::uint16_t kdc_port() const { return kdc_port_; }  ///< of Kerberos
  [[nodiscard]] std::string zone() const { return "example.net"; }
  [[nodiscard]] std::string realm() const { return "EXAMPLE.NET"; }
  [[nodiscard]] std::string host() const { return "dc1.example.net"; }

  /// An ordinary user: it may create names, and change those that it has created.
  [[nodiscard]] const SambaAccount& user() const { return user_; }
  /// A domain administrator.
  [[nodiscard]] const SambaAccount& admin() const { return admin_; }
  /// Makes another ordinary user. The server may run meanwhile.
  [[nodiscard]] SambaAccount add_user(const std::string& name) const;
  /// Runs `samba-tool ARGUMENTS` on the domain's data.
  Ran tool(std::vector<std::string> arguments) const;

  /// Starts it again on the same ports and data, its clock ahead of ours by so much; returns when it answers.
  void start(std::chrono::seconds clock_ahead = {});
  /// SIGTERM, and waits for the end.
  void stop();
  /// Ends it at once, as a power cut would.
  void kill();

  /// Stops its process where it is, so that connections hang; and lets it go on.
  void freeze() const;
  void thaw() const;

  /// What dig(1) prints in short form, lines sorted; asks over TCP without a key.
  [[nodiscard]] std::string dig(const std::string& name, const std::string& type) const;
  [[nodiscard]] std::string log() const;

 private:
  [[nodiscard]] std::string path(const std::string& name) const { return scratch_.path() / name; }

  Scratch scratch_;
  std::uint16_t port_;
  std::uint16_t kdc_port_;
  SambaAccount user_;
  SambaAccount admin_;
  std::unique_ptr<Server> server_;
};

}  // namespace k4t::testing
