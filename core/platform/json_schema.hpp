#pragma once

#include <memory>
#include <string>
#include <vector>

#include "k4t/json.hpp"

/// JSON Schema (draft 7): options of drivers, manifests and what drivers reply.

namespace k4t::platform {

/// One place where a value does not fit. Issues are in the order in which the value is read.
struct JsonIssue {
  enum class Kind {
    value,        ///< the value at `pointer` does not fit
    missing_key,  ///< the object at `pointer` lacks `key`
    unknown_key,  ///< the object at `pointer` must not have `key`
  };
  std::string pointer;  ///< RFC 6901, from the value's root; empty: the value itself
  std::string message;  ///< without the pointer
  Kind kind = Kind::value;
  std::string key = {};
};

/// A schema made ready once, for values that are checked often. Thread-safe; copies share it.
class JsonSchema {
 public:
  /// INVALID_ARGUMENT: `schema` is not a JSON Schema, and why. `$ref` works within the schema only ("#/…").
  static Result<JsonSchema> compile(const Json& schema);

  /// Empty: the value fits.
  [[nodiscard]] std::vector<JsonIssue> validate(const Json& value) const;

 private:
  struct Compiled;
  explicit JsonSchema(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
  std::shared_ptr<const Compiled> compiled_;
};

/// Both steps at once; a schema that is none is the one issue, with the pointer "".
std::vector<JsonIssue> validate_json(const Json& schema, const Json& value);

}  // namespace k4t::platform
