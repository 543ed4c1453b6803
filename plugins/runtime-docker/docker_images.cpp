#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "docker_driver.hpp"
#include "load_archive.hpp"
#include "render.hpp"
#include "streams.hpp"

/// Images without a registry: what is there, out of the engine, into it.

namespace k4t::docker {
namespace {

constexpr std::uint64_t progress_step_bytes = 1u << 20;

/// Gives what segments say piece by piece, from the file as far as they are parts of it.
class SegmentReader {
 public:
  static Result<SegmentReader> open(const std::string& file, std::vector<Segment> segments) {
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return unreadable(file);
    return SegmentReader(file, descriptor, std::move(segments));
  }
  SegmentReader(SegmentReader&& other) noexcept
      : file_(std::move(other.file_)),
        descriptor_(std::exchange(other.descriptor_, -1)),
        segments_(std::move(other.segments_)) {}
  SegmentReader& operator=(SegmentReader&&) = delete;
  ~SegmentReader() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  Result<std::string> next(std::size_t limit_bytes) {
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

 private:
  SegmentReader(std::string file, int descriptor, std::vector<Segment> segments)
      : file_(std::move(file)), descriptor_(descriptor), segments_(std::move(segments)) {}

  static Error unreadable(const std::string& file) {
    return Error{Status::unavailable, "cannot read " + file + ": " + std::generic_category().message(errno), {}};
  }

  Result<std::string> read(std::uint64_t offset_bytes, std::size_t size) {
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

  std::string file_;
  int descriptor_;
  std::vector<Segment> segments_;
  std::size_t at_ = 0;
  std::uint64_t done_ = 0;  ///< of segment `at_`
};

/// Tells now and then how far a transfer has come.
class ByteProgress {
 public:
  ByteProgress(Call& call, std::string step, std::uint64_t total) : call_(call), step_(std::move(step)), total_(total) {
    tell();
  }
  void add(std::size_t bytes) {
    done_ += bytes;
    if (done_ - told_ >= progress_step_bytes) tell();
  }

 private:
  void tell() {
    told_ = done_;
    call_.progress({step_, "", std::min(done_, total_), total_, "bytes"});
  }

  Call& call_;
  const std::string step_;
  const std::uint64_t total_;
  std::uint64_t done_ = 0;
  std::uint64_t told_ = 0;
};

}  // namespace

Result<runtime::ImagesReply> DockerDriver::list_images(const runtime::ImagesRequest& request, Call& call) {
  K4T_ASSIGN(const Json found, engine_.get("/images/json", call));
  if (!found.is_array()) return Error{Status::unavailable, "the Docker Engine's answer is not understood", {}};
  runtime::ImagesReply reply;
  for (const Json& summary : found) {
    Json inspected;
    if (request.layers) {
      const auto id = text_of(summary, "Id");
      K4T_ASSIGN(auto answer, engine_.send("GET", "/images/" + http::percent_encode(id) + "/json", nullptr, call));
      if (answer.status == 404) continue;  // removed since the list was made
      if (answer.status != 200) return Engine::refusal("cannot look at image " + id, answer);
      inspected = std::move(answer.body);
    }
    K4T_ASSIGN(auto image, image_of(summary, inspected));
    reply.images.push_back(std::move(image));
  }
  std::sort(reply.images.begin(), reply.images.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return reply;
}

Result<Nothing> DockerDriver::save_images(const runtime::SaveRequest& request, Call& call) {
  std::string query;
  std::uint64_t total = 0;  // about, because images share layers
  for (const auto& image : request.images) {
    K4T_TRY(parse_image(image));
    // An export of several does not say which one is missing.
    const auto present = inspect_image(image, call);
    if (present.status() == Status::not_found) {
      return Error{Status::not_found, "image " + image + " is not on the Docker Engine at " + options_.where, {}};
    }
    if (!present) return present.error();
    K4T_ASSIGN(const auto known, image_of(*present, nullptr));
    total += known.size_bytes;
    query += (query.empty() ? "?names=" : "&names=") + http::percent_encode(image);
  }
  ByteProgress progress(call, "fetching", total);
  const auto pass_on = [&](std::string_view bytes) {
    progress.add(bytes.size());
    return call.stream(Channel::out, bytes);
  };
  K4T_ASSIGN(const auto answer, engine_.send("GET", "/images/get" + query, nullptr, call, pass_on));
  if (answer.status != 200) return Engine::refusal("cannot save images", answer);
  return Nothing{};
}

Result<runtime::LoadReply> DockerDriver::load_image(const runtime::LoadRequest& request, Call& call) {
  K4T_ASSIGN(auto segments, load_archive(request));
  const std::uint64_t total = size_bytes(segments);
  K4T_ASSIGN(auto reader, SegmentReader::open(request.file, std::move(segments)));
  ByteProgress progress(call, "sending", total);
  const auto next = [&](std::size_t limit_bytes) {
    auto piece = reader.next(limit_bytes);
    if (piece) progress.add(piece->size());
    return piece;
  };
  ProgressReader said("loading");
  const auto on_bytes = [&](std::string_view bytes) {
    said.feed(bytes, [&](const Progress& one) { call.progress(one); });
    return true;
  };
  K4T_ASSIGN(const auto answer, engine_.load({total, next}, call, on_bytes));
  if (answer.status != 200) return load_error(request, answer.message());
  if (said.failure()) return load_error(request, *said.failure());
  return runtime::LoadReply{total};
}

}  // namespace k4t::docker
