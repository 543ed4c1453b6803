#include "store/store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "k4t/transport.hpp"
#include "platform/steps.hpp"
#include "store/checked_pages.hpp"
#include "store/schema.hpp"
#include "store/store_impl.hpp"

namespace k4t::store {
namespace {

Error system_error(const std::string& what, int number) {
  return {Status::unavailable, what + ": " + std::generic_category().message(number), {}};
}

// Made here and not by SQLite, so that nobody else could ever read it; its companions inherit the mode.
Result<void> make_file(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return system_error("cannot make " + file.string(), errno);
  ::close(descriptor);
  return {};
}

Result<std::optional<std::string>> meta(Database& database, const std::string& key) {
  K4T_ASSIGN(const auto found,
             database.rows(
                 "SELECT value FROM meta WHERE key = ?", [](const Row& row) { return row.text(0); }, key));
  return found.empty() ? std::optional<std::string>() : std::optional<std::string>(found.front());
}

Result<void> set_meta(Database& database, const std::string& key, const std::string& value) {
  return database.run("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key,
                      value);
}

/// Puts the same database with digests in the place of one from a time when pages had none, as a whole. Nothing is
/// written into the old one, which SQLite could not roll back through digests.
Result<void> give_digests(const std::filesystem::path& file, std::unique_ptr<Database>& database) {
  K4T_ASSIGN(const bool lacks, lacks_digests(*database));
  if (!lacks) return {};
  K4T_TRY(database->execute("PRAGMA wal_checkpoint(TRUNCATE);"));
  K4T_ASSIGN(const auto bytes, database->snapshot(""));
  database.reset();
  std::error_code ignored;
  const std::filesystem::path log = file.string() + "-wal";
  // A log that is left belongs to the old one, and would be played back into the new one.
  if (std::filesystem::exists(log, ignored) && std::filesystem::file_size(log, ignored) > 0) {
    return Error{Status::busy, file.string() + " is being read by another command: try again", {}};
  }
  std::filesystem::remove(log, ignored);
  platform::step("before store digests");
  K4T_TRY(transport::local_host()->put_file(file.string(), bytes, 0600));
  platform::step("after store digests");
  K4T_ASSIGN(database, Database::open(file));
  return {};
}

}  // namespace

Result<void> make_state_folder(const std::filesystem::path& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder.parent_path(), failed);
  if (failed) return system_error("cannot make the folder " + folder.parent_path().string(), failed.value());
  if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return system_error("cannot make the folder " + folder.string(), errno);
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& folder, const std::string& command, Mode mode) {
  auto impl = std::make_unique<Impl>();
  impl->file = folder / metadata_file;
  if (mode == Mode::change) {
    K4T_TRY(make_state_folder(folder));
    K4T_ASSIGN(impl->lock, FolderLock::acquire(lock_file(folder), command));
    K4T_TRY(make_file(impl->file));
    K4T_TRY(check_log(impl->file));
  } else if (::access(impl->file.c_str(), F_OK) != 0) {
    if (errno != ENOENT) return system_error("cannot reach " + impl->file.string(), errno);
    return Error{Status::not_found, "there is no metadata in " + folder.string() + " yet", {}};
  }
  K4T_ASSIGN(impl->database, Database::open(impl->file));
  if (mode == Mode::change) K4T_TRY(give_digests(impl->file, impl->database));
  K4T_TRY(impl->database->execute("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL;"));
  K4T_TRY(prepare_schema(*impl->database, impl->file, mode));
  if (mode == Mode::change) K4T_TRY(impl->database->execute("PRAGMA journal_mode = WAL;"));
  if (mode == Mode::read) K4T_TRY(impl->database->execute("PRAGMA query_only = ON;"));
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

std::filesystem::path Store::file() const { return impl_->file; }
bool Store::is_read_only() const { return impl_->lock == nullptr; }

Result<void> Store::atomically(const std::function<Result<void>()>& changes) {
  if (impl_->database->in_transaction()) return changes();
  K4T_TRY(impl_->database->execute("BEGIN IMMEDIATE"));
  auto done = changes();
  if (done) {
    platform::step("before store COMMIT");
    done = impl_->database->execute("COMMIT");
    platform::step("after store COMMIT");
  }
  // After some errors SQLite has rolled back by itself; then this one fails, and nothing is left to undo.
  if (!done) static_cast<void>(impl_->database->execute("ROLLBACK"));
  return done;
}

Result<void> Store::claim_for(const std::string& cluster_name) {
  K4T_ASSIGN(const auto present, cluster());
  if (!present) return set_meta(*impl_->database, "cluster", cluster_name);
  if (*present == cluster_name) return {};
  return Error{Status::conflict,
               impl_->file.string() + " belongs to the cluster '" + *present + "', not to '" + cluster_name +
                   "': give each cluster a state folder of its own",
               {}};
}

Result<std::optional<std::string>> Store::cluster() { return meta(*impl_->database, "cluster"); }

Result<std::optional<std::string>> Store::cluster_id() { return meta(*impl_->database, "cluster_id"); }
Result<void> Store::set_cluster_id(const std::string& id) { return set_meta(*impl_->database, "cluster_id", id); }

Result<std::string> Store::snapshot() {
  return impl_->database->snapshot("DELETE FROM meta WHERE key GLOB 'remembered.*'");
}

Result<void> Store::remember(const std::string& name, const Json& value) {
  return set_meta(*impl_->database, "remembered." + name, value.dump());
}

Result<std::optional<Json>> Store::recall(const std::string& name) {
  K4T_ASSIGN(const auto text, meta(*impl_->database, "remembered." + name));
  if (!text) return std::optional<Json>();
  Json value = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return Error{Status::fatal, file().string() + " holds a malformed '" + name + "'", {}};
  return std::optional<Json>(std::move(value));
}

Result<std::uint64_t> Store::highest_counter() {
  K4T_ASSIGN(const auto text, meta(*impl_->database, "counter"));
  return text ? read_json<std::uint64_t>(*text, impl_->file) : Result<std::uint64_t>(0);
}

Result<void> Store::raise_counter(std::uint64_t counter) {
  K4T_ASSIGN(const auto present, highest_counter());
  return counter <= present ? Result<void>() : set_meta(*impl_->database, "counter", std::to_string(counter));
}

Result<std::vector<std::string>> Store::initialised_witnesses() {
  return impl_->database->rows("SELECT id FROM witnesses ORDER BY id", [](const Row& row) { return row.text(0); });
}

Result<void> Store::add_initialised_witnesses(const std::vector<std::string>& ids) {
  for (const auto& id : ids) K4T_TRY(impl_->database->run("INSERT OR IGNORE INTO witnesses VALUES (?)", id));
  return {};
}

Result<std::vector<model::Service>> Store::services() {
  K4T_ASSIGN(const auto texts, impl_->database->rows("SELECT declaration FROM services ORDER BY name",
                                                     [](const Row& row) { return row.text(0); }));
  std::vector<model::Service> result;
  for (const auto& text : texts) {
    K4T_ASSIGN(auto service, read_json<model::Service>(text, impl_->file));
    result.push_back(std::move(service));
  }
  return result;
}

Result<void> Store::put_service(const model::Service& service) {
  return impl_->database->run(
      "INSERT INTO services VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET declaration = excluded.declaration",
      service.name, Json(service).dump());
}

Result<void> Store::remove_service(const std::string& name) {
  return impl_->database->run("DELETE FROM services WHERE name = ?", name);
}

Result<void> Store::replace_services(const std::vector<model::Service>& services) {
  return atomically([&]() -> Result<void> {
    K4T_TRY(impl_->database->run("DELETE FROM services"));
    for (const auto& service : services) K4T_TRY(put_service(service));
    return {};
  });
}

}  // namespace k4t::store
