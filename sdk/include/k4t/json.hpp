#pragma once

#include <array>
#include <map>
#include <ostream>
#include <string>
#include <string_view>

#include "k4t/json_text.hpp"
#include "k4t/json_value.hpp"
#include "k4t/result.hpp"

namespace k4t::detail {

template <class Enum>
std::string_view enum_name(Enum value) {
  for (const auto& [candidate, name] : k4t_enum_names(value)) {
    if (candidate == value) return name;
  }
  return "?";
}

template <class Enum>
Enum enum_value(const Json& from) {
  const auto& text = from.get_ref<const std::string&>();
  for (const auto& [value, name] : k4t_enum_names(Enum{})) {
    if (name == text) return value;
  }
  throw std::invalid_argument("unknown value '" + text + "'");
}

/// INVALID_ARGUMENT with the cause why a received value did not fit.
Error malformed_value(const std::exception& cause);
#if K4T_SDK_BODIES
K4T_SDK_INLINE Error malformed_value(const std::exception& cause) {
  return Error{Status::invalid_argument, std::string("malformed value: ") + cause.what(), {}};
}
#endif

}  // namespace k4t::detail

namespace k4t {

/// Converts a received value; INVALID_ARGUMENT naming the field where it does not fit.
template <class T>
Result<T> decode(const Json& from) {
  try {
    T value{};
    detail::get_value(from, value);
    return value;
  } catch (const std::exception& error) {
    return detail::malformed_value(error);
  }
}

/// The same from JSON text, without a Json in between: of large states that would be most of the work.
template <class T>
Result<T> decode_text(std::string_view from) {
  try {
    T value{};
    detail::fill(detail::target_of(value), from);
    return value;
  } catch (const std::exception& error) {
    return detail::malformed_value(error);
  }
}

/// How GoogleTest shows a value: as its JSON.
template <class T>
requires requires(Json& json, const T& value) { to_json(json, value); }
void PrintTo(const T& value, std::ostream* out) { *out << Json(value).dump(); }

}  // namespace k4t

/// Gives a struct its JSON form: an object with one key per listed field. To be used in the struct's own namespace,
/// where it is declared. A struct that many sources know has K4T_JSON_DECLARE in its header and K4T_JSON_DEFINE, which
/// takes what K4T_JSON takes, in one source.
#define K4T_JSON(TYPE, ...) K4T_JSON_BODIES(inline, TYPE, __VA_ARGS__)
#define K4T_JSON_DEFINE(TYPE, ...) K4T_JSON_BODIES(, TYPE, __VA_ARGS__)
#define K4T_JSON_DECLARE(TYPE)                            \
  void to_json(::k4t::Json& json, const TYPE& value);     \
  void from_json(const ::k4t::Json& json, TYPE& value);   \
  void k4t_json_text(std::string& to, const TYPE& value); \
  ::k4t::detail::Target k4t_json_field(TYPE& value, std::string_view name);
#define K4T_JSON_BODIES(LINKAGE, TYPE, ...)                                                                       \
  LINKAGE void to_json(::k4t::Json& k4t_json, const TYPE& k4t_value) {                                            \
    k4t_json = ::k4t::Json::object();                                                                             \
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(K4T_JSON_PUT, __VA_ARGS__))                                          \
  }                                                                                                               \
  LINKAGE void from_json(const ::k4t::Json& k4t_json, TYPE& k4t_value) {                                          \
    if (!k4t_json.is_object()) throw std::invalid_argument("expected an object for " #TYPE);                      \
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(K4T_JSON_GET, __VA_ARGS__))                                          \
  }                                                                                                               \
  LINKAGE void k4t_json_text(std::string& k4t_to, const TYPE& k4t_value) {                                        \
    static constexpr auto k4t_sorted = ::k4t::detail::sorted_places(                                              \
        std::to_array<std::string_view>({NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(K4T_JSON_KEY, __VA_ARGS__))})); \
    k4t_to += '{';                                                                                                \
    for (const std::size_t k4t_wanted : k4t_sorted) {                                                             \
      std::size_t k4t_place = 0;                                                                                  \
      NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(K4T_JSON_PUT_TEXT, __VA_ARGS__))                                   \
    }                                                                                                             \
    ::k4t::detail::close_text(k4t_to, '}');                                                                       \
  }                                                                                                               \
  LINKAGE ::k4t::detail::Target k4t_json_field(TYPE& k4t_value, std::string_view k4t_name) {                      \
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(K4T_JSON_FIND, __VA_ARGS__))                                         \
    return {};                                                                                                    \
  }
