#include "plugin/file_check.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/messages.hpp"

namespace k4t::plugin {
namespace {

namespace fs = std::filesystem;

Error unreadable(const fs::path& file, int error) {
  if (error == ENOENT || error == ENOTDIR) {
    return file_error(Status::not_found, id::missing, file, "does not exist",
                      "Check the path and [plugins] folders in k4t.toml");
  }
  return file_error(Status::unavailable, id::unreadable, file, "cannot be read",
                    "Give the user that runs k4t the right to read it and to enter its folders",
                    std::generic_category().message(error));
}

Result<void> check_owner(const fs::path& plugin, const fs::path& what, const struct stat& status) {
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return file_error(Status::invalid_argument, id::not_private, plugin,
                      "could have been put there by somebody else: '" + what.string() + "' belongs to user " +
                          std::to_string(status.st_uid),
                      "chown it to root or to the user that runs k4t");
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return file_error(Status::invalid_argument, id::not_private, plugin,
                      "could have been changed by others: '" + what.string() + "' is writable by group or others",
                      "chmod go-w " + what.string());
  }
  return {};
}

Result<void> check_folder(const fs::path& plugin) {
  struct stat status {};
  const fs::path folder = plugin.parent_path();
  if (::stat(folder.c_str(), &status) != 0) return unreadable(plugin, errno);
  return check_owner(plugin, folder, status);
}

/// Looks at the opened file, so that what is judged is what is read.
Result<void> check_opened(const fs::path& plugin, int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return unreadable(plugin, errno);
  if (!S_ISREG(status.st_mode)) {
    return file_error(Status::invalid_argument, id::not_regular, plugin, "is not a regular file",
                      "Remove it from the folder of plugins");
  }
  K4T_TRY(check_owner(plugin, plugin, status));
  std::array<char, 4> magic{};
  const ssize_t got = ::read(fd, magic.data(), magic.size());
  if (got < 0) return unreadable(plugin, errno);
  if (std::string_view(magic.data(), static_cast<std::size_t>(got)) != "\177ELF") {
    return file_error(Status::invalid_argument, id::not_a_library, plugin, "is not a shared library",
                      "Install the plugin again; a copy or download may have been cut short");
  }
  return {};
}

}  // namespace

Result<fs::path> check_file(const fs::path& file) {
  std::error_code error;
  fs::path resolved = fs::canonical(file, error);
  if (error) return unreadable(file, error.value());
  // O_NONBLOCK: a named pipe must not hang us before it is seen to be none of ours.
  const int fd = ::open(resolved.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return unreadable(resolved, errno);
  Result<void> checked = check_opened(resolved, fd);
  ::close(fd);
  K4T_TRY(checked);
  K4T_TRY(check_folder(resolved));
  return resolved;
}

Result<std::vector<fs::path>> list_folder(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".so") files.push_back(it->path());
  }
  if (!error) {
    std::sort(files.begin(), files.end());
    return files;
  }
  const bool absent = error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory;
  return Error{absent ? Status::not_found : Status::unavailable,
               std::string(absent ? id::missing : id::unreadable) + ": the folder of plugins '" + folder.string() +
                   (absent ? "' does not exist" : "' cannot be read") + ". Correct [plugins] folders in k4t.toml.",
               error.message()};
}

}  // namespace k4t::plugin
