#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/participant.hpp"

/// k4t's one file of HAProxy configuration: a head of three lines that holds the register, and a body. Pure text work.
///
///     # k4t 1/CLUSTER/VERSION/TXN/WRITER/DIGEST      what the disk holds
///     global
///       set-var proc.k4t str(1/CLUSTER/…)            the same, as the running process answers it
///       …                                            the body; DIGEST is its SHA-256
///
/// Register and content are one file, so one rename replaces both.

namespace k4t::haproxy {

/// The register as text, and what else the running process's variable says.
struct Marker {
  Register at;
  std::string digest;    ///< of the body
  bool runtime = false;  ///< servers were changed in the running process; it did not read this body from a file
  friend bool operator==(const Marker&, const Marker&) = default;
};

/// INVALID_ARGUMENT where a part of the register cannot stand in the file and in a file's name.
Result<void> check_register(const Register& at);

/// REQUIRES: check_register(marker.at) is OK.
std::string marker_text(const Marker& marker);

/// Nothing: this is no marker of k4t.
std::optional<Marker> parse_marker(std::string_view text);

/// The whole file. REQUIRES: check_register(at) is OK.
std::string compose(const Register& at, std::string_view body);

/// blank: absent, or nothing but comments. foreign: configuration that k4t did not write.
enum class FileKind { blank, ours, foreign };

struct StoredFile {
  FileKind kind = FileKind::blank;
  Marker marker;        ///< ours
  std::string body;     ///< ours
  bool intact = false;  ///< ours: head and body are exactly as k4t wrote them
};
StoredFile parse_file(std::string_view text);

/// One server line of the body.
struct ServerLine {
  std::string proxy;
  std::string name;
  std::string words;  ///< "ADDRESS:PORT id …"
  friend bool operator==(const ServerLine&, const ServerLine&) = default;
};

/// The body taken apart: its servers, and everything else.
struct Layout {
  std::string skeleton;
  std::vector<ServerLine> servers;
  std::vector<std::string> binds;  ///< "ADDRESS:PORT" that it listens to
};
Layout layout_of(std::string_view body);

}  // namespace k4t::haproxy
