#include "config/source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "config/message_ids.hpp"

namespace k4t::config {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

std::string reason(int number) { return std::generic_category().message(number); }

Diagnostic whole_file(const std::string& path, std::string_view id, std::string cause, std::string remedy) {
  return {Severity::error, path, 0, 0, std::move(cause), std::move(remedy), std::string(id)};
}

Diagnostic open_failed(const std::string& path, int number) {
  if (number == ENOENT) {
    return whole_file(path, id::missing_file, "there is no such file", "check the path, or create the file");
  }
  return whole_file(path, id::unreadable_file, "it cannot be opened: " + reason(number),
                    "make it readable for the user who runs k4t");
}

/// Everything up to one byte beyond the limit, so that a file that grows while it is read is noticed.
std::optional<std::string> read_up_to_limit(int descriptor, int& error_number) {
  std::string text(file_limit_bytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const auto got = ::read(descriptor, text.data() + size, text.size() - size);
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      error_number = errno;
      return std::nullopt;
    }
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

bool check_kind(const std::string& path, const struct stat& status, std::vector<Diagnostic>& diagnostics) {
  if (S_ISDIR(status.st_mode)) {
    diagnostics.push_back(whole_file(path, id::not_a_file, "it is a folder", "name the files in it one by one"));
  } else if (!S_ISREG(status.st_mode)) {
    diagnostics.push_back(whole_file(path, id::not_a_file, "it is not a regular file", "name a regular file"));
  }
  return S_ISREG(status.st_mode);
}

}  // namespace

bool check_size(const std::string& file, std::size_t bytes, std::vector<Diagnostic>& diagnostics) {
  if (bytes <= file_limit_bytes) return true;
  diagnostics.push_back(whole_file(file, id::file_too_large, "it is larger than 1 MiB", "split it into several files"));
  return false;
}

std::optional<std::string> read_source(const std::string& path, std::vector<Diagnostic>& diagnostics) {
  // Without blocking: a named pipe without a writer must not hang the program.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) {
    diagnostics.push_back(open_failed(path, errno));
    return std::nullopt;
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    diagnostics.push_back(open_failed(path, errno));
    return std::nullopt;
  }
  if (!check_kind(path, status, diagnostics)) return std::nullopt;
  int error_number = 0;
  auto text = read_up_to_limit(file.get(), error_number);
  if (!text) {
    diagnostics.push_back(whole_file(path, id::unreadable_file, "it cannot be read: " + reason(error_number),
                                     "check the disk and the file system"));
    return std::nullopt;
  }
  if (!check_size(path, text->size(), diagnostics)) return std::nullopt;
  if ((status.st_mode & S_IWOTH) != 0) {
    Diagnostic warning =
        whole_file(path, id::writable_by_all, "anybody on this machine may write it", "run chmod o-w on it");
    warning.severity = Severity::warning;
    diagnostics.push_back(std::move(warning));
  }
  return text;
}

}  // namespace k4t::config
