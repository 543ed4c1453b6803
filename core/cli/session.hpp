#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backup/beside.hpp"
#include "cli/exit_code.hpp"
#include "config/config.hpp"
#include "drivers/fleet.hpp"
#include "operation/environment.hpp"
#include "plugin/catalog.hpp"
#include "store/store.hpp"

/// What every command needs before it can do its work.

namespace k4t::cli {

/// The options that come before every command.
struct Globals {
  std::string config_path;
  bool json = false;
  LogLevel level = LogLevel::warning;
  bool take_over = false;
};

/// Where to look for k4t.toml when the command line does not say: $K4T_CONFIG, ./k4t.toml, /etc/k4t/k4t.toml.
std::string default_config_path();

/// Where plugins are when k4t.toml does not say: beside the program in a build tree, else where they were installed.
std::vector<std::string> default_plugin_folders();

/// Service files as given; of a folder all that end in .toml, sorted.
Result<std::vector<std::string>> expand(const std::vector<std::string>& files);

/// Prints what is wrong with a configuration on standard error, as JSON on standard output where asked.
void print_diagnostics(const Globals& globals, const std::vector<config::Diagnostic>& diagnostics,
                       const config::Sources& sources);

/// Prints an error with its evidence on standard error, as JSON on standard output where asked.
void print_error(const Globals& globals, const Error& error);

/// The files of this machine that k4t.toml names, by their absolute paths.
std::set<std::string> named_files(const model::Cluster& cluster, const plugin::Catalog& catalog);

/// The configuration, its plugins and what they drive. Nothing is connected before it is used.
class Session {
 public:
  /// Reads k4t.toml, loads the plugins, checks every driver's options, reads `service_files`. Absent: something is
  /// wrong, and it has been printed.
  static std::unique_ptr<Session> open(const Globals& globals, const std::vector<std::string>& service_files = {});

  [[nodiscard]] const Globals& globals() const { return globals_; }
  [[nodiscard]] const model::Cluster& cluster() const { return cluster_; }
  [[nodiscard]] const std::vector<model::Service>& services() const { return services_; }
  /// What is odd and not wrong; it has been printed, except where JSON was asked for.
  [[nodiscard]] const std::vector<config::Diagnostic>& warnings() const { return warnings_; }
  [[nodiscard]] const plugin::Catalog& catalog() const { return catalog_; }
  [[nodiscard]] const drivers::Fleet& fleet() const { return *fleet_; }

  /// Opens the master's metadata once. Absent: it could not be, and why has been printed.
  store::Store* store(const std::string& command, store::Mode mode = store::Mode::change);
  /// Opens it for reading and holds nobody up; makes it where there is none yet.
  store::Store* store_to_read(const std::string& command);
  /// Opens it for changes, or while another command changes it for reading. `changing` says which.
  store::Store* store_to_look(const std::string& command, bool& changing);

  /// What is configured and may be called, of another cluster than the session's: to try what is not configured yet.
  [[nodiscard]] std::unique_ptr<drivers::Fleet> open_fleet(model::Cluster& cluster) const;

  /// What goes into copies of the metadata: k4t.toml, and where they are encrypted the files that it names, by path.
  [[nodiscard]] std::map<std::string, std::string> copied_files() const;
  /// No more copies are made beside this command.
  void end_copies_beside() { beside_.reset(); }

  /// REQUIRES: store() succeeded. `reporter` outlives what is returned.
  operation::Environment environment(const std::string& command, operation::Reporter& reporter);

 private:
  Session() = default;
  Result<std::unique_ptr<store::Store>> open_store(const std::string& command, store::Mode mode);
  void add_nodes(model::Cluster& cluster);

  Globals globals_;
  model::Cluster cluster_;
  Result<std::vector<model::AddedNode>> stored_nodes_ = std::vector<model::AddedNode>{};
  std::set<std::string> added_nodes_;  ///< those that the cluster has from there
  std::vector<model::Service> services_;
  std::vector<config::Diagnostic> warnings_;
  plugin::Catalog catalog_;
  std::unique_ptr<drivers::Fleet> fleet_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<backup::Beside> beside_;
};

/// Set by the first SIGINT or SIGTERM; a second one ends the process at once, which is safe at any moment.
const std::atomic<bool>& interrupted();
void watch_signals();

}  // namespace k4t::cli
