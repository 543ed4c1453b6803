#pragma once

#include <string>

/// The program that runs on HAProxy's host. It is Perl with nothing but the modules of perl-base, which is Essential in
/// Debian; everything that varies comes as an argument or on standard input, never as program text.

namespace k4t::haproxy {

/// Arguments: FILE WORK SOCKET IDLE_S. It stays, takes requests from standard input and ends with it, or when nobody
/// asks anything for IDLE_S seconds; what it has begun it finishes. A request and its answer are frames, "NAME
/// BYTES\n", the bytes, "\n", of which the last is an empty `end`; a request that is not whole does nothing. A frame
/// `error` says why there is no other. The frame `verb` of a request is one of:
///
///   look         One look at k4t's file and what the running process says, both of one moment.
///                Answer: file, previous, staged (a txn per line), and then either `down` (why the master does not
///                answer) or worker (pid), variable, servers, stat, and, unless the variable tells that the process was
///                changed since, changed (ctime of the file, s) and started (start of the worker, s; empty: not known).
///   connections  Answer: one `stat` per process, retiring ones included; asked (their number).
///   stage        Request: stage (a file's name), text. Writes it durably. Answer: done.
///   unstage      Request: stage. Deletes it. Answer: done.
///   read_stage   Request: stage. Answer: text, empty where there is none.
///   replace      Request: old, new, stage, marker, seconds, vouched, worker, planned, and where they apply fallback,
///                batch and added. Takes the lock, compares the file with old, replaces it by new durably and makes it
///                served: by the batch's commands, else, or if a doubt is left, by a reload of at most so many seconds.
///                `marker` is what the process must answer in the end. `fallback` (absent: old) goes into the file when
///                the reload fails. Answer: outcome, and after the first two all of look's.
///                  runtime | reload    how it came to be served
///                  conflict            the file was not old; nothing changed
///                  moved               another process than `worker` (empty: any) serves, or `planned` is 1 and new is
///                                      not what is staged; nothing changed
///                  busy                another program holds the lock
///                  restored            the reload failed: fallback is in the file again, the earlier process serves on
///                  undecided           no verdict in time
const std::string& program();

}  // namespace k4t::haproxy
