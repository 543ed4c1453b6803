#pragma once

#include <memory>
#include <string>
#include <vector>

#include "support/process.hpp"

/// A real BIND 9 on 127.0.0.1, primary for one zone, for tests of DNS drivers and of whole clusters.

namespace k4t::testing {

struct BindOptions {
  std::string zone = "example.net";
  /// Zone file lines after SOA and NS, in zone file syntax, e.g. "www A 192.0.2.7".
  std::vector<std::string> records;
  bool transfer = true;             ///< the key may transfer the zone
  std::string granted = "zonesub";  ///< what the key may update: rule and name of update-policy
};

/// Runs from construction until stop(), kill() or destruction; zone, journal and keys live in a Scratch.
/// Everything throws std::runtime_error where it fails.
class BindServer {
 public:
  explicit BindServer(const BindOptions& options = {});
  ~BindServer();
  BindServer(const BindServer&) = delete;
  BindServer& operator=(const BindServer&) = delete;

  /// False: BIND or its tools are not installed.
  static bool installed();

  [[nodiscard]] std::string address() const { return "127.0.0.1"; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& zone() const { return options_.zone; }

  [[nodiscard]] std::string key_file() const;      ///< may do everything; "k4t-key", hmac-sha256
  [[nodiscard]] std::string admin_file() const;    ///< may do everything; another key, hmac-sha512
  [[nodiscard]] std::string reader_file() const;   ///< known to the server, but may not update
  [[nodiscard]] std::string wrong_file() const;    ///< the first key's name with another secret
  [[nodiscard]] std::string unknown_file() const;  ///< a key that the server does not know

  /// Starts it again on the same port and data; returns when it answers for the zone.
  void start();
  /// SIGTERM, and waits for the end.
  void stop();
  /// Ends it at once, as a power cut would.
  void kill();

  /// Stops its process where it is, so that connections hang; and lets it go on.
  void freeze() const;
  void thaw() const;

  /// Runs nsupdate(1) with the administrator's key; `lines` are its commands, without server, zone and send.
  Ran update_by_hand(const std::vector<std::string>& lines) const;
  /// What dig(1) prints in short form, lines sorted; asks over TCP without a key.
  [[nodiscard]] std::string dig(const std::string& name, const std::string& type) const;
  [[nodiscard]] std::string log() const;

 private:
  void write_files() const;

  BindOptions options_;
  Scratch scratch_;
  std::uint16_t port_;
  std::unique_ptr<Server> server_;
};

}  // namespace k4t::testing
