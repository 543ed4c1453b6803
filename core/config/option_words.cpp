#include "config/option_words.hpp"

namespace k4t::config {

const Json& schema_part(const Json& schema, const char* key) {
  static const Json nothing;
  const auto found = schema.is_object() ? schema.find(key) : schema.end();
  return found != schema.end() ? *found : nothing;
}

std::string schema_text(const Json& schema, const char* key) {
  const Json& part = schema_part(schema, key);
  return part.is_string() ? part.get<std::string>() : std::string();
}

namespace {

std::string choices(const Json& values) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "one of " : ", ") + value.dump();
  return text;
}

std::string numbers(const Json& schema) {
  const Json& least = schema_part(schema, "minimum");
  const Json& most = schema_part(schema, "maximum");
  std::string text = schema_text(schema, "type") == "integer" ? "a whole number" : "a number";
  if (least.is_number() && most.is_number()) return "a number from " + least.dump() + " to " + most.dump();
  if (least.is_number()) return text + " of at least " + least.dump();
  return most.is_number() ? text + " of at most " + most.dump() : text;
}

std::string text_like(const Json& schema) {
  const std::string pattern = schema_text(schema, "pattern");
  if (pattern.starts_with("^/")) return "an absolute path";
  if (pattern.starts_with("^(/")) return "an absolute path or \"\"";
  return pattern.empty() ? "text" : "text like " + pattern;
}

/// The same for each value of a list.
std::string plural_of(const Json& schema) {
  const std::string type = schema_text(schema, "type");
  if (type == "string") return schema_text(schema, "pattern").starts_with("^/") ? "absolute paths" : "texts";
  if (type == "integer" || type == "number") return "numbers";
  return type == "object" ? "tables" : "values";
}

}  // namespace

std::string describe_value(const Json& schema) {
  const std::string type = schema_text(schema, "type");
  if (const Json& values = schema_part(schema, "enum"); values.is_array() && !values.empty()) return choices(values);
  if (type == "string") return text_like(schema);
  if (type == "integer" || type == "number") return numbers(schema);
  if (type == "boolean") return "true or false";
  if (type == "array") return "a list of " + plural_of(schema_part(schema, "items"));
  return type == "object" ? "a table" : "any value";
}

}  // namespace k4t::config
