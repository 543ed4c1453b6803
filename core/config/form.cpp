#include "config/form.hpp"

#include <cmath>

namespace k4t::config {
namespace {

std::string range_text(std::uint64_t least, std::uint64_t most) {
  return std::to_string(least) + " to " + std::to_string(most);
}

std::string spelled(const Value& value) {
  switch (value.kind) {
    case ValueKind::text: return in_quotes(value.text);
    case ValueKind::real:
      if (!std::isfinite(value.real)) return "not finite";
      [[fallthrough]];
    case ValueKind::whole:
    case ValueKind::boolean: return to_json(value).dump();
    case ValueKind::date: return value.text;
    case ValueKind::table:
    case ValueKind::list: return std::string(kind_name(value.kind));
  }
  return {};
}

Json show_text(const std::string& text) { return text.empty() ? Json() : Json(text); }

Form<std::string> grammar_form(std::string expected, Json schema,
                               std::function<Result<std::string>(std::string_view)> parse) {
  return text_form<std::string>(std::move(expected), std::move(schema), std::move(parse), show_text);
}

Json pattern(const char* expression, std::size_t longest) {
  return Json{{"pattern", expression}, {"maxLength", longest}};
}

bool has_control_character(std::string_view text, Lines lines) {
  return std::any_of(text.begin(), text.end(), [lines](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 || byte == 0x7f) && !(lines == Lines::many && (c == '\n' || c == '\t'));
  });
}

/// A number of milliseconds in a range that is written as a duration; `step_ms` divides it.
template <class V>
Form<V> duration(std::uint64_t least_ms, std::uint64_t most_ms, std::uint64_t step_ms) {
  const std::string expected = "a duration from " + show_duration_ms(least_ms) + " to " + show_duration_ms(most_ms) +
                               (step_ms == 1 ? ", such as \"250ms\"" : " in whole seconds, such as \"10s\"");
  const auto parse = [=](std::string_view text) -> Result<std::uint64_t> {
    K4T_ASSIGN(const std::uint64_t duration_ms, parse_duration_ms(text));
    if (duration_ms < least_ms || duration_ms > most_ms) return Error{Status::invalid_argument, "out of range", {}};
    if (duration_ms % step_ms != 0) return Error{Status::invalid_argument, "not a whole number of seconds", {}};
    return duration_ms / step_ms;
  };
  return text_form<V>(expected, pattern("^[0-9]+(ms|s|m|h)$", 14), parse,
                      [step_ms](const V& value) { return Json(show_duration_ms(value * step_ms)); });
}

void check_texts(const Value& value, Report& report) {
  if (value.kind == ValueKind::text) {
    read_text(value, "text", Lines::many, report);
  } else if (value.kind == ValueKind::real && !std::isfinite(value.real)) {
    report.error(value, id::impossible_value, "'" + visible(value.key) + "' is not a finite number",
                 "write a finite number");
  }
  for (const auto& item : value.items) check_texts(item, report);
}

}  // namespace

std::string name_and_value(const Value& value) { return "'" + visible(value.key) + "' is " + spelled(value); }

void report_wrong_type(const Value& value, std::string_view expected, Report& report) {
  report.error(value, id::wrong_type, "'" + visible(value.key) + "' is " + std::string(kind_name(value.kind)),
               "write " + std::string(expected));
}

void report_refused(const Value& value, const Error& refusal, std::string_view expected, Report& report) {
  const auto which = refusal.status == Status::conflict ? id::reserved_name : id::impossible_value;
  report.error(value, which, name_and_value(value) + ": " + refusal.message, "write " + std::string(expected));
}

std::optional<std::string> read_text(const Value& value, std::string_view expected, Lines lines, Report& report) {
  if (value.kind != ValueKind::text) {
    report_wrong_type(value, expected, report);
    return std::nullopt;
  }
  if (value.text.size() > text_limit_bytes) {
    report.error(value, id::text_too_long,
                 "'" + visible(value.key) + "' is longer than " + std::to_string(text_limit_bytes) + " bytes",
                 "shorten it");
    return std::nullopt;
  }
  if (has_control_character(value.text, lines)) {
    report.error(value, id::control_character, name_and_value(value) + ", which has a control character",
                 lines == Lines::one ? "write it on one line, without tabs and other control characters"
                                     : "remove control characters other than newline and tab");
    return std::nullopt;
  }
  return value.text;
}

Form<bool> yes_or_no() {
  auto read = [](const Value& value, Report& report) -> std::optional<bool> {
    if (value.kind == ValueKind::boolean) return value.boolean;
    report_wrong_type(value, "true or false", report);
    return std::nullopt;
  };
  return {"true or false", {{"type", "boolean"}}, read, [](const bool& value) { return Json(value); }};
}

