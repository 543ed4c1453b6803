#pragma once

#include <memory>
#include <string>

/// A DNS server of whatever kind, as the tests of whole clusters see it.

namespace k4t::testing {

class NameServer {
 public:
  virtual ~NameServer() = default;

  /// Lines of its [[dns]] table in k4t.toml: driver, address and options.
  [[nodiscard]] virtual std::string settings() const = 0;

  /// It runs from its construction on. Both return when what they say is so.
  virtual void start() = 0;
  virtual void stop() = 0;

  /// What dig(1) prints in short form, lines sorted.
  [[nodiscard]] virtual std::string dig(const std::string& name, const std::string& type) const = 0;
};

/// Why a server of this kind ("bind", or "samba" in the place of Windows) cannot be had here; empty: it can.
std::string name_server_missing(const std::string& kind);

/// Serves `zone`, example.net or below it. Throws std::runtime_error where it does not start.
std::unique_ptr<NameServer> make_name_server(const std::string& kind, const std::string& zone);

}  // namespace k4t::testing
