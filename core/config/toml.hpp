#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/report.hpp"
#include "config/value.hpp"

namespace k4t::config {

/// Parses a TOML 1.0 document. Absent where it is not one: its first error is then in `report` (a parser that guesses
/// on would report what is not there). Nesting is bounded, so that no document can exhaust the stack.
std::optional<Value> parse_toml(std::string_view text, Report& report);

}  // namespace k4t::config
