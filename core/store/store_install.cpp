#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "k4t/transport.hpp"
#include "platform/steps.hpp"
#include "store/store_impl.hpp"

/// A copy takes the place of a store.

namespace k4t::store {
namespace {

Error cannot(const std::string& what, const std::filesystem::path& file) {
  return {
      Status::unavailable, "cannot " + what + " " + file.string() + ": " + std::generic_category().message(errno), {}};
}

/// SQLite's companions of a database: what is in them belongs to that file and to no other.
constexpr std::array<const char*, 3> companions{"", "-wal", "-shm"};

/// Moves the store's files aside; returns the database's new name, empty: there was none.
Result<std::string> move_aside(const std::filesystem::path& file, Seconds now_s) {
  const std::string aside = file.string() + ".replaced-" + std::to_string(now_s);
  std::string kept;
  // The database goes first: without it its companions mean nothing, without them it would be an older one.
  for (const char* companion : companions) {
    const std::string from = file.string() + companion;
    if (::rename(from.c_str(), (aside + companion).c_str()) == 0) {
      if (*companion == '\0') kept = aside;
    } else if (errno != ENOENT) {
      return cannot("move aside", from);
    }
  }
  return kept;
}

/// Brings all of a store that is in order into its first file, so that moving that one aside moves all of it.
void gather(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return;
  if (auto database = Database::open(file)) {
    static_cast<void>((*database)->execute("PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE);"));
  }
}

Result<void> sync_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const auto error = cannot("sync", folder);
  if (descriptor >= 0) ::close(descriptor);
  return synced ? Result<void>() : error;
}

}  // namespace

Result<std::string> Store::install(const std::filesystem::path& folder, const std::string& snapshot, Seconds now_s,
                                   const std::function<Result<void>(Store&)>& prepare) {
  K4T_TRY(make_state_folder(folder));
  K4T_ASSIGN(const auto lock, FolderLock::acquire(lock_file(folder), "restore"));
  const auto file = folder / metadata_file;
  const auto incoming = folder / "incoming";
  std::error_code failed;
  std::filesystem::remove_all(incoming, failed);  // of one that was killed
  K4T_TRY(make_state_folder(incoming));
  K4T_TRY(transport::local_host()->put_file((incoming / metadata_file).string(), snapshot, 0600));
  {
    K4T_ASSIGN(const auto made, open(incoming, "restore"));
    if (prepare) K4T_TRY(prepare(*made));
  }
  gather(file);
  platform::step("before store is moved aside");
  K4T_ASSIGN(const auto kept, move_aside(file, now_s));
  platform::step("before store is installed");
  if (::rename((incoming / metadata_file).c_str(), file.c_str()) != 0) return cannot("put in place", file);
  K4T_TRY(sync_folder(folder));
  platform::step("after store is installed");
  std::filesystem::remove_all(incoming, failed);
  return kept;
}

}  // namespace k4t::store
