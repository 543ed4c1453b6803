#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "drivers/fleet.hpp"
#include "fakes/world.hpp"
#include "operation/master.hpp"
#include "operation/transactions.hpp"
#include "store/store.hpp"
#include "support/process.hpp"

namespace k4t::operation {

/// Remembers what an operation told.
class Told final : public Reporter {
 public:
  void stage(const std::string& what) override;
  void happening(const Happening& happening) override;
  void warning(const std::string& text) override;
  /// Whether a warning contains the text.
  [[nodiscard]] bool warned(const std::string& text);
  /// Called with each happening, from the operation's own threads.
  std::function<void(const Happening&)> watch;
  std::function<void(const std::string&)> watch_stage;

 private:
  std::mutex mutex_;
  std::vector<std::string> warnings_;
};

/// A cluster of fake machines with real witnesses and a real store in a folder: two nodes, two gateways, one DNS
/// server.
class Lab {
 public:
  explicit Lab(const std::filesystem::path& folder);
  /// A second master, on the host beta, of `other`'s machines and witnesses, with a store of its own.
  Lab(const std::filesystem::path& folder, Lab& other);
  ~Lab();

  /// Puts a copy of this store where a Lab of that folder will open it: a cloned machine, or a backup.
  void copy_store_to(const std::filesystem::path& folder);

  /// A new life of the master, with the configuration as it is now.
  Master& master();
  /// The same for the commands about the redo log.
  Transactions& transactions();
  Result<Report> apply(const Change& change, bool force = false);
  /// What a master of the lab would get, of a new life.
  Environment environment();
  /// Ends the master's life without a word; the store and the machines stay.
  void forget_master();
  /// The same with its store closed, until it is switched on again.
  void power_off();
  void power_on() { open_store(); }

  static model::Service web(std::uint32_t replicas, const std::string& image = "app:1");

  store::Store& store() { return *store_; }
  /// The witnesses' own words, to see that nothing was written.
  [[nodiscard]] std::string witness_files() const;
  /// Routes of the gateway, as "address:port".
  std::vector<std::string> routes(const std::string& gateway);
  [[nodiscard]] std::vector<store::Operation> unfinished();

  fakes::World world;
  model::Cluster cluster;
  Told told;
  std::atomic<bool> interrupted = false;
  std::atomic<bool> healthy = true;  ///< what every probe finds
  std::vector<std::string> capabilities;
  bool take_over = false;
  std::string holder = "alpha root";  ///< who claims
  store::Seconds now_s = 1;           ///< what the master's clock says

 private:
  void open_store();

  fakes::World* machines_ = &world;
  std::filesystem::path folder_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<drivers::Fleet> fleet_;
  std::unique_ptr<Master> master_;
  std::unique_ptr<Transactions> transactions_;
  unsigned lives_ = 0;
  std::atomic<unsigned> drawn_ = 0;
};

}  // namespace k4t::operation
