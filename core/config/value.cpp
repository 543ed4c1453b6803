#include "config/value.hpp"

#include <algorithm>

namespace k4t::config {

const Value* Value::find(std::string_view name) const {
  if (kind != ValueKind::table) return nullptr;
  const auto found = std::find_if(items.begin(), items.end(), [name](const Value& item) { return item.key == name; });
  return found == items.end() ? nullptr : &*found;
}

const Value& part(const Value& table, std::string_view key) {
  const Value* found = table.find(key);
  return found == nullptr ? table : *found;
}

std::string_view kind_name(ValueKind kind) {
  switch (kind) {
    case ValueKind::table: return "a table";
    case ValueKind::list: return "a list";
    case ValueKind::text: return "text";
    case ValueKind::whole: return "a whole number";
    case ValueKind::real: return "a number with a fraction";
    case ValueKind::boolean: return "true or false";
    case ValueKind::date: return "a date or time";
  }
  return "a value";
}

Json to_json(const Value& value) {
  switch (value.kind) {
    case ValueKind::table: {
      Json object = Json::object();
      for (const auto& item : value.items) object[item.key] = to_json(item);
      return object;
    }
    case ValueKind::list: {
      Json list = Json::array();
      for (const auto& item : value.items) list.push_back(to_json(item));
      return list;
    }
    case ValueKind::text:
    case ValueKind::date: return value.text;
    case ValueKind::whole: return value.whole;
    case ValueKind::real: return value.real;
    case ValueKind::boolean: return value.boolean;
  }
  return nullptr;
}

}  // namespace k4t::config
