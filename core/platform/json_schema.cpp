#include "platform/json_schema.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <string_view>

// Without this valijson ends the process where a schema is none.
#define VALIJSON_USE_EXCEPTIONS 1
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace k4t::platform {
namespace {

using Adapter = valijson::adapters::NlohmannJsonAdapter;

/// Standard regular expressions recurse once per character: a longer text under a pattern could exhaust the stack.
constexpr std::size_t pattern_text_limit_bytes = 16384;
constexpr int unknown_keys_limit = 64;

bool has_key(const Json& value, std::string_view key) {
  if (!value.is_structured()) return false;
  if (value.is_object() && value.contains(key)) return true;
  return std::any_of(value.begin(), value.end(), [key](const Json& part) { return has_key(part, key); });
}

bool has_long_text(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().size() > pattern_text_limit_bytes;
  return value.is_structured() && std::any_of(value.begin(), value.end(), has_long_text);
}

/// What stands in the validator's text between `before` and the final "'."; absent: it is another message.
std::optional<std::string> named_in(std::string_view text, std::string_view before) {
  const auto at = text.find(before);
  if (at == std::string_view::npos || !text.ends_with("'.")) return std::nullopt;
  const auto from = at + before.size();
  return std::string(text.substr(from, text.size() - from - 2));
}

/// The validator tells its findings apart by text only.
JsonIssue issue_of(std::string pointer, std::string message) {
  JsonIssue issue{std::move(pointer), std::move(message)};
  if (auto unknown = named_in(issue.message, "'additionalProperties' constraints: '")) {
    issue.kind = JsonIssue::Kind::unknown_key;
    issue.key = std::move(*unknown);
  } else if (auto missing = named_in(issue.message, "Missing required property '")) {
    issue.kind = JsonIssue::Kind::missing_key;
    issue.key = std::move(*missing);
  }
  return issue;
}

/// "<root>", "[\"ports\"]", "[0]" → "/ports/0".
std::string pointer_of(const std::vector<std::string>& context) {
  Json::json_pointer pointer;
  for (const std::string& step : context) {
    if (step.size() >= 4 && step.rfind("[\"", 0) == 0) {
      pointer.push_back(step.substr(2, step.size() - 4));
    } else if (step.size() >= 3 && step.front() == '[') {
      pointer.push_back(step.substr(1, step.size() - 2));
    }
  }
  return pointer.to_string();
}

/// The validator also names every level above a fault; an operator needs the fault.
bool is_consequence(std::string_view message) { return message.rfind("Failed to validate", 0) == 0; }

bool is_below(std::string_view pointer, std::string_view ancestor) {
  return pointer.size() > ancestor.size() && pointer.rfind(ancestor, 0) == 0 && pointer[ancestor.size()] == '/';
}

std::vector<JsonIssue> without_consequences(const std::vector<JsonIssue>& all) {
  std::vector<JsonIssue> faults;
  for (const JsonIssue& issue : all) {
    const bool explained = std::any_of(all.begin(), all.end(), [&](const JsonIssue& other) {
      return &other != &issue && (is_below(other.pointer, issue.pointer) ||
                                  (other.pointer == issue.pointer && !is_consequence(other.message)));
    });
    if (!is_consequence(issue.message) || !explained) faults.push_back(issue);
  }
  return faults;
}

}  // namespace

struct JsonSchema::Compiled {
  valijson::Schema schema;
  bool has_patterns = false;
};

namespace {

std::vector<JsonIssue> issues_of(const valijson::Schema& schema, const Json& value) {
  valijson::ValidationResults results;
  valijson::Validator validator(valijson::Validator::kStrongTypes);
  if (validator.validate(schema, Adapter(value), &results)) return {};
  std::vector<JsonIssue> issues;
  valijson::ValidationResults::Error error;
  while (results.popError(error)) issues.push_back(issue_of(pointer_of(error.context), error.description));
  issues = without_consequences(issues);
  if (issues.empty()) issues.push_back({"", "does not fit the schema"});
  return issues;
}

/// The validator stops at the first unknown key of an object: each is taken away until none is left.
std::vector<JsonIssue> all_issues(const valijson::Schema& schema, const Json& value) {
  std::vector<JsonIssue> issues = issues_of(schema, value);
  std::vector<JsonIssue> unknown;
  const auto is_unknown = [](const JsonIssue& issue) { return issue.kind == JsonIssue::Kind::unknown_key; };
  Json rest = value;
  for (int round = 0; round < unknown_keys_limit; ++round) {
    const auto found = std::stable_partition(issues.begin(), issues.end(), std::not_fn(is_unknown));
    if (found == issues.end()) break;
    for (auto issue = found; issue != issues.end(); ++issue)
      rest.at(Json::json_pointer(issue->pointer)).erase(issue->key);
    unknown.insert(unknown.end(), found, issues.end());
    issues = issues_of(schema, rest);
  }
  issues.insert(issues.end(), unknown.begin(), unknown.end());
  return issues;
}

}  // namespace

Result<JsonSchema> JsonSchema::compile(const Json& schema) {
  auto compiled = std::make_shared<Compiled>();
  compiled->has_patterns = has_key(schema, "pattern") || has_key(schema, "patternProperties");
  try {
    valijson::SchemaParser parser;
    parser.populateSchema(Adapter(schema), compiled->schema);
  } catch (const std::exception& error) {
    return Error{Status::invalid_argument, std::string("not a JSON Schema: ") + error.what(), {}};
  }
  return JsonSchema(std::move(compiled));
}

std::vector<JsonIssue> JsonSchema::validate(const Json& value) const {
  if (compiled_->has_patterns && has_long_text(value)) {
    return {{"", "cannot be checked: a text has more than " + std::to_string(pattern_text_limit_bytes) + " bytes"}};
  }
  try {
    return all_issues(compiled_->schema, value);
  } catch (const std::exception& error) {  // e.g. a pattern that is no regular expression
    return {{"", std::string("cannot be checked: ") + error.what()}};
  }
}

std::vector<JsonIssue> validate_json(const Json& schema, const Json& value) {
  const auto compiled = JsonSchema::compile(schema);
  if (!compiled) return {{"", compiled.error().message}};
  return compiled->validate(value);
}

}  // namespace k4t::platform
