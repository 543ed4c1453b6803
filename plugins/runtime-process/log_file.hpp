#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "files.hpp"
#include "k4t/call.hpp"

/// An instance's log: lines of "TIME CHANNEL FLAG TEXT", e.g. "2026-01-31T09:00:00.000001Z out F listening". FLAG is F
/// for a whole line and P for a piece whose rest follows, because it was too long or had not ended yet.

namespace k4t::process {

/// One line of the log.
struct LogLine {
  std::string time;
  Channel channel = Channel::out;
  bool whole = true;
  std::string text;
  friend bool operator==(const LogLine&, const LogLine&) = default;
};

/// Without the final newline. Pure.
std::string format_line(const LogLine& line);
/// Absent where the text is not a log line (the first after a power cut may be a fragment). Pure.
std::optional<LogLine> parse_line(std::string_view text);

/// UTC with microseconds.
std::string format_time(std::chrono::system_clock::time_point time);

/// Appends to the log and keeps it below twice `file_bytes`: a full file takes the place of the older one. What cannot
/// be written (a full disk) is dropped and counted in the next line that can. Used by one thread.
class LogWriter {
 public:
  static constexpr std::size_t kLineBytes = 16384;

  LogWriter(std::string path, std::string older_path, std::uint64_t file_bytes);
  /// Splits into lines; the last piece without a newline waits for its rest.
  void append(Channel channel, std::string_view bytes);
  /// Writes pieces that still wait: nobody will send their rest.
  void flush();

 private:
  std::string& pending(Channel channel) { return pending_[channel == Channel::err ? 1 : 0]; }
  void write(Channel channel, std::string_view text, bool whole);
  bool write_text(const std::string& text);
  void open();

  std::string path_;
  std::string older_path_;
  std::uint64_t file_bytes_;
  std::uint64_t size_bytes_ = 0;
  std::uint64_t dropped_lines_ = 0;
  std::array<std::string, 2> pending_;
  Descriptor file_;
};

/// Reads the log while a LogWriter of another process may be appending to it.
class LogReader {
 public:
  LogReader(std::string path, std::string older_path) : path_(std::move(path)), older_path_(std::move(older_path)) {}

  /// The lines that have come since the last call; at first all that there are, the older file's first. Whole lines of
  /// the file only. A log that does not exist has none.
  Result<std::deque<std::string>> fresh();

 private:
  Result<void> take(std::deque<std::string>& lines);
  Result<void> begin(std::deque<std::string>& lines);

  std::string path_;
  std::string older_path_;
  Descriptor file_;
  std::string fragment_;
};

}  // namespace k4t::process
