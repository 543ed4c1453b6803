#include "platform/json_schema.hpp"

#include <algorithm>
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
};

Result<JsonSchema> JsonSchema::compile(const Json& schema) {
  auto compiled = std::make_shared<Compiled>();
  try {
    valijson::SchemaParser parser;
    parser.populateSchema(Adapter(schema), compiled->schema);
  } catch (const std::exception& error) {
    return Error{Status::invalid_argument, std::string("not a JSON Schema: ") + error.what(), {}};
  }
  return JsonSchema(std::move(compiled));
}

std::vector<JsonIssue> JsonSchema::validate(const Json& value) const {
  std::vector<JsonIssue> issues;
  valijson::ValidationResults results;
  try {
    valijson::Validator validator(valijson::Validator::kStrongTypes);
    if (validator.validate(compiled_->schema, Adapter(value), &results)) return {};
  } catch (const std::exception& error) {  // e.g. a pattern that is no regular expression
    return {{"", std::string("cannot be checked: ") + error.what()}};
  }
  valijson::ValidationResults::Error error;
  while (results.popError(error)) issues.push_back({pointer_of(error.context), error.description});
  issues = without_consequences(issues);
  if (issues.empty()) issues.push_back({"", "does not fit the schema"});
  return issues;
}

std::vector<JsonIssue> validate_json(const Json& schema, const Json& value) {
  const auto compiled = JsonSchema::compile(schema);
  if (!compiled) return {{"", compiled.error().message}};
  return compiled->validate(value);
}

}  // namespace k4t::platform
