#include "secret_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace k4t::dnsupdate {
namespace {

constexpr std::size_t limit_bytes = 65536;

Error invalid(std::string message) { return Error{Status::invalid_argument, std::move(message), {}}; }

}  // namespace

Result<std::string> read_secret_file(const std::string& path, const std::string& what) {
  const std::string name = "the " + what + " " + path;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return invalid(name + " cannot be opened; check the path and its permissions");
  struct stat found {};
  const bool regular = ::fstat(file, &found) == 0 && S_ISREG(found.st_mode);
  const bool closed_to_others = (found.st_mode & (S_IROTH | S_IWOTH)) == 0;
  const bool small = found.st_size <= static_cast<off_t>(limit_bytes);
  std::string text(limit_bytes, '\0');
  const auto got = regular && closed_to_others && small ? ::read(file, text.data(), text.size()) : 0;
  ::close(file);
  if (!regular) return invalid(name + " is not a regular file");
  if (!closed_to_others) {
    return invalid(name + " is open to every user of this machine; run: chmod o-rwx " + path);
  }
  if (!small) return invalid(name + " is larger than 64 KiB, so it is something else");
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

}  // namespace k4t::dnsupdate
