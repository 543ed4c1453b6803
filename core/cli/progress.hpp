#pragma once

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cli/console.hpp"
#include "operation/reporter.hpp"

/// Shows an operation at work: on a terminal one line per thing, which changes in place; otherwise plain lines for
/// logs, one where a thing's work begins and one where it ends.

namespace k4t::cli {

/// How a state word looks at a glance.
enum class Mood { active, good, bad };
Mood mood_of(const std::string& state);

/// What every command needs in order to work, and nobody wants to read of while it does: answers of witnesses, and that
/// something was observed. Shown with -v, and when it goes wrong.
bool is_routine(const operation::Happening& happening);

/// A reporter that says each warning once.
class Progress : public operation::Reporter {
 public:
  /// The user has seen this warning, in a plan for example.
  void told(const std::string& warning);
  /// Others are about to write on the terminal: what is on it stays as it is.
  virtual void rest() {}

 protected:
  /// `level`: the least log level that is shown. Anything below a warning shows every step too.
  Progress(std::FILE* out, LogLevel level) : out_(out), level_(level) {}
  [[nodiscard]] bool shows_all() const { return level_ < LogLevel::warning; }
  /// REQUIRES: the lock is held.
  bool is_new(const std::string& warning) { return told_.insert(warning).second; }

  std::mutex mutex_;
  std::FILE* out_;
  LogLevel level_;

 private:
  std::set<std::string> told_;
};

class LineReporter final : public Progress {
 public:
  LineReporter(std::FILE* out, LogLevel level) : Progress(out, level) {}
  ~LineReporter() override;
  void rest() override;
  void stage(const std::string& what) override;
  void happening(const operation::Happening& happening) override;
  void warning(const std::string& text) override;
  void log(LogLevel level, const std::string& text) override;

 private:
  void write(const std::string& line);
  void write_held();
  std::map<std::string, std::string> last_;  ///< so that a thing's repeated state is told once
  std::set<std::string> begun_;              ///< subjects of this stage
  std::map<std::string, std::string> held_;  ///< lines of witnesses that failed and may be asked again in this stage
};

class LiveReporter final : public Progress {
 public:
  LiveReporter(std::FILE* out, Terminal terminal, LogLevel level) : Progress(out, level), terminal_(terminal) {}
  ~LiveReporter() override;
  void rest() override;
  void stage(const std::string& what) override;
  void happening(const operation::Happening& happening) override;
  void warning(const std::string& text) override;
  void log(LogLevel level, const std::string& text) override;

 private:
  bool update(const operation::Happening& happening);
  void finish_block();
  void redraw();
  void print_above(const std::string& line);
  void write(const std::string& text);
  [[nodiscard]] std::string line_of(const operation::Happening& happening) const;

  Terminal terminal_;
  std::vector<operation::Happening> block_;  ///< the current stage's things, in the order they appeared
  std::size_t drawn_ = 0;                    ///< lines of the block that are on the screen
  std::chrono::steady_clock::time_point last_draw_{};
};

std::unique_ptr<Progress> make_reporter(std::FILE* out, LogLevel level);

/// "12.3 MB of 40.0 MB".
std::string human_bytes(std::uint64_t bytes);

}  // namespace k4t::cli
