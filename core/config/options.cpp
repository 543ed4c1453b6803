#include "config/config.hpp"
#include "config/grammar.hpp"
#include "config/message_ids.hpp"
#include "config/option_words.hpp"
#include "platform/json_schema.hpp"

namespace k4t::config {
namespace {

using platform::JsonIssue;
using Pointer = Json::json_pointer;

/// The part of the schema that the value at the pointer has to fit, where the schema tells it plainly; else null.
Json schema_at(const Json& schema, const Pointer& pointer) {
  if (pointer.empty()) return schema;
  const Json table = schema_at(schema, pointer.parent_pointer());
  for (const Pointer& place : {Pointer("/properties") / pointer.back(), Pointer("/items")}) {
    if (table.is_object() && table.contains(place)) return table.at(place);
  }
  return Json();
}

/// The keys that the schema lists for the object at the pointer, where it lists them plainly.
std::vector<std::string> keys_at(const Json& schema, const std::string& pointer) {
  const Json table = schema_at(schema, Pointer(pointer));
  std::vector<std::string> keys;
  if (!table.is_object() || !table.contains("properties") || !table.at("properties").is_object()) return keys;
  for (const auto& [key, unused] : table.at("properties").items()) keys.push_back(key);
  return keys;
}

std::string remedy_for(const JsonIssue& issue, const model::Driven& thing, const Json& schema) {
  std::string all = "`k4t plugin show " + thing.driver + "` tells its options";
  if (issue.kind != JsonIssue::Kind::unknown_key) return all;
  const auto keys = keys_at(schema, issue.pointer);
  if (const auto meant = nearest(issue.key, keys)) return "did you mean '" + *meant + "'?";
  std::string listed;
  for (const auto& key : keys) listed += (listed.empty() ? "" : ", ") + key;
  return keys.empty() ? all : "the options here are: " + visible(listed);
}

/// The validator's sentence as a clause.
std::string clause(std::string text) {
  if (text.ends_with('.')) text.pop_back();
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return visible(text);
}

/// "ssh.identity[1]"
std::string name_of(const Json& options, const Pointer& pointer) {
  if (pointer.empty()) return {};
  const auto table = pointer.parent_pointer();
  const std::string before = name_of(options, table);
  if (options.at(table).is_array()) return before + '[' + pointer.back() + ']';
  return before + (before.empty() ? "" : ".") + pointer.back();
}

std::string cause_of(const JsonIssue& issue, const Json& options, const Json& schema) {
  if (issue.kind == JsonIssue::Kind::unknown_key) return "unknown option " + in_quotes(issue.key);
  if (issue.kind == JsonIssue::Kind::missing_key) return "option " + in_quotes(issue.key) + " is missing";
  if (issue.pointer.empty()) return "the options do not fit: " + clause(issue.message);
  const Pointer pointer(issue.pointer);
  const std::string option = "option " + in_quotes(name_of(options, pointer));
  const Json wanted = schema_at(schema, pointer);
  if (!wanted.is_object() || !wanted.contains("type")) return option + " does not fit: " + clause(issue.message);
  const Json& value = options.at(pointer);
  const bool empty =
      (value.is_string() && value.get_ref<const std::string&>().empty() && wanted.contains("minLength")) ||
      (value.is_array() && value.empty() && wanted.contains("minItems"));
  return option + (empty ? " must not be empty" : " must be " + visible(describe_value(wanted)));
}

Diagnostic diagnostic_of(const Origins::Place& place, bool at_key, std::string_view id) {
  const Position at = at_key ? place.key_at : place.at;
  return {Severity::error, place.file, at.line, at.column, {}, {}, std::string(id)};
}

}  // namespace

std::vector<Diagnostic> check_options(const Origins& origins, std::string_view section, const model::Driven& thing,
                                      const Json& schema) {
  const std::string base = '/' + std::string(section) + '/' + thing.name;
  const auto compiled = platform::JsonSchema::compile(schema);
  if (!compiled) {
    auto diagnostic =
        diagnostic_of(origins.find(base + "/driver").value_or(Origins::Place{}), false, id::options_schema_unusable);
    diagnostic.cause =
        "driver " + in_quotes(thing.driver) + " has an unusable options schema: " + clause(compiled.error().message);
    diagnostic.remedy = "report it to the driver's author";
    return {diagnostic};
  }
  std::vector<Diagnostic> diagnostics;
  for (const auto& issue : compiled->validate(thing.options)) {
    const bool unknown = issue.kind == JsonIssue::Kind::unknown_key;
    const std::string pointer = unknown ? (Pointer(issue.pointer) / issue.key).to_string() : issue.pointer;
    const auto place = origins.find(base + "/options" + pointer).value_or(Origins::Place{});
    auto diagnostic = diagnostic_of(place, unknown, id::option_refused);
    diagnostic.cause = cause_of(issue, thing.options, schema);
    diagnostic.remedy = remedy_for(issue, thing, schema);
    diagnostics.push_back(std::move(diagnostic));
  }
  sort_by_place(diagnostics);
  return diagnostics;
}

std::set<std::string> named_files(const Json& options, const Json& schema) {
  std::set<std::string> files;
  if (!schema.is_object()) return files;
  const auto descend = [&files](const Json& value, const Json& part) { files.merge(named_files(value, part)); };
  if (options.is_string() && schema.value("k4t-file", Json()) == Json(true)) files.insert(options.get<std::string>());
  if (options.is_array() && schema.contains("items")) {
    for (const auto& item : options) descend(item, schema.at("items"));
  }
  const Json properties = schema.value("properties", Json());
  if (options.is_object() && properties.is_object()) {
    for (const auto& [key, value] : options.items()) {
      if (properties.contains(key)) descend(value, properties.at(key));
    }
  }
  files.erase("");
  return files;
}

Diagnostic cannot_witness(const Origins& origins, const model::Witness& witness, const std::string& driver) {
  const auto place = origins.find("/witness/" + witness.id + "/dns").value_or(Origins::Place{});
  auto diagnostic = diagnostic_of(place, false, id::cannot_witness);
  diagnostic.cause = "driver " + in_quotes(driver) + " of DNS server " + in_quotes(witness.dns.value_or("")) +
                     " cannot hold a witness's register";
  diagnostic.remedy = "name a server whose driver has the capability 'witness', or a folder with 'path'";
  return diagnostic;
}

}  // namespace k4t::config
