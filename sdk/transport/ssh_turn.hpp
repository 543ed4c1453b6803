#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

namespace k4t::transport {

class Turn;

/// A bounded number of turns, which go to those that wait for one in the order in which they arrived. Outlives its
/// Turns. Thread-safe.
class Turns {
 public:
  explicit Turns(std::size_t at_once) : free_(at_once) {}
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

 private:
  friend class Turn;

  std::mutex mutex_;
  std::size_t free_;                        ///< guarded by mutex_; none while somebody waits
  std::uint64_t arrived_ = 0;               ///< guarded by mutex_
  std::map<std::uint64_t, Turn*> waiting_;  ///< guarded by mutex_; by place in the order of arrival
};

/// One place in the order of arrival, taken with the first take() and kept: who gave a turn back and wants it again
/// goes before all that came later. Used by one thread. The destructor gives back.
class Turn {
 public:
  /// `wake`: an eventfd that is written to when the turn has come.
  Turn(Turns& turns, int wake) : turns_(turns), wake_(wake) {}
  ~Turn() { give_back(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  /// True: it is this one's turn until give_back(). False: to be asked again after `wake` was written to.
  bool take();
  /// Stops waiting too.
  void give_back();

 private:
  Turns& turns_;
  const int wake_;
  std::uint64_t place_ = 0;  ///< 0: not arrived yet
  bool held_ = false;        ///< guarded by turns_.mutex_
};

/// Adds up how long something lasted, also while it lasts. Thread-safe.
class Stopwatch {
 public:
  using Clock = std::chrono::steady_clock;

  /// Runs it until the end of the scope. REQUIRES: it does not run.
  class Run {
   public:
    explicit Run(Stopwatch& watch) : watch_(watch) { watch_.start(); }
    ~Run() { watch_.stop(); }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

   private:
    Stopwatch& watch_;
  };

  [[nodiscard]] Clock::duration total() const;

 private:
  void start();
  void stop();

  mutable std::mutex mutex_;
  std::optional<Clock::time_point> since_;  ///< guarded by mutex_
  Clock::duration before_{};                ///< guarded by mutex_
};

/// The turns at the processor-heavy part of connecting: key exchange and authentication. Without them hundreds of
/// connections that begin at once would each take so long that servers which are well seem silent. They are those of
/// the library that this code is linked into: each driver has its own, as it has its own connections, so that drivers
/// together can have more handshakes under way than one. A forked process has turns of its own.
Turns& handshake_turns();

}  // namespace k4t::transport
