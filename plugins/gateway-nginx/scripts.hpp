#pragma once

#include <string_view>

/// What runs on nginx's host, in POSIX shell with the tools of Debian's essential packages and `ss`. The texts are the
/// program's own; everything variable arrives as "$1", "$2", … or on standard input.
///
/// The folder that they share with nginx:
///
///     live -> v43-TXN-W      the version that nginx includes; replaced by one rename
///     previous -> v42-…      the version before, to go back to when a reload fails
///     v43-TXN-W/             http.conf, stream.conf
///     s-TXN/                 a staged version, same files
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

/// FOLDER TXN SEEN DIGEST HTTP_BYTES CONFIG NEEDS_STREAM BINARY [ARGUMENTS]; both files on standard input, their digest
/// beforehand. A client that dies while it sends ends the input early: the digest tells.
extern const std::string_view stage;

/// FOLDER SEEN TARGET STAGE_TXN VERSION_FOLDER PID_FILE SERVED PATIENCE_S RELOAD COMMAND… → evidence. SEEN and SERVED
/// may be BLANK, SERVED also UNKNOWN.
extern const std::string_view activate;

/// FOLDER TXN
extern const std::string_view discard;

}  // namespace k4t::nginx::scripts
