#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/json_value.hpp"

/// Words in which a driver describes its options (Manifest::options_schema): each returns a part of a JSON Schema
/// (draft 7), an object to which the driver can add what else it requires. `description` is for people: k4t's messages
/// and their editors show it. `standard` is what holds where the option is not given; null: nothing.

namespace k4t::option {

/// Any text but the empty one.
Json text(std::string_view description, const Json& standard = nullptr);

/// Absolute path of a file, folder or program where the server runs.
Json path(std::string_view description, const Json& standard = nullptr);

/// Absolute path of a file of the master's machine that is needed to reach the server, e.g. a key. k4t puts such files
/// into encrypted copies of its metadata, so that they come back with a lost master.
Json file(std::string_view description);

/// A whole number from `least` to `most`. Its unit is the last word of the option's name, as in "timeout_ms".
Json number(std::string_view description, std::int64_t least, std::int64_t most, const Json& standard = nullptr);

/// A TCP or UDP port.
Json port(std::string_view description, const Json& standard = nullptr);

/// Any number of values that are each as `item` says.
Json list(std::string_view description, const Json& item, const Json& standard = nullptr);

/// A table with these options, of which `required` must be given, and no others.
Json table(std::string_view description, const Json& properties, const std::vector<std::string>& required = {});

/// The whole: what Manifest::options_schema is set to.
Json schema(const Json& properties, const std::vector<std::string>& required = {});

#if K4T_SDK_BODIES
namespace detail {
K4T_SDK_INLINE Json described(Json as, std::string_view description, const Json& standard) {
  if (!description.empty()) as["description"] = description;
  if (!standard.is_null()) as["default"] = standard;
  return as;
}
}  // namespace detail

K4T_SDK_INLINE Json text(std::string_view description, const Json& standard) {
  return detail::described({{"type", "string"}, {"minLength", 1}}, description, standard);
}

K4T_SDK_INLINE Json path(std::string_view description, const Json& standard) {
  return detail::described({{"type", "string"}, {"pattern", "^/"}}, description, standard);
}

K4T_SDK_INLINE Json file(std::string_view description) {
  Json named = path(description);
  named["k4t-file"] = true;
  return named;
}

K4T_SDK_INLINE Json number(std::string_view description, std::int64_t least, std::int64_t most, const Json& standard) {
  return detail::described({{"type", "integer"}, {"minimum", least}, {"maximum", most}}, description, standard);
}

K4T_SDK_INLINE Json port(std::string_view description, const Json& standard) {
  return number(description, 1, 65535, standard);
}

K4T_SDK_INLINE Json list(std::string_view description, const Json& item, const Json& standard) {
  return detail::described({{"type", "array"}, {"items", item}}, description, standard);
}

K4T_SDK_INLINE Json table(std::string_view description, const Json& properties,
                          const std::vector<std::string>& required) {
  Json made{{"type", "object"}, {"additionalProperties", false}, {"properties", properties}};
  if (!required.empty()) made["required"] = required;
  return detail::described(std::move(made), description, nullptr);
}

K4T_SDK_INLINE Json schema(const Json& properties, const std::vector<std::string>& required) {
  Json whole = table("", properties, required);
  whole["$schema"] = "http://json-schema.org/draft-07/schema#";
  return whole;
}
#endif

}  // namespace k4t::option
