#include "config/table.hpp"

namespace k4t::config {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

void report_unknown_keys(const Value& table, std::string_view title, const std::vector<std::string>& known,
                         Report& report) {
  for (const auto& item : table.items) {
    if (std::find(known.begin(), known.end(), item.key) != known.end()) continue;
    const auto meant = nearest(item.key, known);
    report.error_at_key(item, id::unknown_key, "unknown key " + in_quotes(item.key) + " in " + std::string(title),
                        meant ? "did you mean '" + *meant + "'?" : "the keys here are: " + listed(known));
  }
}

void report_missing_key(const Value& table, std::string_view title, std::string_view key, std::string_view expected,
                        Report& report) {
  report.error(table, id::missing_key, std::string(title) + " has no '" + std::string(key) + "'",
               "add '" + std::string(key) + "', " + std::string(expected));
}

bool check_table(const Value& value, std::string_view title, Report& report) {
  if (value.kind == ValueKind::table) return true;
  report_wrong_type(value, "a table " + std::string(title), report);
  return false;
}

Json table_schema(std::string_view summary) {
  return Json{
      {"type", "object"}, {"description", summary}, {"properties", Json::object()}, {"additionalProperties", false}};
}

}  // namespace k4t::config
