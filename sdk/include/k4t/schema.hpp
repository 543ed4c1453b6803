#pragma once

#include <string_view>

namespace k4t {

/// The text of sdk/schema/NAME.json, e.g. "manifest" or "gateway"; empty: there is none of that name. The file of a
/// kind has under "methods" each method's "request" and "reply", which refer to its "definitions". Library k4t::schema.
std::string_view schema_text(std::string_view name);

}  // namespace k4t
