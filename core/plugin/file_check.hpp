#pragma once

#include <filesystem>
#include <vector>

#include "k4t/result.hpp"

/// A plugin is code that will run with the user's rights, so what others could have put there is not loaded.

namespace k4t::plugin {

/// The file with symbolic links resolved, if it is a readable regular ELF file that, like its folder, belongs to root
/// or to the current user and cannot be written by group or others. Nothing of it has run.
Result<std::filesystem::path> check_file(const std::filesystem::path& file);

/// The "*.so" in a folder, sorted by name. NOT_FOUND, INVALID_ARGUMENT or UNAVAILABLE where it cannot be read.
Result<std::vector<std::filesystem::path>> list_folder(const std::filesystem::path& folder);

}  // namespace k4t::plugin
