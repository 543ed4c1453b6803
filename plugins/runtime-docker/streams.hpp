#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "k4t/call.hpp"
#include "k4t/result.hpp"
#include "registries.hpp"

/// The Engine API's two stream formats. Pure; fed with pieces of any size, as they arrive.

namespace k4t::docker {

/// Standard output and error in one stream: frames of 8 bytes (channel, three zeros, length in big endian) and as many
/// bytes of payload as the length says (Engine API, "Attach to a container"). Payload is passed on as it arrives.
class FrameSplitter {
 public:
  /// Returns false when no more is wanted.
  using Sink = std::function<bool(Channel, std::string_view)>;

  /// False: the sink wants no more, or the stream is malformed (see `malformed`).
  bool feed(std::string_view bytes, const Sink& sink);
  [[nodiscard]] bool malformed() const { return malformed_; }

 private:
  bool read_header();

  std::string header_;
  std::uint32_t left_bytes_ = 0;  ///< of the present frame
  Channel channel_ = Channel::out;
  bool malformed_ = false;
};

/// The progress of a pull or a load: one JSON object per line. The HTTP status is 200 even where it fails, so the error
/// is the last of the lines.
class ProgressReader {
 public:
  /// `step`: what the progress is of, see k4t::Progress.
  explicit ProgressReader(std::string step) : step_(std::move(step)) {}
  void feed(std::string_view bytes, const std::function<void(const Progress&)>& report);
  /// What went wrong, as the engine says it.
  [[nodiscard]] const std::optional<std::string>& failure() const { return failure_; }

 private:
  void take_line(const std::string& line, const std::function<void(const Progress&)>& report);

  const std::string step_;
  std::string line_;
  std::optional<std::string> failure_;
};

/// What a refused pull means. NOT_FOUND: the registry has answered that there is no such image. INVALID_ARGUMENT: the
/// registry wants a login, or another one than `login` (nullptr: it was given none). UNAVAILABLE: no registry answered,
/// so nothing is known.
Error pull_error(const std::string& image, int http_status, const std::string& refusal, const Login* login);

}  // namespace k4t::docker
