#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.hpp"

/// A parsed TOML document (https://toml.io/en/v1.0.0) as a plain tree in which every value knows its place.

namespace k4t::config {

enum class ValueKind { table, list, text, whole, real, boolean, date };

struct Value {
  ValueKind kind = ValueKind::table;
  std::string key;   ///< its name in its table; an item has its list's
  Position at;       ///< of the value; of a [table] its header
  Position key_at;   ///< of the key; of an item the same as `at`
  std::string text;  ///< of text, and of a date as it would be written
  std::int64_t whole = 0;
  double real = 0;
  bool boolean = false;
  std::vector<Value> items;  ///< a list's items, or a table's members in the order of their places

  /// The member of that name; nullptr: none.
  [[nodiscard]] const Value* find(std::string_view name) const;
};

/// Where a message about that key points: the member, or the table itself where it has none of that name.
const Value& part(const Value& table, std::string_view key);

/// For messages: "a whole number", "a table".
std::string_view kind_name(ValueKind kind);

/// The same document without places. Dates become text.
Json to_json(const Value& value);

}  // namespace k4t::config
