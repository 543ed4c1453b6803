#include "config/diagnostic.hpp"

#include <algorithm>
#include <tuple>

namespace k4t::config {

K4T_JSON_DEFINE(Position, line, column)
K4T_JSON_DEFINE(Diagnostic, severity, file, line, column, cause, remedy, id)
K4T_JSON_ENUM_DEFINE(Severity)
namespace {

constexpr std::size_t quote_limit = 60;
constexpr std::size_t shown_line_limit = 200;

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U; }

/// The bytes of the character that begins at `from`.
std::size_t character_bytes(std::string_view text, std::size_t from) {
  std::size_t bytes = 1;
  while (from + bytes < text.size() && continues(text[from + bytes])) ++bytes;
  return bytes;
}

std::string_view line_of(std::string_view text, int line) {
  for (int at = 1; at < line; ++at) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  text = text.substr(0, text.find('\n'));
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

std::string head_of(const Diagnostic& diagnostic) {
  std::string head = visible(diagnostic.file);
  if (diagnostic.line > 0) {
    head += ':' + std::to_string(diagnostic.line) + ':' + std::to_string(diagnostic.column);
  }
  return head + ": ";
}

/// The source line and below it a caret under the given column. Tabs become single spaces, so that both agree.
std::string excerpt(std::string_view text, const Position& at) {
  std::string shown;
  std::string marker;
  const std::string_view line = line_of(text, at.line);
  int column = 1;
  for (std::size_t i = 0; i < line.size() && column < static_cast<int>(shown_line_limit); ++column) {
    const auto bytes = character_bytes(line, i);
    const std::string piece = line[i] == '\t' ? " " : visible(line.substr(i, bytes));
    if (column < at.column) {
      marker.append(
          static_cast<std::size_t>(std::count_if(piece.begin(), piece.end(), [](char c) { return !continues(c); })),
          ' ');
    }
    shown += piece;
    i += bytes;
  }
  const std::string number = std::to_string(at.line);
  const std::string gutter(std::max<std::size_t>(5, number.size()), ' ');
  return gutter.substr(number.size()) + number + " | " + shown + '\n' + gutter + " | " + marker + "^\n";
}

}  // namespace

bool has_errors(const std::vector<Diagnostic>& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& diagnostic) { return diagnostic.severity == Severity::error; });
}

void sort_by_place(std::vector<Diagnostic>& diagnostics) {
  std::stable_sort(diagnostics.begin(), diagnostics.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.line, a.column, a.id) < std::tie(b.line, b.column, b.id);
  });
  diagnostics.erase(std::unique(diagnostics.begin(), diagnostics.end()), diagnostics.end());
}

std::string render_plain(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const auto& diagnostic : diagnostics) {
    text += head_of(diagnostic) + std::string(to_string(diagnostic.severity)) + ": " + diagnostic.cause + " [" +
            diagnostic.id + "]\n    " + diagnostic.remedy + '\n';
  }
  return text;
}

std::string render_terminal(const std::vector<Diagnostic>& diagnostics, const Sources& sources, bool colour) {
  const std::string bold = colour ? "\x1b[1m" : "";
  const std::string plain = colour ? "\x1b[0m" : "";
  std::string text;
  for (const auto& diagnostic : diagnostics) {
    const std::string hue = !colour ? "" : diagnostic.severity == Severity::error ? "\x1b[1;31m" : "\x1b[1;33m";
    text += bold + head_of(diagnostic) + plain + hue + std::string(to_string(diagnostic.severity)) + ": " + plain +
            bold + diagnostic.cause + plain + " [" + diagnostic.id + "]\n";
    const auto source = sources.find(diagnostic.file);
    if (diagnostic.line > 0 && source != sources.end()) {
      text += excerpt(source->second, {diagnostic.line, diagnostic.column});
    }
    text += "    " + diagnostic.remedy + '\n';
  }
  return text;
}

Json render_json(const std::vector<Diagnostic>& diagnostics) {
  Json all = Json::array();
  for (const auto& diagnostic : diagnostics) all.push_back(diagnostic);
  return Json{{"diagnostics", all}};
}

std::string visible(std::string_view text) {
  // JSON's own escaping covers C0; DEL and the C1 controls, which terminals obey too, are ASCII-escaped as well.
  std::string escaped;
  for (std::size_t i = 0; i < text.size();) {
    const auto bytes = character_bytes(text, i);
    const std::string_view piece = text.substr(i, bytes);
    const bool c1 = bytes == 2 && piece[0] == '\xc2' && static_cast<unsigned char>(piece[1]) < 0xa0U;
    const bool harmless = piece == "\"" || piece == "\\";
    std::string shown = harmless ? std::string(piece)
                                 : Json(piece).dump(-1, ' ', c1 || piece == "\x7f", Json::error_handler_t::replace);
    if (!harmless) shown = shown.substr(1, shown.size() - 2);
    escaped += shown;
    i += bytes;
  }
  return escaped;
}

std::string in_quotes(std::string_view text) {
  std::string shown;
  std::size_t characters = 0;
  std::size_t i = 0;
  for (; i < text.size() && characters < quote_limit; ++characters) {
    const auto bytes = character_bytes(text, i);
    shown += visible(text.substr(i, bytes));
    i += bytes;
  }
  return '"' + shown + (i < text.size() ? "…\"" : "\"");
}

}  // namespace k4t::config
