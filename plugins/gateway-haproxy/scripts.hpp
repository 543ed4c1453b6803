#pragma once

#include <string>

/// The programs that run on HAProxy's host. They are Perl with nothing but the modules of perl-base, which is Essential
/// in Debian; everything that varies comes as an argument or on standard input, never as program text. All answer in
/// frames: "NAME BYTES\n", the bytes, "\n". A frame "error" says why there is no other.

namespace k4t::haproxy {

/// Arguments: FILE WORK SOCKET. Reads k4t's file and what the running process says, both of one moment.
/// Frames: file, previous, staged (a txn per line), and then either `down` (why the master does not answer) or worker
/// (pid), variable, servers, stat, changed (ctime of the file, s), started (start of the worker, s; empty: not known).
const std::string& observe_script();

/// Arguments: FILE WORK SOCKET MODE TEXT STAGE SECONDS ADDED VOUCHED. Standard input: frames old, new, fallback, batch,
/// end. MODE is "runtime" or "reload"; TEXT the marker that the process must answer in the end; STAGE the staged file's
/// name. Takes the lock, compares FILE with old, replaces it by new durably and makes it served. Frame `outcome`:
///   conflict            FILE was not old; nothing changed
///   busy                another program holds the lock
///   runtime | reload    how it came to be served
///   restored            the reload failed: fallback is in FILE again, the earlier process serves on
///   undecided           no verdict in time
const std::string& commit_script();

/// Arguments: SOCKET. Frames: one `stat` per process, retiring ones included.
const std::string& connections_script();

}  // namespace k4t::haproxy
