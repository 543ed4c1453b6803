#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/diagnostic.hpp"

namespace k4t::config {

inline constexpr std::size_t file_limit_bytes = 1U << 20U;

/// Reads a configuration file as a whole: a regular file, or a link to one, of at most 1 MiB. Absent where that is not
/// possible, and the reason is added; a file that anybody may write is read and gets a warning.
std::optional<std::string> read_source(const std::string& path, std::vector<Diagnostic>& diagnostics);

/// False, with the reason added, where the text is longer than a file may be.
bool check_size(const std::string& file, std::size_t bytes, std::vector<Diagnostic>& diagnostics);

}  // namespace k4t::config
