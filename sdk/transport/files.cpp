#include "files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "errors.hpp"

namespace k4t::transport::files {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t largest_file_bytes = 256u << 20;
constexpr auto lock_patience = std::chrono::seconds(10);
constexpr auto lock_retry = std::chrono::milliseconds(2);
constexpr auto stale_after = std::chrono::hours(1);

Error failed(std::string_view verb, const std::string& path) {
  return system_error("cannot " + std::string(verb) + " " + path, errno);
}

std::string folder_of(const std::string& path) {
  const auto parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

Result<void> sync_folder(const std::string& path) {
  const Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.open() || ::fsync(folder.get()) != 0) return failed("make durable", path);
  return {};
}

Result<std::string> read_all(int fd, const std::string& path) {
  std::string bytes;
  for (char buffer[65536];;) {
    const auto got = ::read(fd, buffer, sizeof buffer);
    if (got == 0) return bytes;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", path);
    bytes.append(buffer, static_cast<std::size_t>(got));
    if (bytes.size() > largest_file_bytes) {
      return Error{Status::invalid_argument, "cannot read " + path + ": it is larger than 256 MiB", {}};
    }
  }
}

Result<void> write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const auto written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("write", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

/// A hidden file beside the target, so that no pattern such as *.conf takes it for content. Deleted unless renamed; the
/// one that a crash leaves behind means nothing to anybody.
class Temporary {
 public:
  explicit Temporary(const std::string& target)
      : name_((fs::path(folder_of(target)) / ("." + fs::path(target).filename().string() + ".k4t-XXXXXX")).string()),
        fd_(::mkostemp(name_.data(), O_CLOEXEC)) {}
  ~Temporary() {
    if (fd_.open() && !renamed_) ::unlink(name_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  [[nodiscard]] bool open() const { return fd_.open(); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool rename_to(const std::string& target) {
    renamed_ = ::rename(name_.c_str(), target.c_str()) == 0;
    return renamed_;
  }

 private:
  std::string name_;
  Fd fd_;
  bool renamed_ = false;
};

/// As Temporary names them.
bool is_temporary(std::string_view name) {
  constexpr std::string_view mark = ".k4t-XXXXXX";
  return name.size() > mark.size() && name.front() == '.' &&
         name.substr(name.size() - mark.size()).starts_with(mark.substr(0, 5));
}

/// Waits for the lock with an end, so that a stopped swapper cannot hold up its successors for ever.
Result<Fd> lock(const std::string& path, unsigned mode, const Limits& limits) {
  const std::string name = path + ".lock";
  const auto begun = Clock::now();
  Fd fd(::open(name.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, static_cast<mode_t>(mode)));
  if (!fd.open()) return failed("lock", name);
  for (;;) {
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
    if (errno != EWOULDBLOCK && errno != EINTR) return failed("lock", name);
    const auto waited = Clock::now() - begun;
    if (waited >= lock_patience) return Error{Status::busy, "somebody else holds the lock " + name, {}};
    if (waited >= limits.timeout || (limits.cancelled && limits.cancelled())) {
      return Error{Status::deadline, "no time was left to wait for the lock " + name, {}};
    }
    std::this_thread::sleep_for(lock_retry);
  }
}

/// A second name for a file that is about to lose its own. Made durable also where it is there already: whoever made it
/// may have died before.
Result<void> keep(const std::string& path, const std::string& name) {
  if (::link(path.c_str(), name.c_str()) != 0 && errno != EEXIST) return failed("keep the present content as", name);
  return sync_folder(folder_of(name));
}

/// Makes one folder, durably, when it is not there.
Result<void> make_one(const std::string& path, unsigned mode) {
  if (::mkdir(path.c_str(), static_cast<mode_t>(mode)) == 0) {
    if (::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0) return failed("set the mode of", path);
    return sync_folder(folder_of(path));
  }
  if (errno != EEXIST) return failed("make the folder", path);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return failed("look at", path);
  if (S_ISDIR(info.st_mode)) return {};
  return Error{Status::invalid_argument, "cannot make the folder " + path + ": something else has that name", {}};
}

}  // namespace

Result<std::string> read(const std::string& path) {
  K4T_TRY(check_path(path));
  // O_NONBLOCK: a named pipe must not hold us up before fstat tells what it is.
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.open()) return failed("read", path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return failed("read", path);
  if (!S_ISREG(info.st_mode)) {
    return Error{Status::invalid_argument, "cannot read " + path + ": it is not a regular file", {}};
  }
  return read_all(fd.get(), path);
}

Result<void> put(const std::string& path, std::string_view bytes, unsigned mode) {
  K4T_TRY(check_path(path));
  Temporary temporary(path);
  if (!temporary.open()) return failed("write", path);
  K4T_TRY(write_all(temporary.fd(), bytes, path));
  if (::fchmod(temporary.fd(), static_cast<mode_t>(mode)) != 0) return failed("set the mode of", path);
  // Content before name: after a power cut a renamed file whose content was not synced is empty.
  if (::fsync(temporary.fd()) != 0) return failed("write", path);
  if (!temporary.rename_to(path)) return failed("replace", path);
  return sync_folder(folder_of(path));
}

Result<void> swap(const std::string& path, const std::optional<std::string>& expected, std::string_view bytes,
                  unsigned mode, const Limits& limits, const std::string& keep_as) {
  K4T_TRY(check_path(path));
  if (!keep_as.empty()) K4T_TRY(check_path(keep_as));
  K4T_ASSIGN(const Fd held, lock(path, mode, limits));
  auto present = read(path);
  if (!present && present.status() != Status::not_found) return present.error();
  const std::optional<std::string> found = present ? std::optional(*std::move(present)) : std::nullopt;
  if (found != expected) {
    return Error{Status::conflict, path + (found ? " has another content than expected" : " is unexpectedly absent"),
                 found.value_or(std::string())};
  }
  if (found && !keep_as.empty()) K4T_TRY(keep(path, keep_as));
  return put(path, bytes, mode);
}

Result<void> make_folder(const std::string& path, unsigned mode) {
  K4T_TRY(check_path(path));
  std::error_code unknown;
  if (fs::is_directory(path, unknown)) return {};
  fs::path made;
  for (const auto& part : fs::path(path)) {
    made /= part;
    if (made == made.root_path() || part.empty()) continue;
    K4T_TRY(make_one(made.string(), mode));
  }
  return {};
}

Result<std::vector<std::string>> list(const std::string& path) {
  K4T_TRY(check_path(path));
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) return system_error("cannot list " + path, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> remove(const std::string& path) {
  K4T_TRY(check_path(path));
  if (::unlink(path.c_str()) == 0) return sync_folder(folder_of(path));
  if (errno == ENOENT || errno == ENOTDIR) return {};
  return failed("delete", path);
}

Result<void> sweep(const std::string& path) {
  K4T_ASSIGN(const auto names, list(path));
  for (const auto& name : names) {
    if (!is_temporary(name)) continue;
    const fs::path file = fs::path(path) / name;
    struct stat info {};
    if (::lstat(file.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    const auto changed = std::chrono::system_clock::from_time_t(info.st_mtime);
    // What another sweeper deletes first is gone as well.
    if (std::chrono::system_clock::now() - changed > stale_after) ::unlink(file.c_str());
  }
  return {};
}

}  // namespace k4t::transport::files
