#include "ssh_command.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cstdio>
#include <random>

namespace k4t::transport {
namespace {

constexpr std::size_t line_limit_bytes = 120u << 10;
constexpr std::size_t prelude_limit_bytes = 16u << 10;
constexpr std::size_t word_limit_bytes = 16;

/// $0 the token, $1 how many NAME=VALUE follow, then those, then the program and its arguments: exports the former, and
/// calls k4t_end with why there is no such program.
constexpr std::string_view look_up = R"sh(while [ "$k4t_n" -gt 0 ]; do
  export "$1"
  shift
  k4t_n=$((k4t_n - 1))
done
case $1 in
*/*)
  if [ ! -x "$1" ] || [ -d "$1" ]; then
    case $(LC_ALL=C ls -d "$1" 2>&1 >/dev/null) in
    *'No such file or directory' | *'Not a directory') k4t_end absent ;;
    *) k4t_end refused ;;
    esac
  fi ;;
*) command -v "$1" >/dev/null 2>&1 || k4t_end absent ;;
esac
)sh";

constexpr std::string_view runner_begin = R"sh(k4t=$0 k4t_n=$1
shift
printf '%s\n' "${k4t}B$$"
printf '%s\n' "${k4t}B$$" >&2
exec 3>&2
k4t_end() {
  printf '%s\n' "${k4t}E$1"
  printf '%s\n' "${k4t}E$1" >&3
  exit 0
}
)sh";

/// `exec` in a subshell never takes a program for a builtin of the shell; the shell's own remarks about a killed child
/// go nowhere.
constexpr std::string_view runner_end = R"sh(exec 2>/dev/null
(exec "$@" 2>&3 3>&-)
k4t_n=$?
if [ "$k4t_n" -eq 127 ]; then
  case $(command -v "$1") in
  */*) ;;
  *) k4t_end absent ;;
  esac
fi
k4t_end "$k4t_n"
)sh";

constexpr std::string_view starter_begin = R"sh(k4t=$0 k4t_n=$1
shift
k4t_end() {
  printf '%s\n' "${k4t}B$1"
  exit 0
}
)sh";

constexpr std::string_view starter_end = R"sh(printf '%s\n' "${k4t}B"
exec "$@"
)sh";

/// $1 the pid, $2 the token. The group is the whole login session's.
constexpr std::string_view killer = R"sh(grep -q -e "$2" "/proc/$1/cmdline" || exit 0
kill -s KILL -- "-$1" || kill -s KILL -- "$1"
)sh";

/// Between single quotes a POSIX shell takes every byte as it is, but for the quote itself.
std::string shell_quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
    } else {
      result += c;
    }
  }
  return result + "'";
}

bool is_exportable(std::string_view name) {
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

Result<std::string> line_of(std::string_view begin, std::string_view end, const Command& command,
                            const std::string& token) {
  const std::string script = std::string(begin) + std::string(look_up) + std::string(end);
  std::string line = "exec /bin/sh -c " + shell_quoted(script) + " " + token + " " + std::to_string(command.env.size());
  for (const auto& [name, value] : command.env) {
    if (!is_exportable(name)) {
      return Error{Status::invalid_argument, "'" + name + "' cannot be an environment variable's name over SSH", {}};
    }
    line += " " + shell_quoted(name + "=" + value);
  }
  // A name is made one that no utility takes for an option.
  const std::string& program = command.argv.front();
  line += " " + shell_quoted(program.front() == '-' ? "./" + program : program);
  for (std::size_t i = 1; i < command.argv.size(); ++i) line += " " + shell_quoted(command.argv[i]);
  if (line.size() <= line_limit_bytes) return line;
  return Error{Status::invalid_argument,
               "the command line of " + program + " has " + std::to_string(line.size()) +
                   " bytes; over SSH it can have 120 KiB: pass the rest on standard input",
               {}};
}

}  // namespace

std::string new_token() {
  unsigned char bytes[16];
  if (::getrandom(bytes, sizeof bytes, 0) != static_cast<ssize_t>(sizeof bytes)) {
    std::random_device device;
    std::generate(std::begin(bytes), std::end(bytes), [&] { return static_cast<unsigned char>(device()); });
  }
  constexpr char digits[] = "0123456789abcdef";
  std::string token;
  for (const unsigned char byte : bytes) {
    token += digits[byte >> 4U];
    token += digits[byte & 15U];
  }
  return token;
}

Result<std::string> command_line(const Command& command, const std::string& token) {
  return line_of(runner_begin, runner_end, command, token);
}

Result<std::string> program_line(const Command& command, const std::string& token) {
  return line_of(starter_begin, starter_end, command, token);
}

Command kill_command(const std::string& token, const std::string& pid) {
  Command command;
  command.argv = {"/bin/sh", "-c", std::string(killer), "sh", pid, token};
  return command;
}

void MarkedChannel::take(std::string_view bytes) {
  if (state_ == State::after) return;
  pending_ += bytes;
  while (step()) {
  }
}

/// Understands a piece of what is pending; false: more must come first.
bool MarkedChannel::step() {
  switch (state_) {
    case State::before: return find_begin();
    case State::begin: return take_line(pid_, State::inside);
    case State::inside: return find_end();
    case State::end: return take_line(word_, State::after);
    case State::after: break;
  }
  pending_.clear();
  return false;
}

bool MarkedChannel::find_begin() {
  const auto at = pending_.find(begin_);
  if (at == std::string::npos) {
    if (pending_.size() > prelude_limit_bytes) pending_.erase(0, pending_.size() - prelude_limit_bytes / 2);
    return false;
  }
  pending_.erase(0, at + begin_.size());
  state_ = State::begin;
  return true;
}

bool MarkedChannel::find_end() {
  const auto at = pending_.find(end_);
  if (at == std::string::npos) {
    keep(pending_.size() - std::min(pending_.size(), end_.size() - 1));
    return false;
  }
  keep(at);
  pending_.erase(0, end_.size());
  state_ = State::end;
  return true;
}

/// The rest of a mark's line, which is short.
bool MarkedChannel::take_line(std::string& word, State next) {
  const auto line_end = pending_.find('\n');
  if (line_end == std::string::npos && pending_.size() <= word_limit_bytes) return false;
  word = pending_.substr(0, std::min(line_end, word_limit_bytes));
  pending_.erase(0, word.size() + 1);
  state_ = next;
  return true;
}

/// Moves the first bytes of what is pending into the text, as far as that may grow.
void MarkedChannel::keep(std::size_t bytes) {
  text_.append(pending_, 0, std::min(bytes, limit_bytes_ - text_.size()));
  pending_.erase(0, bytes);
}

}  // namespace k4t::transport
