#pragma once

#include <filesystem>
#include <string>

#include "k4t/result.hpp"

/// Bits that flip on a disk are noticed. The last bytes of each page of a database, which SQLite leaves alone where
/// they are reserved, hold a digest of the rest: made when a page is written, checked when it is read
/// (https://sqlite.org/cksumvfs.html). A page that is wrong is SQLITE_IOERR_DATA.

namespace k4t::store {

inline constexpr int page_digest_bytes = 8;

/// The name of the layer (VFS) to open a database with; below it is SQLite's default one. A database that has reserved
/// no bytes is passed through as it is.
const char* checked_pages();

/// Fills in the digests of a whole database in memory.
void seal_pages(std::string& file);

/// The write-ahead log of a database that nobody has open. SQLite reads it up to the first frame whose checksum is
/// wrong, as after a power cut it must; FATAL: what follows shows that this frame was whole once, so that changes which
/// were durable would be dropped. A flip in the last transaction of a log looks like a power cut, and is none of these.
Result<void> check_log(const std::filesystem::path& database);

}  // namespace k4t::store
