#pragma once

#include <cstddef>
#include <string>

#include "k4t/plugin.hpp"

/// What is shown of a plugin; pure.

namespace k4t::cli {

/// A driver and its options, each with its kind of value, its default and its description, which is broken into lines
/// of at most `width` columns.
std::string render_plugin(const Manifest& manifest, const std::string& path, std::size_t width, bool colours);
/// The manifest and "path".
Json plugin_json(const Manifest& manifest, const std::string& path);

}  // namespace k4t::cli
