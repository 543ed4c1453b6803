#pragma once

#include <string_view>

/// What runs on nginx's host, in POSIX shell with the tools of Debian's essential packages and `ss`; BusyBox has them
/// all. The texts are the program's own; everything variable arrives as "$1", "$2", … or on standard input.
///
/// The folder that they share with nginx:
///
///     live -> v43-TXN-W      the version that nginx includes; replaced by one rename
///     v43-TXN-W/             http.conf, stream.conf; previous: the name of the version before, to go back to when a
///                            reload fails, an empty line where there was none
///     s-TXN/                 a staged version, same files
///     check/                 what a check includes instead of live/; of no meaning afterwards
///     lock, check.lock       flock(2): swaps exclude each other, and so do checks
///
/// Exit codes: 0, or one of `exit_code` with a message on the first line of the output and evidence below it.

namespace k4t::nginx::scripts {

namespace exit_code {
inline constexpr int conflict = 20;     ///< the register is another; it is the evidence
inline constexpr int not_found = 21;    ///< the target is not staged
inline constexpr int busy = 22;         ///< somebody else holds the lock
inline constexpr int unavailable = 23;  ///< nginx does not run, or the host's disk refuses
inline constexpr int invalid = 24;      ///< nginx refuses the configuration
}  // namespace exit_code

/// Common to all: goes before each of the others.
extern const std::string_view words;

/// FOLDER PID_FILE STATUS_PORT → lines that snapshot.cpp reads. Changes nothing.
extern const std::string_view snapshot;

/// FOLDER → the lines of the live version that say where it listens, and "end".
extern const std::string_view live_listens;

/// FOLDER TXN SEEN DIGEST HTTP_BYTES CONFIG NEEDS_STREAM PID_FILE REDIRECT STREAM BINARY [ARGUMENTS] → what
/// parse_listening reads. http.conf on standard input, stream.conf as STREAM, or where that is empty behind the other:
/// a command line is short. DIGEST is that of the input: a client that dies while it sends ends it early. REDIRECT: how
/// sed points a configuration's includes at FOLDER/check instead of FOLDER/live.
extern const std::string_view stage;

/// FOLDER SEEN TARGET STAGE_TXN VERSION_FOLDER PID_FILE SERVED PATIENCE_S RELOAD COMMAND… → register and evidence. SEEN
/// and SERVED may be BLANK, SERVED also UNKNOWN, or UNASKED: where it matters, nothing is done and the answer is
/// "served?".
extern const std::string_view activate;

/// FOLDER TXN
extern const std::string_view discard;

}  // namespace k4t::nginx::scripts
