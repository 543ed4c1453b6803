#include "transfer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace k4t::docker {
namespace {

constexpr std::uint64_t progress_step_bytes = 1u << 20;

Error unreadable(const std::string& file) {
  return Error{Status::unavailable, "cannot read " + file + ": " + std::generic_category().message(errno), {}};
}

}  // namespace

Result<SegmentReader> SegmentReader::open(const std::string& file, std::vector<Segment> segments) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return unreadable(file);
  return SegmentReader(file, descriptor, std::move(segments));
}

SegmentReader::SegmentReader(std::string file, int descriptor, std::vector<Segment> segments)
    : file_(std::move(file)), descriptor_(descriptor), segments_(std::move(segments)) {}

SegmentReader::SegmentReader(SegmentReader&& other) noexcept
    : file_(std::move(other.file_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      segments_(std::move(other.segments_)),
      at_(other.at_),
      done_(other.done_) {}

SegmentReader::~SegmentReader() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::string> SegmentReader::next(std::size_t limit_bytes) {
  while (at_ < segments_.size()) {
    const auto* text = std::get_if<std::string>(&segments_[at_]);
    const std::uint64_t size = text != nullptr ? text->size() : std::get<runtime::Extent>(segments_[at_]).bytes;
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(limit_bytes, size - done_));
    if (part == 0) {
      ++at_;
      done_ = 0;
      continue;
    }
    const std::uint64_t from = std::exchange(done_, done_ + part);
    if (text != nullptr) return text->substr(from, part);
    return read(std::get<runtime::Extent>(segments_[at_]).offset_bytes + from, part);
  }
  return std::string();
}

Result<std::string> SegmentReader::read(std::uint64_t offset_bytes, std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t have = 0; have < size;) {
    const ssize_t got = ::pread(descriptor_, &bytes[have], size - have, static_cast<off_t>(offset_bytes + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unreadable(file_);
    if (got == 0) return Error{Status::invalid_argument, file_ + " is shorter than it was", {}};
    have += static_cast<std::size_t>(got);
  }
  return bytes;
}

ByteProgress::ByteProgress(Call& call, std::string step, std::uint64_t total)
    : call_(call), step_(std::move(step)), total_(total) {
  tell();
}

void ByteProgress::reach(std::uint64_t bytes) {
  done_ = bytes;
  if (done_ - told_ >= progress_step_bytes) tell();
}

void ByteProgress::tell() {
  told_ = done_;
  call_.progress({step_, "", std::min(done_, total_), total_, "bytes"});
}

}  // namespace k4t::docker