Form<std::uint32_t> whole(std::uint32_t least, std::uint32_t most) {
  const std::string expected = "a whole number from " + range_text(least, most);
  auto read = [=](const Value& value, Report& report) -> std::optional<std::uint32_t> {
    if (value.kind != ValueKind::whole) {
      report_wrong_type(value, expected, report);
      return std::nullopt;
    }
    if (value.whole < std::int64_t{least} || value.whole > std::int64_t{most}) {
      report.error(value, id::impossible_value, name_and_value(value) + ": out of range", "write " + expected);
      return std::nullopt;
    }
    return static_cast<std::uint32_t>(value.whole);
  };
  return {expected, {{"type", "integer"}, {"minimum", least}, {"maximum", most}}, read, [](const std::uint32_t& value) {
            return Json(value);
          }};
}

Form<std::uint16_t> port() {
  auto base = whole(1, 65535);
  auto read = [read = base.read](const Value& value, Report& report) -> std::optional<std::uint16_t> {
    const auto number = read(value, report);
    if (!number) return std::nullopt;
    return static_cast<std::uint16_t>(*number);
  };
  return {"a port from 1 to 65535", base.schema, read, [](const std::uint16_t& value) { return Json(value); }};
}

Form<PortRange> port_range() {
  return text_form<PortRange>(
      "two ports such as \"20000-29999\"", pattern("^[0-9]+-[0-9]+$", 25), parse_port_range,
      [](const PortRange& range) { return Json(std::to_string(range.first) + "-" + std::to_string(range.last)); });
}

Form<std::uint32_t> percent() {
  return text_form<std::uint32_t>("a percentage from \"0%\" to \"100%\"", pattern("^[0-9]+%$", 13), parse_percent,
                                  [](const std::uint32_t& value) { return Json(std::to_string(value) + "%"); });
}

Form<std::uint64_t> memory() {
  auto form = text_form<std::uint64_t>(
      "a size such as \"64MiB\" or \"1.5GiB\"", pattern("^[0-9]+(\\.[0-9]+)?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$", 24),
      [](std::string_view text) -> Result<std::uint64_t> {
        K4T_ASSIGN(const std::uint64_t bytes, parse_memory_bytes(text));
        if (bytes < (1U << 20U)) return Error{Status::invalid_argument, "less than 1 MiB", {}};
        return bytes;
      },
      [](const std::uint64_t& bytes) { return bytes == 0 ? Json() : Json(show_memory(bytes)); });
  return form;
}

Form<std::uint32_t> cpu() {
  const std::string expected = "cores such as 0.5 or thousandths such as \"500m\"";
  auto read = [expected](const Value& value, Report& report) -> std::optional<std::uint32_t> {
    const bool number = value.kind == ValueKind::whole || value.kind == ValueKind::real;
    const auto text = number ? to_json(value).dump() : read_text(value, expected, Lines::one, report);
    if (!text) return std::nullopt;
    const auto millis = parse_cpu_millis(*text);
    if (millis) return *millis;
    report_refused(value, millis.error(), expected, report);
    return std::nullopt;
  };
  Json schema = {{"anyOf",
                  {{{"type", "number"}, {"minimum", 0.001}, {"maximum", 1024}},
                   {{"type", "string"}, {"pattern", "^[0-9]+(m|(\\.[0-9]+)?)$"}, {"maxLength", 24}}}}};
  return {expected, schema, read,
          [](const std::uint32_t& millis) { return millis == 0 ? Json() : Json(show_cpu(millis)); }};
}

Form<std::uint32_t> milliseconds(std::uint32_t least_ms, std::uint32_t most_ms) {
  return duration<std::uint32_t>(least_ms, most_ms, 1);
}

Form<std::uint32_t> seconds(std::uint32_t least_s, std::uint32_t most_s) {
  return duration<std::uint32_t>(std::uint64_t{least_s} * 1000, std::uint64_t{most_s} * 1000, 1000);
}

Form<std::string> name(std::size_t limit) {
  return grammar_form("1 to " + std::to_string(limit) + " lower-case letters, digits and '-'",
                      pattern("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", limit),
                      [limit](std::string_view text) { return parse_name(text, limit); });
}

Form<std::string> port_name() {
  return grammar_form("1 to 15 lower-case letters, digits and '-', with a letter",
                      pattern("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", port_name_limit), parse_port_name);
}

Form<std::string> domain(std::size_t limit) {
  return grammar_form("a domain name such as \"apps.example.net\" of at most " + std::to_string(limit) +
                          " characters, international names as xn--…",
                      pattern("^[A-Za-z0-9.-]+$", limit + 1),
                      [limit](std::string_view text) { return parse_domain(text, limit); });
}

Form<std::string> host_or_any() {
  return grammar_form("a host name such as \"www.example.net\", or \"*\" for any",
                      pattern("^([A-Za-z0-9.-]+|\\*)$", host_limit + 1),
                      [](std::string_view text) -> Result<std::string> {
                        if (text == "*") return std::string(text);
                        return parse_domain(text);
                      });
}

Form<std::string> address() {
  return grammar_form("the IPv4 or IPv6 address of one machine", pattern("^[0-9A-Fa-f:.]+$", 45), parse_address);
}

