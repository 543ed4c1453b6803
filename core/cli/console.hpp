#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

/// Text on a terminal or in a file: colours only where they are seen, tables that line up.

namespace k4t::cli {

enum class Style { plain, bold, dim, good, warning, bad, accent };

/// Whether and how wide `stream` is a terminal. Colours follow NO_COLOR (https://no-color.org) and TERM=dumb.
struct Terminal {
  bool interactive = false;
  bool colours = false;
  bool utf8 = true;  ///< false: the locale names another character set
  unsigned width = 80;
  unsigned height = 24;
};
Terminal terminal_of(std::FILE* stream);

/// The same text in ASCII: this program's own signs as their nearest ones, one column each, other characters as "?".
std::string in_ascii(std::string_view text);

/// Writes what a renderer made. Only a terminal that cannot show UTF-8 gets in_ascii(); files and pipes are UTF-8.
void put(std::FILE* stream, const std::string& text);

/// `text` in that style, or as it is without colours.
std::string styled(std::string_view text, Style style, bool colours);

/// Replaces by "?" what could move a terminal's cursor or turn its text around: control characters (C0, C1, DEL), line
/// and direction marks, and bytes that are not UTF-8. A line break stays where `keep_lines`. Everything that comes from
/// a server passes through this before it is shown.
std::string printable(std::string_view text, bool keep_lines = false);

/// How many columns UTF-8 text takes; combining and wide characters count as one.
std::size_t columns_of(std::string_view text);

/// Columns lined up with two blanks between them. The header is dim; a cell's style colours the whole cell. Rows may be
/// rendered one by one, before all are known: the columns are then as wide as those that fit() was told of, and a wider
/// cell moves what follows it in its row.
class Table {
 public:
  struct Cell {
    std::string text;
    Style style = Style::plain;
    Cell(std::string content, Style look = Style::plain) : text(printable(content)), style(look) {}  // NOLINT
    Cell(const char* content) : text(printable(content)) {}                                          // NOLINT
  };

  using Row = std::vector<Cell>;

  explicit Table(std::vector<std::string> header);
  void add(Row row);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::string render(bool colours) const;

  /// Makes the columns wide enough for the row.
  void fit(const Row& row);
  [[nodiscard]] std::string render_header(bool colours) const;
  [[nodiscard]] std::string render_row(const Row& row, bool colours) const;

 private:
  std::vector<std::string> header_;
  std::vector<Row> rows_;
  std::vector<std::size_t> widths_;
};

}  // namespace k4t::cli
