#include "store/schema.hpp"

#include <array>

#include "platform/steps.hpp"

namespace k4t::store {
namespace {

/// "k4t" and 1, in the file's header: tells our files from other programs'.
constexpr std::int64_t kApplicationId = 0x6b347401;

/// Migration n brings a file from user_version n to n + 1. Released ones are never edited.
constexpr std::array kMigrations = {
    R"sql(
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE witnesses (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE services (name TEXT PRIMARY KEY, declaration TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE records (
  txn TEXT PRIMARY KEY, version INTEGER NOT NULL, base TEXT NOT NULL, state_text TEXT NOT NULL,
  decided INTEGER NOT NULL CHECK (decided IN (0, 1)));
CREATE UNIQUE INDEX one_decided_record ON records (version) WHERE decided = 1;
CREATE TABLE operations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, arguments TEXT NOT NULL, phase TEXT NOT NULL,
  started_s INTEGER NOT NULL, ended_s INTEGER, outcome TEXT,
  CHECK ((ended_s IS NULL) = (outcome IS NULL)));
CREATE INDEX unfinished_operations ON operations (id) WHERE ended_s IS NULL;
CREATE TABLE steps (
  operation INTEGER NOT NULL REFERENCES operations (id) ON DELETE CASCADE, sequence INTEGER NOT NULL,
  kind TEXT NOT NULL, detail TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0, result TEXT NOT NULL DEFAULT 'null',
  at_s INTEGER NOT NULL, PRIMARY KEY (operation, sequence)) WITHOUT ROWID;
CREATE TABLE endpoints (
  address TEXT NOT NULL, port INTEGER NOT NULL, instance TEXT NOT NULL, removed_in INTEGER,
  PRIMARY KEY (address, port)) WITHOUT ROWID;
)sql",
    R"sql(
CREATE TABLE nodes (name TEXT PRIMARY KEY, node TEXT NOT NULL, by TEXT NOT NULL, at_s INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE node_marks (node TEXT PRIMARY KEY, mark TEXT NOT NULL) WITHOUT ROWID;
)sql",
    R"sql(
CREATE TABLE queue (
  id INTEGER PRIMARY KEY AUTOINCREMENT, command TEXT NOT NULL, files TEXT NOT NULL, by TEXT NOT NULL,
  at_s INTEGER NOT NULL, failed TEXT);
)sql",
    ""};  // from here on every page has a digest: see checked_pages.hpp

constexpr std::int64_t kFirstWithDigests = 4;

Result<std::int64_t> number(Database& database, const char* sql) {
  K4T_ASSIGN(const auto values, database.rows(sql, [](const Row& row) { return row.integer(0); }));
  return values.empty() ? 0 : values.front();
}

Error damaged(const std::filesystem::path& file, std::string detail) {
  return {Status::fatal, file.string() + " is damaged: move it away and restore a metadata copy", std::move(detail)};
}

Result<void> check_whole(Database& database, const std::filesystem::path& file) {
  K4T_ASSIGN(const auto found, database.rows("PRAGMA quick_check(3)", [](const Row& row) { return row.text(0); }));
  if (found.size() == 1 && found.front() == "ok") return {};
  std::string detail;
  for (const auto& line : found) detail += line + "\n";
  return damaged(file, std::move(detail));
}

Result<void> migrate(Database& database, std::int64_t from) {
  std::string sql = "BEGIN IMMEDIATE;";
  for (std::size_t at = static_cast<std::size_t>(from); at < kMigrations.size(); ++at) sql += kMigrations[at];
  sql += "PRAGMA application_id = " + std::to_string(kApplicationId) + ";";
  sql += "PRAGMA user_version = " + std::to_string(kMigrations.size()) + ";COMMIT;";
  platform::step("before store schema");
  auto done = database.execute(sql);
  platform::step("after store schema");
  if (!done) static_cast<void>(database.execute("ROLLBACK"));
  return done;
}

}  // namespace

Result<bool> lacks_digests(Database& database) {
  K4T_ASSIGN(const auto application, number(database, "PRAGMA application_id"));
  K4T_ASSIGN(const auto version, number(database, "PRAGMA user_version"));
  return application == kApplicationId && version > 0 && version < kFirstWithDigests && !database.has_checked_pages();
}

Result<void> prepare_schema(Database& database, const std::filesystem::path& file, Mode mode) {
  K4T_TRY(check_whole(database, file));
  K4T_ASSIGN(const auto application, number(database, "PRAGMA application_id"));
  K4T_ASSIGN(const auto version, number(database, "PRAGMA user_version"));
  K4T_ASSIGN(const auto tables, number(database, "SELECT count(*) FROM sqlite_schema"));
  if (application != kApplicationId && (application != 0 || version != 0 || tables != 0)) {
    return Error{Status::fatal, file.string() + " belongs to another program: choose another state folder", {}};
  }
  const auto newest = static_cast<std::int64_t>(kMigrations.size());
  if (version < 0 || version > newest) {
    return Error{Status::unsupported,
                 file.string() + " was written by a newer k4t (schema " + std::to_string(version) +
                     ", this one knows " + std::to_string(newest) + "): use that k4t",
                 {}};
  }
  if (version >= kFirstWithDigests && !database.has_checked_pages()) {
    return damaged(file, "its header denies the digests of its pages");
  }
  if (version == newest) return {};
  if (mode == Mode::change) return migrate(database, version);
  if (version == 0) return Error{Status::not_found, file.string() + " holds nothing yet", {}};
  return Error{
      Status::unsupported,
      file.string() + " was written by an older k4t: any command that changes something " + "brings it up to date",
      {}};
}

}  // namespace k4t::store
