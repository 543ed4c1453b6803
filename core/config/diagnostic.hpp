#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/json.hpp"

/// What is wrong with a configuration, where, and what to do about it. Pure values; every id is explained in
/// docs/messages.md.

namespace k4t::config {

enum class Severity { error, warning };
K4T_JSON_ENUM_DECLARE(Severity, {Severity::error, "error"}, {Severity::warning, "warning"})

/// A place in a text: both count from 1, columns in characters (code points). 0: the file as a whole.
struct Position {
  int line = 0;
  int column = 0;
  auto operator<=>(const Position&) const = default;
};
K4T_JSON_DECLARE(Position)

struct Diagnostic {
  Severity severity = Severity::error;
  std::string file;  ///< as the user named it
  int line = 0;      ///< 0: the file as a whole
  int column = 0;
  std::string cause;   ///< one clause, without a final dot; what it quotes is free of control characters
  std::string remedy;  ///< what to do; never empty
  std::string id;      ///< stable, e.g. "K4T-CFG-020"
  friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};
K4T_JSON_DECLARE(Diagnostic)

/// The texts that were read, by file name: lets the renderer show the line in question.
using Sources = std::map<std::string, std::string>;

bool has_errors(const std::vector<Diagnostic>& diagnostics);

/// Sorts diagnostics of one file by place, then id, and drops repetitions.
void sort_by_place(std::vector<Diagnostic>& diagnostics);

/// "FILE:LINE:COLUMN: error: CAUSE [ID]" and an indented remedy, per diagnostic; for logs and pipes.
std::string render_plain(const std::vector<Diagnostic>& diagnostics);

/// The same with the source line and a caret under the place, in colour where asked; for terminals. Nothing that a file
/// holds can steer the terminal.
std::string render_terminal(const std::vector<Diagnostic>& diagnostics, const Sources& sources, bool colour);

/// {"diagnostics": [Diagnostic, …]}
Json render_json(const std::vector<Diagnostic>& diagnostics);

/// The text with control characters and broken UTF-8 made harmless ("\x1b" as "\u001b").
std::string visible(std::string_view text);

/// visible, in double quotes, and cut to at most 60 characters: for quoting a user's value in a message.
std::string in_quotes(std::string_view text);

}  // namespace k4t::config
