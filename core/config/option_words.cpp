#include "config/option_words.hpp"

namespace k4t::config {
namespace {

const Json& part_at(const Json& object, const char* key) {
  static const Json nothing;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() ? *found : nothing;
}

std::string text_at(const Json& object, const char* key) {
  const Json& part = part_at(object, key);
  return part.is_string() ? part.get<std::string>() : std::string();
}

std::string choices(const Json& values) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "one of " : ", ") + value.dump();
  return text;
}

std::string numbers(const Json& schema) {
  const Json& least = part_at(schema, "minimum");
  const Json& most = part_at(schema, "maximum");
  std::string text = text_at(schema, "type") == "integer" ? "a whole number" : "a number";
  if (least.is_number() && most.is_number()) return "a number from " + least.dump() + " to " + most.dump();
  if (least.is_number()) return text + " of at least " + least.dump();
  return most.is_number() ? text + " of at most " + most.dump() : text;
}

std::string text_like(const Json& schema) {
  const std::string pattern = text_at(schema, "pattern");
  if (pattern.starts_with("^/")) return "an absolute path";
  if (pattern.starts_with("^(/")) return "an absolute path or \"\"";
  return pattern.empty() ? "text" : "text like " + pattern;
}

/// The same for each value of a list.
std::string plural_of(const Json& schema) {
  const std::string type = text_at(schema, "type");
  if (type == "string") return text_at(schema, "pattern").starts_with("^/") ? "absolute paths" : "texts";
  if (type == "integer" || type == "number") return "numbers";
  return type == "object" ? "tables" : "values";
}

}  // namespace

std::string describe_value(const Json& schema) {
  const std::string type = text_at(schema, "type");
  if (const Json& values = part_at(schema, "enum"); values.is_array() && !values.empty()) return choices(values);
  if (type == "string") return text_like(schema);
  if (type == "integer" || type == "number") return numbers(schema);
  if (type == "boolean") return "true or false";
  if (type == "array") return "a list of " + plural_of(part_at(schema, "items"));
  return type == "object" ? "a table" : "any value";
}

}  // namespace k4t::config
