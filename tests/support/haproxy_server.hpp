#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "support/process.hpp"

namespace k4t::testing {

/// A real HAProxy in master-worker mode below a Scratch folder, which must outlive it: an administrator's file of its
/// own, and k4t's file behind it.
class HaproxyServer {
 public:
  static bool available();

  /// Does not start it yet. `name` is its folder below the scratch folder.
  HaproxyServer(const Scratch& scratch, const std::string& name);

  /// Replaces the administrator's file; counts from the next start or reload.
  void set_config(const std::string& text) const;

  /// Starts it and waits until its worker runs; throws std::runtime_error with the log where it does not.
  void start();
  /// Ends it in an orderly way; the next start() begins with what is on disk.
  void stop();
  void restart() {
    stop();
    start();
  }
  /// SIGKILL to the master; its workers end by themselves.
  void kill_master();
  /// SIGSTOP or SIGCONT to the master and its workers.
  void signal_all(int number) const;

  /// One line of commands to the master; its whole answer. Empty: no answer.
  std::string tell(const std::string& line) const;
  /// The pid of the current worker; 0: there is none.
  [[nodiscard]] pid_t worker() const;
  /// Asks for a reload and waits until another worker runs; false: it did not come to that.
  [[nodiscard]] bool reload() const;

  [[nodiscard]] std::filesystem::path config() const { return root_ / "haproxy.cfg"; }
  [[nodiscard]] std::filesystem::path file() const { return root_ / "k4t.cfg"; }
  [[nodiscard]] std::filesystem::path master_socket() const { return root_ / "master.sock"; }
  [[nodiscard]] std::filesystem::path log() const { return root_ / "haproxy.log"; }
  [[nodiscard]] static std::string binary() { return find_program("haproxy"); }

 private:
  std::filesystem::path root_;
  std::unique_ptr<Server> server_;
};

}  // namespace k4t::testing
