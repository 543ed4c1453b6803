#include "k4t/secret_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace k4t {
namespace {

constexpr std::size_t limit_bytes = 65536;
constexpr mode_t bits_of_others = S_IROTH | S_IWOTH;
constexpr mode_t bits_of_group = S_IRGRP | S_IWGRP;

Error invalid(std::string message) { return Error{Status::invalid_argument, std::move(message), {}}; }

Result<void> check_kind(const struct stat& found, const std::string& name, const std::string& path, Readers allowed) {
  if (!S_ISREG(found.st_mode)) return invalid(name + " is not a regular file");
  if ((found.st_mode & bits_of_others) != 0 && allowed == Readers::group) {
    return invalid(name + " is open to every user of this machine; run: chmod o-rwx " + path);
  }
  if ((found.st_mode & (bits_of_others | bits_of_group)) != 0 && allowed == Readers::nobody) {
    return invalid(name + " is open to others than its owner; run: chmod go-rwx " + path);
  }
  if (found.st_size > static_cast<off_t>(limit_bytes)) {
    return invalid(name + " is larger than 64 KiB, so it is something else");
  }
  return {};
}

}  // namespace

Result<std::string> read_secret_file(const std::string& path, const std::string& what, Readers allowed) {
  const std::string name = "the " + what + " " + path;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return invalid(name + " cannot be opened; check the path and its permissions");
  struct stat found {};
  auto fit = ::fstat(file, &found) == 0 ? check_kind(found, name, path, allowed) : invalid(name + " cannot be read");
  std::string text(limit_bytes, '\0');
  const auto got = fit ? ::read(file, text.data(), text.size()) : 0;
  ::close(file);
  if (!fit) return fit.error();
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

}  // namespace k4t
