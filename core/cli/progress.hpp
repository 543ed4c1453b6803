#pragma once

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cli/console.hpp"
#include "operation/reporter.hpp"

/// Shows an operation at work: on a terminal one line per thing, which changes in place; otherwise one plain line per
/// event, for logs.

namespace k4t::cli {

/// How a state word looks at a glance.
enum class Mood { active, good, bad };
Mood mood_of(const std::string& state);

class LineReporter final : public operation::Reporter {
 public:
  /// `level`: the least log level that is shown.
  LineReporter(std::FILE* out, LogLevel level) : out_(out), level_(level) {}
  void stage(const std::string& what) override;
  void happening(const operation::Happening& happening) override;
  void warning(const std::string& text) override;
  void log(LogLevel level, const std::string& text) override;

 private:
  void write(const std::string& line);
  std::mutex mutex_;
  std::FILE* out_;
  LogLevel level_;
  std::map<std::string, std::string> last_;  ///< so that a thing's repeated state is told once
};

class LiveReporter final : public operation::Reporter {
 public:
  LiveReporter(std::FILE* out, Terminal terminal, LogLevel level) : out_(out), terminal_(terminal), level_(level) {}
  ~LiveReporter() override;
  void stage(const std::string& what) override;
  void happening(const operation::Happening& happening) override;
  void warning(const std::string& text) override;
  void log(LogLevel level, const std::string& text) override;

 private:
  void finish_block();
  void redraw();
  void print_above(const std::string& line);
  [[nodiscard]] std::string line_of(const operation::Happening& happening) const;

  std::mutex mutex_;
  std::FILE* out_;
  Terminal terminal_;
  LogLevel level_;
  std::vector<operation::Happening> block_;  ///< the current stage's things, in the order they appeared
  std::size_t drawn_ = 0;                    ///< lines of the block that are on the screen
  std::chrono::steady_clock::time_point last_draw_{};
};

std::unique_ptr<operation::Reporter> make_reporter(std::FILE* out, LogLevel level);

/// "12.3 MB of 40.0 MB".
std::string human_bytes(std::uint64_t bytes);

}  // namespace k4t::cli
