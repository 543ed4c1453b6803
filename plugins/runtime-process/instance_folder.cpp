#include "instance_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace k4t::process {
namespace {

constexpr std::int32_t kKilled = 128 + 9;

/// Open file description locks: a child that inherits the descriptor holds them too, and they can be asked about.
struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

}  // namespace

StatusFile judge(std::optional<StatusFile> status, bool supervised, const std::string& boot) {
  using runtime::Phase;
  if (!status) return {};
  const bool lives = status->phase == Phase::running || status->phase == Phase::restarting;
  if (supervised || status->phase == Phase::exited || (status->phase == Phase::created && status->boot.empty())) {
    return *std::move(status);
  }
  status->detail = status->boot != boot ? "the machine was restarted" : "its supervisor was killed, and it with it";
  if (lives) status->exit_code = kKilled;
  status->phase = Phase::exited;
  status->pid = 0;
  return *std::move(status);
}

Result<StatusFile> parse_status(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Error{Status::invalid_argument, "the status is not JSON", text.substr(0, 200)};
  return decode<StatusFile>(json);
}

Result<Launch> InstanceFolder::launch() const {
  auto text = read_file(spec_file());
  if (!text) {
    struct stat found {};
    if (text.status() == Status::not_found && ::stat(path_.c_str(), &found) != 0 && errno == ENOENT) {
      return Error{Status::not_found, "there is no instance at " + path_, {}};
    }
    return Error{Status::unavailable, text.error().message, {}};
  }
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  auto launch = decode<Launch>(json);
  if (json.is_object() && launch && !launch->argv.empty()) return launch;
  return Error{Status::unavailable,
               spec_file() + " is damaged: end what its lock's holder runs, then delete the folder",
               launch ? "" : launch.error().message};
}

Result<StatusFile> InstanceFolder::status() const {
  // The lock is looked at first: a status read after the lock was seen free is its last one.
  K4T_ASSIGN(const bool locked, is_locked());
  const auto text = read_file(status_file());
  if (!text && text.status() != Status::not_found) return text.error();
  if (!text) return judge(std::nullopt, locked, boot_id());
  auto status = parse_status(*text);
  if (status) {
    // Where the supervisor is dead, the lock tells only that its keeper is still cleaning up.
    const bool supervised = process_start_ticks(status->supervisor) == status->supervisor_start_ticks;
    return judge(*std::move(status), locked && supervised, boot_id());
  }
  StatusFile unreadable;
  unreadable.phase = locked ? runtime::Phase::unknown : runtime::Phase::exited;
  unreadable.detail = "its last status is unreadable";
  return unreadable;
}

Result<bool> InstanceFolder::is_locked() const {
  const Descriptor file(::open(lock_file().c_str(), O_RDWR | O_CLOEXEC));
  if (!file.valid() && errno == ENOENT) return false;
  struct flock asked = whole_file();
  if (!file.valid() || ::fcntl(file.get(), F_OFD_GETLK, &asked) != 0) {
    return Error{Status::unavailable, system_error("cannot look at " + lock_file()).message, {}};
  }
  return asked.l_type != F_UNLCK;
}

Result<Descriptor> InstanceFolder::lock() const {
  Descriptor file(::open(lock_file().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file.valid()) return system_error("cannot open " + lock_file());
  struct flock wanted = whole_file();
  if (::fcntl(file.get(), F_OFD_SETLK, &wanted) == 0) return file;
  if (errno == EAGAIN || errno == EACCES) return Error{Status::conflict, "it is being supervised already", {}};
  return system_error("cannot lock " + lock_file());
}

bool InstanceFolder::stop_wanted() const { return ::access(stop_file().c_str(), F_OK) == 0; }

}  // namespace k4t::process
