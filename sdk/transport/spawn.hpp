#pragma once

#include <sys/types.h>

#include "errors.hpp"
#include "k4t/transport.hpp"

/// How programs are started on this machine, be it for one command or to stay.

namespace k4t::transport {

/// INVALID_ARGUMENT for a command that nothing can run: no program, NUL bytes, impossible names of variables.
Result<void> check_command(const Command& command);

/// The same file under a number above the three channels', which a program that was started without them hands out
/// first, and which would be overwritten while they are set up.
Result<Fd> above_channels(Fd fd);

struct Pipe {
  Fd read_end;  ///< non-blocking
  Fd write_end;
};
Result<Pipe> make_pipe();

/// Starts the program with these descriptors as 0, 1 and 2 and no other ones, as leader of a process group of its own,
/// with none of our signal settings. REQUIRES: check_command(command) is OK; the descriptors are above_channels.
Result<pid_t> spawn(const Command& command, int in, int out, int err);

/// A descriptor that becomes readable when the process ends; -1 with errno where there is none. By its number: the C++
/// linkage that glibc 2.36 gives its own declaration cannot be linked.
int open_pidfd(pid_t pid);

}  // namespace k4t::transport
