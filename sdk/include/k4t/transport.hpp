#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/result.hpp"

/// Reaching the machine on which a server lives: run a command, change a file, connect to a socket. What works on the
/// local host works the same over SSH, so a driver written against Host never asks where it is.

namespace k4t::transport {

struct SshOptions;

/// A command as an argument vector; nothing is ever interpreted by a shell.
struct Command {
  std::vector<std::string> argv;
  std::string input;                       ///< standard input, then end of file
  std::map<std::string, std::string> env;  ///< added to the host's own
  std::chrono::milliseconds timeout = std::chrono::seconds(30);
  std::size_t output_limit_bytes = 4u << 20;  ///< more than this on one channel: the rest is dropped
  std::function<bool()> cancelled;            ///< polled; true: the command is killed and DEADLINE returned
};

/// What a command did. `exit_code` is 128 + n when signal n ended it.
struct Output {
  int exit_code = 0;
  std::string out;
  std::string err;
};

/// How long a file operation may take, and whether it is still wanted. Over SSH the time covers connecting and waiting
/// for a free channel too. A local disk that hangs cannot be hurried: there the limits only end the wait for a lock.
struct Limits {
  std::chrono::milliseconds timeout = std::chrono::seconds(30);
  std::function<bool()> cancelled;  ///< polled on the calling thread; true: DEADLINE
};

/// A byte stream to a socket or a program on the host. Not thread-safe. Closed by the destructor.
class Stream {
 public:
  virtual ~Stream() = default;
  /// At least one byte, or an empty string at the end of the stream.
  virtual Result<std::string> read(std::size_t limit_bytes, std::chrono::milliseconds timeout) = 0;
  virtual Result<void> write(std::string_view bytes, std::chrono::milliseconds timeout) = 0;
  /// No more will be written; the other side sees the end of file.
  virtual Result<void> close_write() = 0;
};

/// One machine. Thread-safe. Errors: UNAVAILABLE where the machine or the socket does not answer or the machine cannot
/// do it now (disk full or failing, out of memory), so that the same request may succeed later; DEADLINE where time ran
/// out (the effect is then unknown); NOT_FOUND where a named file, or the folder it should be in, is known to be
/// absent; BUSY where a swapper keeps its lock for 10 s; INVALID_ARGUMENT with the system's reason where it refuses.
/// A connection that is lost after a command or a change was sent is UNAVAILABLE: what it did is then not known.
class Host {
 public:
  virtual ~Host() = default;

  /// For messages: "local" or "ssh://user@address".
  [[nodiscard]] virtual std::string name() const = 0;

  /// A command that ran is a success, whatever its exit code; NOT_FOUND: there is no such program.
  virtual Result<Output> run(const Command& command) = 0;

  /// Starts a program that stays: the stream is its standard input and output. It must end by itself when its input
  /// ends, which is when the stream is closed or this program dies; nobody kills it, so that it can finish what it has
  /// begun. `timeout` and `cancelled` are for the start alone, `input` must be empty, output has no limit. NOT_FOUND:
  /// there is no such program.
  ///
  /// A program that ended with exit code 0 is the end of the stream. Any other end of it, and of the connection, makes
  /// reads and writes UNAVAILABLE, with the last that it said on standard error as the detail; what was written may or
  /// may not have been read.
  ///
  /// Over SSH each such program has a connection of its own, so that it never takes commands the place.
  virtual Result<std::unique_ptr<Stream>> start(const Command& command) = 0;

  virtual Result<std::string> read_file(const std::string& path, const Limits& limits = {}) = 0;

  /// Replaces the file as a whole and durably: temporary file beside it, fsync, rename, fsync of the folder. Readers
  /// see the old or the new content, a power cut leaves the old or the new.
  virtual Result<void> put_file(const std::string& path, std::string_view bytes, unsigned mode,
                                const Limits& limits = {}) = 0;

  /// put_file if the present content is exactly `expected` (absent: there is no such file), else CONFLICT and nothing
  /// changed; its detail is the present content, empty where there is no file. Swappers of one path exclude each other
  /// by a lock on PATH.lock; a swapper that dies leaves no lock behind.
  ///
  /// `keep_as`, a name in the same folder: the file that is replaced stays under it, durably before it is replaced. A
  /// file that has that name already is left as it is. Only where something is replaced.
  virtual Result<void> swap_file(const std::string& path, const std::optional<std::string>& expected,
                                 std::string_view bytes, unsigned mode, const Limits& limits = {},
                                 const std::string& keep_as = {}) = 0;

  /// Makes the folder and its missing parents; one that exists is a success.
  virtual Result<void> make_folder(const std::string& path, unsigned mode, const Limits& limits = {}) = 0;

  /// Names in a folder, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> list_folder(const std::string& path, const Limits& limits = {}) = 0;

  /// Deletes a file or a symbolic link, durably; absent is a success.
  virtual Result<void> remove_file(const std::string& path, const Limits& limits = {}) = 0;

  /// Deletes what puts and swaps that died half way left in the folder: their temporary files, once they are older than
  /// an hour. Nothing ever reads those.
  virtual Result<void> sweep_folder(const std::string& path, const Limits& limits = {}) = 0;

  /// Connects, from the machine itself, to a unix socket there.
  virtual Result<std::unique_ptr<Stream>> connect_unix(const std::string& path, std::chrono::milliseconds timeout) = 0;

  /// Connects, from the machine itself, to a TCP address ("127.0.0.1", 80).
  virtual Result<std::unique_ptr<Stream>> connect_tcp(const std::string& address, std::uint16_t port,
                                                      std::chrono::milliseconds timeout) = 0;
};

/// The machine this program runs on.
std::shared_ptr<Host> local_host();

/// A machine reached over SSH: `url` is ssh://[user@]host[:port]. INVALID_ARGUMENT where the URL or an option is not
/// sound; nothing is connected yet. All handles of one URL and options in a process share one connection, on which up
/// to 8 commands run at once and the others wait; it is made when first needed, kept alive, and made anew after a cut.
/// The code of each plugin has connections of its own, and so has each program that stays.
///
/// A host key that is not in the known_hosts file, or another one than there, is UNAVAILABLE and says what to do; so
/// are refused keys, and unix sockets that are absent, closed to the user, or not forwarded by the server. Streams do
/// not count among the 8. The login shell must be a POSIX one, coreutils and flock must be installed; what the shell's
/// start-up files print is skipped. One command line may have 120 KiB. A command that runs out of time is killed there
/// soon after, if the connection lasts and the system has Linux's /proc. A child process made by fork() must open its
/// hosts itself.
Result<std::shared_ptr<Host>> ssh_host(const std::string& url, const SshOptions& options);

/// The machine that `where` names: "local", or a URL as for ssh_host. Others are INVALID_ARGUMENT.
Result<std::shared_ptr<Host>> open_host(const std::string& where);
Result<std::shared_ptr<Host>> open_host(const std::string& where, const SshOptions& options);

/// Runs a POSIX shell script that is the program's own, never text from a user: `args` arrive as "$1", "$2", …, and
/// `input` on standard input.
Result<Output> run_script(Host& host, std::string_view script, const std::vector<std::string>& args,
                          std::string_view input, std::chrono::milliseconds timeout);

}  // namespace k4t::transport
