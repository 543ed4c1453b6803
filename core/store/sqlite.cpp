#include "store/sqlite.hpp"

#include <sqlite3.h>

#include <array>
#include <cerrno>
#include <utility>

#include "platform/steps.hpp"
#include "store/checked_pages.hpp"

namespace k4t::store {
namespace {

/// For other connections of this machine, such as a `status` beside an `apply`; they hold locks for milliseconds.
constexpr int kBusyTimeout_ms = 5000;

Status status_of(int code, bool disk_full) {
  if (code == SQLITE_IOERR_DATA) return Status::fatal;
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Status::fatal;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Status::busy;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN: return Status::unavailable;
    case SQLITE_CONSTRAINT: return Status::conflict;
    default: return disk_full ? Status::unavailable : Status::fatal;
  }
}

std::string explain(const std::string& file, int code, bool disk_full) {
  if (disk_full) return "the disk of " + file + " is full: free some space and run the command again";
  if (code == SQLITE_IOERR_DATA) code = SQLITE_CORRUPT;
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return file + " is damaged: move it away and restore a metadata copy";
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return file + " is locked by another program: try again";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN: return file + " cannot be opened for writing: check its owner, its mode and the disk's mount";
    case SQLITE_IOERR: return file + " cannot be read or written: check the disk";
    default: return file + " refused a change";
  }
}

/// Of a file that has no page yet, or that is about to be written anew by VACUUM.
void reserve_digests(sqlite3* handle) {
  int reserved = page_digest_bytes;
  sqlite3_file_control(handle, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
}

}  // namespace

std::int64_t Row::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Row::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const int size = sqlite3_column_bytes(statement_, column);
  return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(size));
}

bool Row::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& file) {
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, checked_pages());
  std::unique_ptr<Database> database(new Database(file, handle));
  if (code != SQLITE_OK) return database->error(code);
  sqlite3_busy_timeout(handle, kBusyTimeout_ms);
  reserve_digests(handle);
  return database;
}

bool Database::has_checked_pages() {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(handle_, "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file));
  std::array<unsigned char, 100> header{};  // 1.3 of SQLite's file format
  constexpr std::size_t reserved_at = 20;
  const bool read = file != nullptr && file->pMethods != nullptr &&
                    file->pMethods->xRead(file, header.data(), header.size(), 0) == SQLITE_OK;
  return read && header.at(reserved_at) == page_digest_bytes;
}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

Error Database::error(int code) const {
  const bool disk_full =
      (code & 0xff) == SQLITE_FULL || (handle_ != nullptr && sqlite3_system_errno(handle_) == ENOSPC);
  std::string detail = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  return {status_of(code, disk_full), explain(file_.string(), code, disk_full), std::move(detail)};
}

Result<void> Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code);
  return {};
}

Result<sqlite3_stmt*> Database::prepare(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (statement == nullptr) {
    const int code = sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return error(code);
  }
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return statement;
}

Result<bool> Database::step(sqlite3_stmt* statement) {
  const int code = sqlite3_step(statement);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(statement);
    return false;
  }
  const Error why = error(code);  // before the reset replaces the message
  sqlite3_reset(statement);
  return why;
}

Result<void> Database::step_all(sqlite3_stmt* statement) {
  // Inside a transaction nothing is durable before its COMMIT, which its owner marks.
  const bool durable = !in_transaction();
  const std::string what = "store " + std::string(sqlite3_sql(statement)).substr(0, 24);
  if (durable) platform::step("before " + what);
  for (bool more = true; more;) {
    K4T_ASSIGN(more, step(statement));
  }
  if (durable) platform::step("after " + what);
  return {};
}

Result<std::string> Database::snapshot(const std::string& leave_out) {
  sqlite3* handle = nullptr;
  const int opened = sqlite3_open_v2(":memory:", &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  Database copy(file_, handle);
  if (opened != SQLITE_OK) return copy.error(opened);
  sqlite3_backup* backup = sqlite3_backup_init(handle, "main", handle_, "main");
  if (backup == nullptr) return copy.error(sqlite3_errcode(handle));
  const int stepped = sqlite3_backup_step(backup, -1);
  const int finished = sqlite3_backup_finish(backup);
  if (stepped != SQLITE_DONE) return error(finished == SQLITE_OK ? stepped : finished);
  // What was deleted must not stay in pages that are free, nor change where the rest lies.
  K4T_TRY(copy.execute(leave_out));
  reserve_digests(handle);
  K4T_TRY(copy.execute("VACUUM"));
  sqlite3_int64 size = 0;
  const std::unique_ptr<unsigned char, decltype(&sqlite3_free)> bytes(sqlite3_serialize(handle, "main", &size, 0),
                                                                      sqlite3_free);
  if (bytes == nullptr) return Error{Status::unavailable, "there is no memory for a copy of " + file_.string(), {}};
  std::string file(reinterpret_cast<const char*>(bytes.get()), static_cast<std::size_t>(size));
  // Two counters of the header (SQLite's file format, 1.3.6 and 1.3.17) count changes, also those that were left out.
  constexpr std::array<std::size_t, 2> counters{24, 92};
  for (const auto at : counters) file.replace(at, 4, 4, '\0');
  seal_pages(file);
  return file;
}

std::int64_t Database::changes() const { return sqlite3_changes64(handle_); }
std::int64_t Database::last_insert_id() const { return sqlite3_last_insert_rowid(handle_); }

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

void Database::bind(sqlite3_stmt* statement, int index, std::int64_t value) {
  sqlite3_bind_int64(statement, index, value);
}

void Database::bind(sqlite3_stmt* statement, int index, const std::string& value) {
  sqlite3_bind_text64(statement, index, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

}  // namespace k4t::store
