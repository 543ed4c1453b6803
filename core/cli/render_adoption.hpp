#pragma once

#include <string>

#include "cli/console.hpp"
#include "operation/adoption.hpp"

/// What `k4t adopt` shows. Pure.

namespace k4t::cli {

/// The services that were found, and what could not be told.
std::string render_found(const operation::Found& found, bool colours);
Json found_json(const operation::Found& found);

}  // namespace k4t::cli
