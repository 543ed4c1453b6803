#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

/// Real servers for tests, which leave nothing behind even when the test is killed.

namespace k4t::testing {

/// True when a missing server must fail the test instead of skipping it (K4T_REQUIRE_REAL=1).
bool require_real();

/// Leaves the test as skipped with the reason, or as failed under K4T_REQUIRE_REAL=1.
#define K4T_SKIP_OR_FAIL(REASON)                                  \
  do {                                                            \
    if (::k4t::testing::require_real()) GTEST_FAIL() << (REASON); \
    GTEST_SKIP() << (REASON);                                     \
  } while (false)

/// The program's path, looked for in PATH and the sbin folders; empty: not installed.
std::string find_program(const std::string& name);

/// Direct children of a process, by the kernel's list.
std::vector<pid_t> children_of(pid_t parent);

/// A TCP port of 127.0.0.1 (and, as far as can be seen, of all of 127.0.0.0/8) that nobody uses now. Distinct within
/// one test program.
std::uint16_t free_port();

/// Waits for a condition, polling; false when it did not come true in time. For conditions that no event announces.
bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds timeout = std::chrono::seconds(10));

/// A folder that vanishes with this object, or soon after this process dies in whatever way.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Writes a file below the folder, with its parents; returns its path.
  std::filesystem::path write(const std::string& name, const std::string& text, unsigned mode = 0644) const;
  [[nodiscard]] static std::string read(const std::filesystem::path& file);

 private:
  std::filesystem::path path_;
  int guard_ = -1;
  pid_t guardian_ = -1;
};

/// A server process and all its descendants, daemonised ones included. A guardian process, their subreaper, kills them
/// when this object or this process goes away. Output goes to the given file.
class Server {
 public:
  /// Starts argv; throws std::runtime_error where that fails. `env` is added to this process's own. `cleanup`, a
  /// command of at most a few seconds, is run by the guardian once everything is dead: for what the kernel keeps, such
  /// as network interfaces.
  Server(const std::vector<std::string>& argv, const std::filesystem::path& log,
         const std::map<std::string, std::string>& env = {}, const std::vector<std::string>& cleanup = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// The pid of argv's own process, which may have daemonised away since.
  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;
  /// Kills everything at once, as a power cut would, and waits until it is gone.
  void kill_all();
  /// SIGTERM, then after `grace` the rest by force; waits until all are gone.
  void stop(std::chrono::milliseconds grace = std::chrono::seconds(10));

 private:
  void finish();
  pid_t pid_ = -1;
  pid_t guardian_ = -1;
  int guard_ = -1;
};

/// Whether a process is gone, or a zombie, of which no file or pipe is open any more.
bool has_ended(pid_t pid);

/// What a command that ran to its end did.
struct Ran {
  int exit_code = -1;  ///< 128 + n: ended by signal n
  std::string out;     ///< standard output and error, in order
};

/// Runs a command to its end, for a test's own preparations and proofs.
Ran run(const std::vector<std::string>& argv, const std::string& input = {},
        std::chrono::milliseconds timeout = std::chrono::seconds(60));

/// Throws std::runtime_error with what the command printed, unless it ended well.
void check(const Ran& ran, const std::string& what);

}  // namespace k4t::testing