Form<std::string> subnet() {
  return grammar_form("a block of addresses such as \"2001:db8:1::/64\"", pattern("^[0-9A-Fa-f:.]+/[0-9]+$", 49),
                      parse_subnet);
}

Form<std::string> machine() {
  return grammar_form("\"local\" or \"ssh://[user@]host[:port]\"", pattern("^(local|ssh://.+)$", 400), parse_machine);
}

Form<std::string> route_path() {
  return grammar_form("a path such as \"/api\"", pattern("^/[A-Za-z0-9._~!&()*+,=:@/-]*$", path_limit),
                      parse_route_path);
}

Form<std::string> request_path() {
  return grammar_form("a path such as \"/healthz\"", pattern("^/[A-Za-z0-9._~!&()*+,=:@/-]*$", path_limit),
                      parse_request_path);
}

Form<std::string> image() {
  return grammar_form("an image such as \"registry.example.net/web:1.4\"", pattern("^[A-Za-z0-9._/:@+-]+$", 255),
                      parse_image);
}

Form<std::string> user() {
  return grammar_form("USER or USER:GROUP", pattern("^[A-Za-z0-9._-]+(:[A-Za-z0-9._-]+)?$", 65), parse_user);
}

Form<std::string> file_path() {
  return grammar_form("a path; a relative one begins at this file's folder",
                      Json{{"minLength", 1}, {"maxLength", 1024}}, [](std::string_view text) -> Result<std::string> {
                        if (text.empty()) return Error{Status::invalid_argument, "it is empty", {}};
                        if (text.size() > 1024) return Error{Status::invalid_argument, "longer than 1024 bytes", {}};
                        if (text.starts_with('~')) {
                          return Error{Status::invalid_argument, "'~' is not expanded", {}};
                        }
                        return std::string(text);
                      });
}

Form<std::string> free_text(Lines lines, std::size_t limit_bytes) {
  const std::string expected = "text of at most " + std::to_string(limit_bytes) + " bytes";
  auto read = [=](const Value& value, Report& report) -> std::optional<std::string> {
    auto text = read_text(value, expected, lines, report);
    if (!text || text->size() <= limit_bytes) return text;
    report.error(value, id::text_too_long,
                 "'" + visible(value.key) + "' has " + std::to_string(text->size()) + " bytes, more than " +
                     std::to_string(limit_bytes),
                 "write " + expected);
    return std::nullopt;
  };
  return {expected, {{"type", "string"}, {"maxLength", limit_bytes}}, read, show_text};
}

Form<std::map<std::string, std::string>> text_map(std::string what, KeyGrammar grammar, Form<std::string> text) {
  using Map = std::map<std::string, std::string>;
  const std::string expected = "a table such as {NAME = \"value\"}";
  auto read = [=](const Value& value, Report& report) -> std::optional<Map> {
    if (value.kind != ValueKind::table) {
      report_wrong_type(value, expected, report);
      return std::nullopt;
    }
    Map map;
    for (const auto& item : value.items) {
      if (const auto key = grammar(item.key); !key) {
        report.error_at_key(item, key.status() == Status::conflict ? id::reserved_name : id::impossible_value,
                            in_quotes(item.key) + " cannot be " + what + ": " + key.error().message,
                            "choose another name");
      }
      if (auto part = text.read(item, report)) map[item.key] = std::move(*part);
    }
    return map;
  };
  return {
      expected, {{"type", "object"}, {"additionalProperties", text.schema}}, read, [](const Map&) { return Json(); }};
}

Form<Json> any_table() {
  auto read = [](const Value& value, Report& report) -> std::optional<Json> {
    if (value.kind != ValueKind::table) {
      report_wrong_type(value, "a table", report);
      return std::nullopt;
    }
    check_texts(value, report);
    return to_json(value);
  };
  return {"a table", {{"type", "object"}}, read, [](const Json&) { return Json(); }};
}

std::string choice_text(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + std::string("\"") + names[i] + '"';
  }
  return text;
}

std::optional<std::string> read_choice(const Value& value, const std::vector<std::string>& names, Report& report) {
  auto text = read_text(value, choice_text(names), Lines::one, report);
  if (!text || std::find(names.begin(), names.end(), *text) != names.end()) return text;
  const auto meant = nearest(*text, names);
  report.error(value, id::impossible_value, name_and_value(value),
               meant ? "did you mean '" + *meant + "'?" : "write " + choice_text(names));
  return std::nullopt;
}

bool check_list(const Value& value, std::string_view expected, std::size_t least, std::size_t most, Report& report) {
  if (value.kind != ValueKind::list) {
    report_wrong_type(value, expected, report);
    return false;
  }
  if (value.items.size() < least || value.items.size() > most) {
    report.error(value, id::wrong_count,
                 "'" + visible(value.key) + "' has " + std::to_string(value.items.size()) + " items",
                 "write " + range_text(least, most) + " of them");
    return false;
  }
  return true;
}

}  // namespace k4t::config
