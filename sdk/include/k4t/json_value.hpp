#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

/// Part of k4t/json.hpp: what values are on their way to and from nlohmann's objects.

/// The SDK is headers alone for whoever writes a driver. A tree that has hundreds of sources compiles what is no
/// template in them only once: it defines K4T_SDK_COMPILED everywhere, the headers then only declare, and sdk/compiled/
/// defines.
#ifdef K4T_SDK_COMPILED
#define K4T_SDK_BODIES 0
#define K4T_SDK_INLINE
#else
#define K4T_SDK_BODIES 1
#define K4T_SDK_INLINE inline
#endif

namespace k4t {

/// Objects keep their keys sorted, so `dump()` without indentation is the canonical text of a value: equal values have
/// equal texts. What is hashed is hashed as this text, once, and the text itself is kept beside the hash.
using Json = nlohmann::json;

namespace detail {

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <class T>
void get_value(const Json& from, T& to) {
  if constexpr (std::integral<T> && !std::same_as<T, bool>) {
    if (!from.is_number_integer()) throw std::invalid_argument("expected an integer");
    const bool fits = from.is_number_unsigned() ? std::in_range<T>(from.get<std::uint64_t>())
                                                : std::in_range<T>(from.get<std::int64_t>());
    if (!fits) throw std::invalid_argument("number out of range");
    to = from.get<T>();
  } else if constexpr (IsOptional<T>::value) {
    if (from.is_null()) {
      to.reset();
    } else {
      get_value(from, to.emplace());
    }
  } else {
    from.get_to(to);
  }
}

/// An absent optional is left out of the object, so that adding one never changes the text of older values.
template <class T>
void put_field(Json& object, const char* name, const T& value) {
  if constexpr (IsOptional<T>::value) {
    if (value) object[name] = *value;
  } else {
    object[name] = value;
  }
}

/// An absent field keeps the default that its struct gives it; unknown fields are ignored.
template <class T>
void get_field(const Json& object, const char* name, T& value) {
  const auto found = object.find(name);
  if (found == object.end()) return;
  try {
    get_value(*found, value);
  } catch (const std::exception& error) {
    throw std::invalid_argument(std::string(name) + ": " + error.what());
  }
}

}  // namespace detail

}  // namespace k4t
