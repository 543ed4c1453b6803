#pragma once

#include "store/sqlite.hpp"
#include "store/store.hpp"

namespace k4t::store {

/// Whether the file is ours and of a time when pages had no digests.
Result<bool> lacks_digests(Database& database);

/// Checks that the file is ours, whole and not newer than this program, and brings its tables up to date in one
/// transaction. In mode read nothing is changed, and a file without tables is NOT_FOUND.
Result<void> prepare_schema(Database& database, const std::filesystem::path& file, Mode mode);

}  // namespace k4t::store
