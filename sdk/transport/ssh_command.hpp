#pragma once

#include <string>
#include <string_view>

#include "k4t/transport.hpp"

/// Commands as SSH carries them: one line of text for the login shell. This is the only place where arguments become
/// shell text, and where what a command printed is told from what the login shell printed.
///
/// The line runs a constant script under /bin/sh, with all arguments quoted. The script writes a begin mark on both
/// channels, runs the command, and writes an end mark with the exit code on both. Marks hold a random token of the
/// call. Bytes before the begin mark are the login shell's (banners, start-up files); bytes after the end mark are
/// those of daemons that the command left behind, which keep the channel open and must not keep the caller waiting.

namespace k4t::transport {

/// 32 random hex digits.
std::string new_token();

/// INVALID_ARGUMENT: longer than 120 KiB (the remote system takes no single argument of 128 KiB), or a variable's name
/// that a shell cannot export. REQUIRES: the command has passed check_command.
Result<std::string> command_line(const Command& command, const std::string& token);

/// The line for a program that stays. It writes one mark on standard output, the token and "B", then a line's rest:
/// empty, and what follows is the program's own, or "absent" or "refused", and there is no program. Errors as above.
Result<std::string> program_line(const Command& command, const std::string& token);

/// Kills the process group of a command whose begin mark told `pid`, if that is still the one that has the token.
Command kill_command(const std::string& token, const std::string& pid);

/// One channel of a running command: takes bytes as they come, keeps those between the marks.
class MarkedChannel {
 public:
  MarkedChannel(const std::string& token, std::size_t limit_bytes)
      : begin_(token + "B"), end_(token + "E"), limit_bytes_(limit_bytes) {}

  void take(std::string_view bytes);

  [[nodiscard]] bool begun() const { return state_ == State::inside || state_ == State::end || state_ == State::after; }
  [[nodiscard]] bool ended() const { return state_ == State::after; }
  /// Digits, once begun.
  [[nodiscard]] const std::string& pid() const { return pid_; }
  /// The end mark's word: an exit code, "absent" or "refused".
  [[nodiscard]] const std::string& word() const { return word_; }
  /// The command's own output, cut at the limit.
  [[nodiscard]] std::string& text() { return text_; }
  /// The last bytes that came before the begin mark, for messages.
  [[nodiscard]] const std::string& prelude() const { return pending_; }

 private:
  enum class State { before, begin, inside, end, after };
  bool step();
  bool find_begin();
  bool find_end();
  bool take_line(std::string& word, State next);
  void keep(std::size_t bytes);

  std::string begin_;
  std::string end_;
  std::size_t limit_bytes_;
  State state_ = State::before;
  std::string pending_;  ///< received, not yet understood
  std::string text_;
  std::string pid_;
  std::string word_;
};

}  // namespace k4t::transport
