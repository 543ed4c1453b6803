#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <system_error>

namespace k4t::process {
namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

void Descriptor::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_error("cannot make a pipe");
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

Error system_error(const std::string& what) {
  const int error = errno;
  return Error{error == ENOENT ? Status::not_found : Status::unavailable,
               what + ": " + std::generic_category().message(error),
               {}};
}

Result<std::string> read_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return system_error("cannot read " + path);
  std::string text;
  for (char bytes[16384];;) {
    const auto got = ::read(file.get(), bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("cannot read " + path);
    if (got == 0) return text;
    text.append(bytes, static_cast<std::size_t>(got));
  }
}

Result<void> replace_file(const std::string& path, std::string_view text, Durability durability) {
  const std::string fresh = path + ".new";
  {
    const Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.valid() || !write_all(file.get(), text)) return system_error("cannot write " + fresh);
    if (durability == Durability::power && ::fsync(file.get()) != 0) return system_error("cannot sync " + fresh);
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return system_error("cannot replace " + path);
  return durability == Durability::power ? sync_folder(folder_of(path)) : Result<void>();
}

Result<void> sync_folder(const std::string& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || ::fsync(folder.get()) != 0) return system_error("cannot sync " + path);
  return {};
}

Result<void> delete_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("cannot delete " + path);
  return sync_folder(folder_of(path));
}

Result<void> write_kernel_file(const std::string& path, std::string_view text) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid() || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return system_error("cannot write " + path);
  }
  return {};
}

std::string boot_id() {
  const auto text = read_file("/proc/sys/kernel/random/boot_id");
  return text ? text->substr(0, text->find('\n')) : std::string();
}

unsigned long long process_start_ticks(int pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/stat");
  if (!text) return 0;
  // The second field, the name in parentheses, may hold anything; the start time is field 22 (proc(5)).
  std::istringstream fields(text->substr(text->rfind(')') + 1));
  std::string state;
  std::string skipped;
  fields >> state;
  if (state == "Z" || state == "X") return 0;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  unsigned long long ticks = 0;
  fields >> ticks;
  return ticks;
}

}  // namespace k4t::process
