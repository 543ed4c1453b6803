#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "support/process.hpp"

namespace k4t::testing {

/// A real nginx as an ordinary process with a main configuration of its own below a Scratch folder, which must outlive
/// it. It includes FOLDER/live/http*.conf and FOLDER/live/stream*.conf the way an administrator would.
class NginxServer {
 public:
  /// False: nginx or its stream module is not installed.
  static bool available();

  /// Does not start it yet. `name` is its folder below the scratch folder.
  NginxServer(const Scratch& scratch, const std::string& name);

  /// Text inside the http block beside the include; before start(), or followed by a reload.
  void set_http(const std::string& text);

  /// Starts it and waits until its workers run; throws std::runtime_error with the error log where they do not.
  void start();
  /// Ends it in an orderly way; the next start() begins with what is on disk.
  void stop();
  void restart() {
    stop();
    start();
  }
  /// SIGKILL to the master alone: its workers stay.
  void kill_master() const;
  /// SIGSTOP or SIGCONT to the master and its workers.
  void signal_all(int number) const;

  [[nodiscard]] std::filesystem::path config() const { return root_ / "nginx.conf"; }
  [[nodiscard]] std::filesystem::path folder() const { return root_ / "k4t"; }
  [[nodiscard]] std::filesystem::path pid_file() const { return root_ / "nginx.pid"; }
  [[nodiscard]] std::filesystem::path error_log() const { return root_ / "error.log"; }

 private:
  void write_config() const;
  std::filesystem::path root_;
  std::string http_;
  std::unique_ptr<Server> server_;
};

}  // namespace k4t::testing
