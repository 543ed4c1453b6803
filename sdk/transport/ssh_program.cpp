#include "ssh_program.hpp"

#include <algorithm>
#include <array>

#include "program.hpp"

namespace k4t::transport {
namespace {

/// More than this before the mark is no login shell's greeting.
constexpr std::size_t noise_limit_bytes = 64u << 10;
constexpr std::size_t prelude_shown_bytes = 2000;

}  // namespace

int ProgramJob::begin(ssh_channel channel) {
  const int code = ssh_channel_request_exec(channel, line_.c_str());
  return code == SSH_OK && !make_ends() ? SSH_ERROR : code;
}

bool ProgramJob::move(ssh_channel channel) {
  take_words(channel);
  if (!begun_) return find_mark(channel);
  return BridgeJob::move(channel);
}

/// The exit code comes behind the end of output and before the channel's close, as do words on standard error, which
/// may have come since they were last looked for.
bool ProgramJob::at_end(ssh_channel channel) {
  if (!closed_by_server()) return false;
  take_words(channel);
  const std::lock_guard lock(mutex_);
  exit_code_ = ssh_channel_get_exit_status(channel);
  return true;
}

void ProgramJob::take_words(ssh_channel channel) {
  std::array<char, 4096> buffer;
  for (;;) {
    const int got = ssh_channel_read_nonblocking(channel, buffer.data(), buffer.size(), 1);
    if (got <= 0) return;
    const std::lock_guard lock(mutex_);
    last_words_.append(buffer.data(), static_cast<std::size_t>(got));
    if (last_words_.size() > last_words_bytes) last_words_.erase(0, last_words_.size() - last_words_bytes);
  }
}

/// False: the program does not run and never will.
bool ProgramJob::find_mark(ssh_channel channel) {
  const bool ended = closed_by_server() || ssh_channel_is_eof(channel) != 0;
  std::array<char, 4096> buffer;
  for (int got = 1; got > 0 && !begun_;) {
    got = ssh_channel_read_nonblocking(channel, buffer.data(), buffer.size(), 0);
    if (got > 0) prelude_.append(buffer.data(), static_cast<std::size_t>(got));
    if (got > 0 && !take_mark()) return false;
  }
  if (begun_) return BridgeJob::move(channel);
  if (!ended && prelude_.size() <= noise_limit_bytes) return true;
  std::string said = prelude_;
  {
    const std::lock_guard lock(mutex_);
    said += last_words_;
  }
  said.resize(std::min(said.size(), prelude_shown_bytes));
  finish(Error{Status::unavailable,
               "the login shell on " + where_ + " did not start " + program_ + ": the user needs a POSIX shell", said});
  return false;
}

/// Understands the mark if it is there; false: it says that there is no program.
bool ProgramJob::take_mark() {
  const auto at = prelude_.find(mark_);
  const auto line_end = at == std::string::npos ? at : prelude_.find('\n', at);
  if (line_end == std::string::npos) return true;
  const std::string word = prelude_.substr(at + mark_.size(), line_end - at - mark_.size());
  if (word == "absent") {
    finish(Error{Status::not_found, "there is no program " + program_ + " on " + where_, {}});
    return false;
  }
  if (!word.empty()) {
    finish(Error{Status::invalid_argument, "cannot start " + program_ + " on " + where_, {}});
    return false;
  }
  begun_ = true;
  for_local_ = prelude_.substr(line_end + 1);
  {
    // What the login shell said is not the program's.
    const std::lock_guard lock(mutex_);
    last_words_.clear();
  }
  finish({});
  return true;
}

Result<void> ProgramJob::end() {
  const std::lock_guard lock(mutex_);
  return judge_end(program_ + " on " + where_, exit_code_, last_words_);
}

Error ProgramJob::cannot_open(const std::string& why) {
  return {Status::unavailable, where_ + " does not let programs run: " + why, {}};
}

}  // namespace k4t::transport
