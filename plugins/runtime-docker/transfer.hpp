#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "k4t/call.hpp"
#include "load_archive.hpp"

/// Images on their way from a file of this machine to an engine.

namespace k4t::docker {

/// Gives what segments say piece by piece, from the file as far as they are parts of it.
class SegmentReader {
 public:
  /// UNAVAILABLE: the file cannot be read.
  static Result<SegmentReader> open(const std::string& file, std::vector<Segment> segments);
  SegmentReader(SegmentReader&& other) noexcept;
  SegmentReader& operator=(SegmentReader&&) = delete;
  ~SegmentReader();

  /// At most so many bytes; empty: that was all. INVALID_ARGUMENT: the file is shorter than the segments say.
  Result<std::string> next(std::size_t limit_bytes);

 private:
  SegmentReader(std::string file, int descriptor, std::vector<Segment> segments);
  Result<std::string> read(std::uint64_t offset_bytes, std::size_t size);

  std::string file_;
  int descriptor_;
  std::vector<Segment> segments_;
  std::size_t at_ = 0;
  std::uint64_t done_ = 0;  ///< of segment `at_`
};

/// Tells now and then how far a transfer has come.
class ByteProgress {
 public:
  /// `total` 0: not known.
  ByteProgress(Call& call, std::string step, std::uint64_t total);
  void add(std::uint64_t bytes) { reach(done_ + bytes); }
  void reach(std::uint64_t bytes);

 private:
  void tell();

  Call& call_;
  const std::string step_;
  const std::uint64_t total_;
  std::uint64_t done_ = 0;
  std::uint64_t told_ = 0;
};

}  // namespace k4t::docker
