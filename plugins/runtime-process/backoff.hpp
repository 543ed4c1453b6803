#pragma once

#include <algorithm>
#include <chrono>

namespace k4t::process {

/// How long a supervisor waits before it starts an instance again: 0.1 s, doubling up to 30 s. A life that lasted at
/// least kStableLife was a success, after which the waits begin anew. Pure.
class Backoff {
 public:
  static constexpr std::chrono::milliseconds kFirst{100};
  static constexpr std::chrono::milliseconds kLast{30'000};
  static constexpr std::chrono::milliseconds kStableLife{10'000};

  /// The wait after a life that lasted `life`.
  std::chrono::milliseconds next(std::chrono::milliseconds life) {
    if (life >= kStableLife) wait_ = kFirst;
    const auto wait = wait_;
    wait_ = std::min(wait_ * 2, kLast);
    return wait;
  }

 private:
  std::chrono::milliseconds wait_ = kFirst;
};

}  // namespace k4t::process
