#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/form.hpp"

namespace k4t::config {

/// Whether a key must be there. `absent`: it need not, and its absence is not the same as any default.
enum class Need { required, optional, absent };

/// Reports keys that no row names, each with what was probably meant.
void report_unknown_keys(const Value& table, std::string_view title, const std::vector<std::string>& known,
                         Report& report);
void report_missing_key(const Value& table, std::string_view title, std::string_view key, std::string_view expected,
                        Report& report);
bool check_table(const Value& value, std::string_view title, Report& report);
Json table_schema(std::string_view summary);

/// The keys of one kind of table and the fields of T that they fill: the single source of the parser, the schema and
/// the reference. A field whose key is absent or faulty keeps the default that T gives it, which is also the one
/// documented.
template <class T>
class Table {
 public:
  /// `title` as users write it: "[cluster]", "[[service]]".
  Table(std::string title, std::string summary) : title_(std::move(title)), schema_(table_schema(summary)) {}

  /// `field` is a pointer to member, or a function from T& to a reference.
  template <class V, class Field>
  Table& key(const std::string& name, Form<V> form, Need need, Field field, std::string_view summary) {
    Json shown;
    if (need == Need::optional) {
      T defaults{};
      if constexpr (std::is_same_v<std::decay_t<decltype(std::invoke(field, defaults))>, V>) {
        shown = form.show(std::invoke(field, defaults));
      }
    }
    return row(
        name, std::move(form), need, shown,
        [field](T& target, V value) { std::invoke(field, target) = std::move(value); }, summary);
  }

  /// A key that fills more or less than one field: `store` takes (T&, V). `shown` documents its default, null: none.
  template <class V, class Store>
  Table& row(const std::string& name, Form<V> form, Need need, const Json& shown, Store store,
             std::string_view summary) {
    Json schema = form.schema;
    schema["description"] = std::string(summary) + ": " + form.expected + ".";
    if (!shown.is_null()) schema["default"] = shown;
    schema_["properties"][name] = std::move(schema);
    if (need == Need::required) schema_["required"].push_back(name);
    names_.push_back(name);
    rows_.push_back([=, title = title_](const Value& table, T& target, Report& report) {
      const Value* value = table.find(name);
      if (value == nullptr) {
        if (need == Need::required) report_missing_key(table, title, name, form.expected, report);
        return;
      }
      if (auto read = form.read(*value, report)) store(target, std::move(*read));
    });
    return *this;
  }

  void read(const Value& table, T& target, Report& report) const {
    report_unknown_keys(table, title_, names_, report);
    for (const auto& row : rows_) row(table, target, report);
  }

  [[nodiscard]] const Json& schema() const { return schema_; }

  /// The table as a value of a key. REQUIRES: this object outlives the form.
  [[nodiscard]] Form<T> form() const {
    auto read = [this](const Value& value, Report& report) -> std::optional<T> {
      if (!check_table(value, title_, report)) return std::nullopt;
      T target{};
      this->read(value, target, report);
      return target;
    };
    return {"a table " + title_, schema_, std::move(read), [](const T&) { return Json(); }};
  }

  /// `least` to `most` tables of this kind, each under its own header. REQUIRES: as form().
  [[nodiscard]] Form<std::vector<T>> forms(std::size_t least, std::size_t most) const {
    return list_of(form(), least, most, "one " + title_ + " table each");
  }

 private:
  std::string title_;
  Json schema_;
  std::vector<std::string> names_;
  std::vector<std::function<void(const Value&, T&, Report&)>> rows_;
};

}  // namespace k4t::config
