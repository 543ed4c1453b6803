#include "config/toml.hpp"

// With exceptions, which stay in this file: without them the parser goes on after some errors and trips over itself.
// Its assertions are stricter than its code, which reports "[=" as an error, so they are off; NDEBUG is undefined
// because with it they would become promises to the optimiser.
#define TOML_EXCEPTIONS 1
#define TOML_ASSERT(expr) static_assert(true)
#define TOML_MAX_NESTED_VALUES 32
#ifdef NDEBUG
#undef NDEBUG
#endif
#include <toml++/toml.h>

#include <algorithm>
#include <sstream>

namespace k4t::config {
namespace {

/// More parts than this in one dotted key or header are refused before the parser builds a table for each.
constexpr int key_parts_limit = 16;

Position position_of(const toml::source_region& region) {
  return {static_cast<int>(region.begin.line), static_cast<int>(region.begin.column)};
}

Position position_at(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, byte);
  const auto newline = before.rfind('\n');
  const std::string_view line = newline == std::string_view::npos ? before : before.substr(newline + 1);
  const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; };
  return {static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
          static_cast<int>(std::count_if(line.begin(), line.end(), begins)) + 1};
}

/// Walks over the text's bytes and finds a key with too many parts. Only keys, and numbers with a fraction, have dots
/// outside of strings and comments; what separates keys starts the count anew.
class KeyParts {
 public:
  explicit KeyParts(std::string_view text) : text_(text) {}

  std::optional<Position> find_excess() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        skip_string(c);
      } else if (c == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else {
        if (c == '.' && ++parts_ > key_parts_limit) return position_at(text_, at_);
        if (std::string_view("\n,=[]{}").find(c) != std::string_view::npos) parts_ = 1;
        ++at_;
      }
    }
    return std::nullopt;
  }

 private:
  void skip_string(char quote) {
    const std::string triple(3, quote);
    const bool long_form = text_.substr(at_, 3) == triple;
    at_ += long_form ? 3 : 1;
    while (at_ < text_.size()) {
      if (quote == '"' && text_[at_] == '\\') {
        at_ += 2;
      } else if (long_form && text_.substr(at_, 3) == triple) {
        at_ += 3;
        return;
      } else if (!long_form && (text_[at_] == quote || text_[at_] == '\n')) {
        ++at_;
        return;
      } else {
        ++at_;
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int parts_ = 1;
};

Value convert(const toml::node& node, const std::string& key, const Position& key_at);

void convert_table(const toml::table& table, Value& value) {
  for (const auto& [key, member] : table) {
    value.items.push_back(convert(member, std::string(key.str()), position_of(key.source())));
  }
  std::stable_sort(value.items.begin(), value.items.end(),
                   [](const Value& a, const Value& b) { return a.key_at < b.key_at; });
}

void convert_list(const toml::array& list, Value& value) {
  for (const auto& item : list) {
    value.items.push_back(convert(item, value.key, position_of(item.source())));
  }
}

Value convert(const toml::node& node, const std::string& key, const Position& key_at) {
  Value value;
  value.key = key;
  value.key_at = key_at;
  value.at = position_of(node.source());
  if (value.at.line == 0) value.at = key_at;
  node.visit([&value](const auto& held) {
    using Held = std::decay_t<decltype(held)>;
    if constexpr (toml::is_table<Held>) {
      value.kind = ValueKind::table;
      convert_table(held, value);
    } else if constexpr (toml::is_array<Held>) {
      value.kind = ValueKind::list;
      convert_list(held, value);
    } else if constexpr (toml::is_string<Held>) {
      value.kind = ValueKind::text;
      value.text = held.get();
    } else if constexpr (toml::is_integer<Held>) {
      value.kind = ValueKind::whole;
      value.whole = held.get();
    } else if constexpr (toml::is_floating_point<Held>) {
      value.kind = ValueKind::real;
      value.real = held.get();
    } else if constexpr (toml::is_boolean<Held>) {
      value.kind = ValueKind::boolean;
      value.boolean = held.get();
    } else {
      value.kind = ValueKind::date;
      std::ostringstream text;
      text << held.get();
      value.text = text.str();
    }
  });
  return value;
}

bool mentions(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

/// The place, or the nearest one in the text where the parser counts beyond a line's or the text's end.
Position inside(const Position& at, std::string_view text) {
  std::size_t from = 0;
  for (int line = 1; line < at.line; ++line) {
    const auto end = text.find('\n', from);
    if (end == std::string_view::npos) return position_at(text, text.size());
    from = end + 1;
  }
  const Position end = position_at(text, std::min(text.find('\n', from), text.size()));
  return std::min(Position{end.line, std::max(1, at.column)}, end);
}

/// The parser tells its errors apart by text only; an unexpected text is still a syntax error with its place.
void report_parse_error(const toml::parse_error& error, std::string_view text, Report& report) {
  std::string_view what = error.description();
  constexpr std::string_view preamble = "Error while parsing ";
  if (what.starts_with(preamble)) what.remove_prefix(preamble.size());
  const Position at = inside(position_of(error.source()), text);
  if (mentions(what, "utf-8")) {
    report.error(at, id::not_utf8, "the file is not UTF-8 text", "save it as UTF-8");
  } else if (mentions(what, "cannot redefine")) {
    report.error(at, id::defined_twice, visible(what), "keep one of the two definitions");
  } else if (mentions(what, "nested value depth")) {
    report.error(at, id::nested_too_deeply, "values are nested too deeply", "use fewer levels");
  } else {
    report.error(at, id::syntax, "not TOML: " + visible(what), "see https://toml.io for the syntax");
  }
}

}  // namespace

std::optional<Value> parse_toml(std::string_view text, Report& report) {
  if (const auto excess = KeyParts(text).find_excess()) {
    report.error(*excess, id::nested_too_deeply, "a key has more than " + std::to_string(key_parts_limit) + " parts",
                 "use fewer levels");
    return std::nullopt;
  }
  toml::table parsed;
  try {
    parsed = toml::parse(text);
  } catch (const toml::parse_error& error) {
    report_parse_error(error, text, report);
    return std::nullopt;
  }
  Value root;
  root.at = root.key_at = {1, 1};
  convert_table(parsed, root);
  return root;
}

}  // namespace k4t::config
