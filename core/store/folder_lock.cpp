#include "store/folder_lock.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <system_error>
#include <vector>

#include "k4t/json.hpp"

namespace k4t::store {
namespace {

struct Holder {
  std::int64_t pid = 0;
  std::string user;
  std::string command;
  std::string started;
};
K4T_JSON(Holder, pid, user, command, started)

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), size};
}

std::string user_name() {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  const uid_t user = ::geteuid();
  if (::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return std::to_string(user);
  }
  return found->pw_name;
}

std::string read_all(int descriptor) {
  std::array<char, 4096> buffer{};
  const ssize_t size = ::pread(descriptor, buffer.data(), buffer.size(), 0);
  return size <= 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(size));
}

Error busy(int descriptor, const std::filesystem::path& file) {
  const std::string text = read_all(descriptor);
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto holder = json.is_object() ? decode<Holder>(json) : Result<Holder>(Holder{});
  std::string who;
  if (holder && holder->pid != 0) {
    who = " (pid " + std::to_string(holder->pid) + ", user " + holder->user + ", started " + holder->started + ", " +
          holder->command + ")";
  }
  return {
      Status::busy, "another k4t" + who + " is at work in " + file.parent_path().string() + ": wait for its end", {}};
}

Error system_error(const std::filesystem::path& file, int number) {
  return {Status::unavailable, "cannot lock " + file.string() + ": " + std::generic_category().message(number), {}};
}

/// For people only: a lock that cannot say who holds it is still a lock, so failures are left alone.
void introduce(int descriptor, const std::string& command) {
  const std::string text = Json(Holder{::getpid(), user_name(), command, utc_now()}).dump() + "\n";
  if (::ftruncate(descriptor, 0) != 0) return;
  [[maybe_unused]] const ssize_t written = ::pwrite(descriptor, text.data(), text.size(), 0);
}

}  // namespace

Result<std::unique_ptr<FolderLock>> FolderLock::acquire(const std::filesystem::path& file, const std::string& command) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return system_error(file, errno);
  std::unique_ptr<FolderLock> lock(new FolderLock(descriptor));
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    return errno == EWOULDBLOCK ? busy(descriptor, file) : system_error(file, errno);
  }
  introduce(descriptor, command);
  return lock;
}

FolderLock::~FolderLock() { ::close(descriptor_); }

}  // namespace k4t::store
