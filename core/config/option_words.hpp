#pragma once

#include <string>

#include "k4t/json.hpp"

namespace k4t::config {

/// What a value of this schema is, in words, e.g. "a number from 1 to 65535", "a list of paths". The schema is a
/// driver's word: nothing of it need have the type that it should.
std::string describe_value(const Json& schema);

}  // namespace k4t::config
