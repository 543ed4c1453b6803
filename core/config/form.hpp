#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/grammar.hpp"
#include "config/report.hpp"

/// A *form* is the one description of how a value is written: it reads it, and it makes its JSON Schema and, through
/// that, its documentation. What is common to all types is compiled once, in form.cpp.

namespace k4t::config {

template <class V>
struct Form {
  std::string expected;  ///< what the value is: "a whole number from 0 to 1000"
  Json schema;           ///< JSON Schema (draft 7); accepts everything that `read` accepts
  /// Absent where the value does not fit: then the report says why.
  std::function<std::optional<V>(const Value&, Report&)> read;
  /// The value as it would be written; null: nothing worth showing as a default.
  std::function<Json(const V&)> show;
};

/// `'KEY' is VALUE`, the beginning of most causes.
std::string name_and_value(const Value& value);

void report_wrong_type(const Value& value, std::string_view expected, Report& report);

/// Reports what a grammar function said of the value.
void report_refused(const Value& value, const Error& refusal, std::string_view expected, Report& report);

enum class Lines { one, many };  ///< whether a text may have newlines and tabs

/// The text of a text value that is not too long and has no control characters; absent and reported otherwise.
std::optional<std::string> read_text(const Value& value, std::string_view expected, Lines lines, Report& report);

/// Text in the grammar of `parse`, a function from text to Result<V>.
template <class V, class Parse, class Show>
Form<V> text_form(std::string expected, Json schema, Parse parse, Show show) {
  schema["type"] = "string";
  auto read = [expected, parse](const Value& value, Report& report) -> std::optional<V> {
    const auto text = read_text(value, expected, Lines::one, report);
    if (!text) return std::nullopt;
    auto parsed = parse(*text);
    if (parsed) return static_cast<V>(*parsed);
    report_refused(value, parsed.error(), expected, report);
    return std::nullopt;
  };
  return {std::move(expected), std::move(schema), std::move(read), std::move(show)};
}

Form<bool> yes_or_no();
Form<std::uint32_t> whole(std::uint32_t least, std::uint32_t most);
Form<std::uint16_t> port();
Form<PortRange> port_range();
Form<std::uint32_t> percent();
Form<std::uint64_t> memory();
Form<std::uint32_t> cpu();
constexpr std::uint32_t day_s = 86'400;
Form<std::uint32_t> milliseconds(std::uint32_t least_ms, std::uint32_t most_ms);
Form<std::uint32_t> seconds(std::uint32_t least_s, std::uint32_t most_s);

Form<std::string> name(std::size_t limit);
Form<std::string> port_name();
Form<std::string> domain(std::size_t limit);
Form<std::string> host_or_any();
Form<std::string> address();
Form<std::string> subnet();
Form<std::string> machine();
Form<std::string> route_path();
Form<std::string> request_path();
Form<std::string> image();
Form<std::string> user();
/// A path of this machine's file system, as written.
Form<std::string> file_path();
Form<std::string> free_text(Lines lines, std::size_t limit_bytes);

using KeyGrammar = Result<std::string> (*)(std::string_view);
/// A table of texts whose keys have a grammar of their own; `what` names such a key.
Form<std::map<std::string, std::string>> text_map(std::string what, KeyGrammar grammar, Form<std::string> text);

/// A driver's options: any table. Their meaning is checked with the driver's own schema.
Form<Json> any_table();

/// One of an enum's names.
std::optional<std::string> read_choice(const Value& value, const std::vector<std::string>& names, Report& report);
std::string choice_text(const std::vector<std::string>& names);

template <class E>
Form<E> choice() {
  std::vector<std::string> names;
  for (const auto& [value, text] : k4t_enum_names(E{})) names.emplace_back(text);
  Json schema = {{"type", "string"}, {"enum", names}};
  auto read = [names](const Value& value, Report& report) -> std::optional<E> {
    const auto name = read_choice(value, names, report);
    if (!name) return std::nullopt;
    return detail::enum_value<E>(Json(*name));
  };
  return {choice_text(names), std::move(schema), std::move(read), [](const E& value) { return Json(value); }};
}

/// Reports a list that is none or has too few or too many items; true: go on with its items.
bool check_list(const Value& value, std::string_view expected, std::size_t least, std::size_t most, Report& report);

/// A list of `least` to `most` items. Items that do not fit are reported and kept as V{}, so that indexes stay those of
/// the file.
template <class V>
Form<std::vector<V>> list_of(Form<V> item, std::size_t least, std::size_t most, std::string expected = {}) {
  if (expected.empty()) expected = "a list, each item " + item.expected;
  Json schema = {{"type", "array"}, {"items", item.schema}, {"maxItems", most}};
  if (least > 0) schema["minItems"] = least;
  auto read = [item, expected, least, most](const Value& value, Report& report) -> std::optional<std::vector<V>> {
    if (!check_list(value, expected, least, most, report)) return std::nullopt;
    std::vector<V> items;
    for (const auto& part : value.items) items.push_back(item.read(part, report).value_or(V{}));
    return items;
  };
  return {std::move(expected), std::move(schema), std::move(read), [](const std::vector<V>&) { return Json(); }};
}

}  // namespace k4t::config