#define K4T_JSON_PUT(FIELD) ::k4t::detail::put_field(k4t_json, #FIELD, k4t_value.FIELD);
#define K4T_JSON_GET(FIELD) ::k4t::detail::get_field(k4t_json, #FIELD, k4t_value.FIELD);
#define K4T_JSON_KEY(FIELD) #FIELD,
#define K4T_JSON_PUT_TEXT(FIELD) \
  if (k4t_place++ == k4t_wanted) ::k4t::detail::put_field_text(k4t_to, "\"" #FIELD "\":", k4t_value.FIELD);
#define K4T_JSON_FIND(FIELD) \
  if (k4t_name == #FIELD) return ::k4t::detail::target_of(k4t_value.FIELD);

/// Gives a struct without fields its JSON form, the empty object.
#define K4T_JSON_EMPTY(TYPE)                                                            \
  inline void to_json(::k4t::Json& json, const TYPE&) { json = ::k4t::Json::object(); } \
  inline void from_json(const ::k4t::Json&, TYPE&) {}                                   \
  inline void k4t_json_text(std::string& to, const TYPE&) { to += "{}"; }               \
  inline ::k4t::detail::Target k4t_json_field(TYPE&, std::string_view) { return {}; }

/// Gives an enum its JSON form, a string, and `to_string`: K4T_JSON_ENUM(Mode, {Mode::http, "http"}, …).
/// Unlike nlohmann's own macro an unknown string is an error, never silently the first value. Its two halves are
/// K4T_JSON_ENUM_DECLARE, which takes the same, and K4T_JSON_ENUM_DEFINE(Mode).
#define K4T_JSON_ENUM(ENUM, ...)         \
  K4T_JSON_ENUM_NAMES(ENUM, __VA_ARGS__) \
  K4T_JSON_ENUM_BODIES(inline, ENUM)
#define K4T_JSON_ENUM_DEFINE(ENUM) K4T_JSON_ENUM_BODIES(, ENUM)
#define K4T_JSON_ENUM_DECLARE(ENUM, ...)                \
  K4T_JSON_ENUM_NAMES(ENUM, __VA_ARGS__)                \
  std::string_view to_string(ENUM value);               \
  void to_json(::k4t::Json& json, ENUM value);          \
  void from_json(const ::k4t::Json& json, ENUM& value); \
  void k4t_json_text(std::string& to, ENUM value);
#define K4T_JSON_ENUM_NAMES(ENUM, ...) \
  constexpr auto k4t_enum_names(ENUM) { return std::to_array<std::pair<ENUM, std::string_view>>({__VA_ARGS__}); }
#define K4T_JSON_ENUM_BODIES(LINKAGE, ENUM)                                                                       \
  LINKAGE std::string_view to_string(ENUM value) { return ::k4t::detail::enum_name(value); }                      \
  LINKAGE void to_json(::k4t::Json& json, ENUM value) { json = std::string(to_string(value)); }                   \
  LINKAGE void from_json(const ::k4t::Json& json, ENUM& value) { value = ::k4t::detail::enum_value<ENUM>(json); } \
  LINKAGE void k4t_json_text(std::string& to, ENUM value) { ::k4t::detail::put_text(to, to_string(value)); }

/// The same for the SDK's own types, which are compiled once where K4T_SDK_COMPILED is defined.
#ifdef K4T_SDK_COMPILED
#define K4T_SDK_JSON(TYPE, ...) K4T_JSON_DECLARE(TYPE)
#define K4T_SDK_JSON_ENUM K4T_JSON_ENUM_DECLARE
#else
#define K4T_SDK_JSON K4T_JSON
#define K4T_SDK_JSON_ENUM K4T_JSON_ENUM
#endif
