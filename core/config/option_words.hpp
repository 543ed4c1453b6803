#pragma once

#include <string>

#include "k4t/json.hpp"

namespace k4t::config {

/// A part of a schema; null where there is none. A schema is a driver's word: nothing of it need have the type that it
/// should.
const Json& schema_part(const Json& schema, const char* key);
/// The same of a text; empty where there is none.
std::string schema_text(const Json& schema, const char* key);

/// What a value of this schema is, in words, e.g. "a number from 1 to 65535", "a list of paths".
std::string describe_value(const Json& schema);

}  // namespace k4t::config
