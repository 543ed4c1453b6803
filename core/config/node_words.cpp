#include "config/config.hpp"

namespace k4t::config {
namespace {

Value text_value(const std::string& key, const std::string& text) {
  Value value;
  value.kind = ValueKind::text;
  value.key = key;
  value.text = text;
  return value;
}

Value text_table(const std::string& key, const std::map<std::string, std::string>& texts) {
  Value table;
  table.key = key;
  for (const auto& [name, text] : texts) table.items.push_back(text_value(name, text));
  return table;
}

}  // namespace

Result<model::Node> read_node(const NodeWords& words) {
  Value table = text_table("node", words.keys);
  if (!words.labels.empty()) table.items.push_back(text_table("labels", words.labels));
  Report report("the command line");
  model::Node node = read_node_table(table, report);
  node.options = words.options;
  const auto diagnostics = report.diagnostics();
  if (diagnostics.empty()) return node;
  const auto& first = diagnostics.front();
  return Error{Status::invalid_argument, first.cause + ": " + first.remedy, {}};
}

}  // namespace k4t::config
