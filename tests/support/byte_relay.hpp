#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <list>
#include <mutex>
#include <thread>

#include "support/process.hpp"

namespace k4t::testing {

/// A unix socket that leads to another one, and counts what goes through: so that a test sees what was really sent.
class ByteRelay {
 public:
  /// Throws std::runtime_error where it cannot listen.
  explicit ByteRelay(std::filesystem::path to);
  ~ByteRelay();
  ByteRelay(const ByteRelay&) = delete;
  ByteRelay& operator=(const ByteRelay&) = delete;

  [[nodiscard]] std::filesystem::path socket() const { return scratch_.path() / "relay.sock"; }
  /// Bytes from clients to the server, since the last call.
  std::uint64_t take_sent() { return sent_.exchange(0); }

 private:
  void accept_all();
  void pass(int from, int to, bool count);

  Scratch scratch_;
  const std::filesystem::path to_;
  int listener_ = -1;
  std::atomic<std::uint64_t> sent_ = 0;
  std::mutex mutex_;
  std::list<int> open_;             ///< guarded by mutex_
  std::list<std::thread> threads_;  ///< of the acceptor alone
  std::thread acceptor_;
};

}  // namespace k4t::testing
