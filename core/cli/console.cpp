#include "cli/console.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <utility>

namespace k4t::cli {
namespace {

const char* code_of(Style style) {
  switch (style) {
    case Style::plain: return "";
    case Style::bold: return "\x1b[1m";
    case Style::dim: return "\x1b[2m";
    case Style::good: return "\x1b[32m";
    case Style::warning: return "\x1b[33m";
    case Style::bad: return "\x1b[31m";
    case Style::accent: return "\x1b[36m";
  }
  return "";
}

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody changes the environment
  return value == nullptr ? std::string_view{} : std::string_view(value);
}

/// POSIX's order of precedence. Where nothing is set, as in many containers, the terminal is nearly always UTF-8.
bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string value(environment(name));
    if (value.empty()) continue;
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return true;
}

/// One character of UTF-8 text (RFC 3629 §4).
struct Character {
  char32_t code = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

Character character_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return {first, 1, true};
  const std::size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || at + bytes > text.size()) return {};
  char32_t code = first & (0x7FU >> bytes);
  for (std::size_t i = at + 1; i < at + bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = (code << 6) | (byte(i) & 0x3FU);
  }
  constexpr std::array<char32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
  if (code < least[bytes] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
  return {code, bytes, true};
}

/// C0, DEL, C1; line separators; marks that turn the direction of text around (Unicode TR #36 §2.4).
bool steers(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || (code >= 0x200E && code <= 0x200F) ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

Terminal terminal_of(std::FILE* stream) {
  Terminal terminal;
  const int fd = ::fileno(stream);
  terminal.interactive = ::isatty(fd) == 1 && environment("TERM") != "dumb";
  terminal.colours = terminal.interactive && environment("NO_COLOR").empty();
  terminal.utf8 = locale_is_utf8();
  winsize size{};
  if (terminal.interactive && ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.width = size.ws_col;
    terminal.height = size.ws_row;
  }
  return terminal;
}

std::string styled(std::string_view text, Style style, bool colours) {
  if (!colours || style == Style::plain || text.empty()) return std::string(text);
  return code_of(style) + std::string(text) + "\x1b[0m";
}

std::string printable(std::string_view text, bool keep_lines) {
  std::string clean;
  clean.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const Character character = character_at(text, i);
    const bool line_break = character.code == U'\n' && keep_lines;
    if (character.valid && (line_break || !steers(character.code))) {
      clean += text.substr(i, character.bytes);
    } else {
      clean += '?';
    }
    i += character.bytes;
  }
  return clean;
}

std::string in_ascii(std::string_view text) {
  constexpr std::array<std::pair<char32_t, char>, 6> signs{
      {{U'✓', '*'}, {U'✗', '!'}, {U'…', '~'}, {U'·', '-'}, {U'×', 'x'}, {U'→', '>'}}};
  std::string ascii;
  for (std::size_t i = 0; i < text.size();) {
    const Character character = character_at(text, i);
    const auto known =
        std::find_if(signs.begin(), signs.end(), [&](const auto& sign) { return sign.first == character.code; });
    const char other = known == signs.end() ? '?' : known->second;
    ascii += character.valid && character.code < 0x80 ? text[i] : other;
    i += character.bytes;
  }
  return ascii;
}

void put(std::FILE* stream, const std::string& text) {
  const Terminal terminal = terminal_of(stream);
  std::fputs(terminal.interactive && !terminal.utf8 ? in_ascii(text).c_str() : text.c_str(), stream);
}

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

Table::Table(std::vector<std::string> header) : header_(std::move(header)) {
  for (const auto& title : header_) widths_.push_back(columns_of(title));
}

void Table::add(Row row) {
  fit(row);
  rows_.push_back(std::move(row));
}

void Table::fit(const Row& row) {
  for (std::size_t i = 0; i < row.size() && i < widths_.size(); ++i) {
    widths_[i] = std::max(widths_[i], columns_of(row[i].text));
  }
}

std::string Table::render_header(bool colours) const {
  Row titles;
  for (const auto& title : header_) titles.push_back({title, Style::dim});
  return render_row(titles, colours);
}

std::string Table::render_row(const Row& row, bool colours) const {
  std::string text;
  for (std::size_t i = 0; i < row.size(); ++i) {
    text += styled(row[i].text, row[i].style, colours);
    if (i + 1 == row.size()) break;
    const std::size_t used = columns_of(row[i].text);
    text += std::string(std::max(widths_[i], used) - used + 2, ' ');
  }
  while (text.ends_with(' ')) text.pop_back();
  return text + '\n';
}

std::string Table::render(bool colours) const {
  std::string text = render_header(colours);
  for (const auto& row : rows_) text += render_row(row, colours);
  return text;
}

}  // namespace k4t::cli
