#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/process.hpp"

/// Clients that go on asking while a test does something else.

namespace k4t::testing {

/// Asks again and again from its construction to its end, one question at a time.
class Traffic {
 public:
  /// An empty string: the answer was good; else what was wrong with it.
  using Ask = std::function<std::string()>;

  explicit Traffic(Ask ask) : ask_(std::move(ask)), thread_([this] { go_on(); }) {}
  ~Traffic() { end(); }
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  void end() {
    ending_ = true;
    if (thread_.joinable()) thread_.join();
  }
  /// Goes on until it has asked so many times, and ends: on a fast machine what it watches can be over sooner. False:
  /// it did not come to that within half a minute.
  bool end_after(unsigned questions) {
    const bool enough = eventually([&] { return asked_ >= questions; }, std::chrono::seconds(30));
    end();
    return enough;
  }
  [[nodiscard]] unsigned asked() const { return asked_; }
  [[nodiscard]] unsigned failed() const { return failed_; }
  [[nodiscard]] std::string first_failure() const {
    const std::scoped_lock lock(mutex_);
    return first_failure_;
  }

 private:
  void go_on() {
    while (!ending_) {
      const std::string wrong = ask_();
      ++asked_;
      if (!wrong.empty() && ++failed_ == 1) {
        const std::scoped_lock lock(mutex_);
        first_failure_ = wrong;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  Ask ask_;
  std::atomic<bool> ending_ = false;
  std::atomic<unsigned> asked_ = 0;
  std::atomic<unsigned> failed_ = 0;
  mutable std::mutex mutex_;
  std::string first_failure_;
  std::thread thread_;  // last: it uses all of the above
};

using Clients = std::vector<std::unique_ptr<Traffic>>;

/// Ends the client once it has asked more than ten times; empty: it had only good answers.
inline std::string disturbance(Traffic& client) {
  if (client.end_after(11) && client.failed() == 0) return {};
  return std::to_string(client.failed()) + " of " + std::to_string(client.asked()) + ": " + client.first_failure() +
         "\n";
}
inline std::string disturbance(const Clients& clients) {
  std::string all;
  for (const auto& client : clients) all += disturbance(*client);
  return all;
}

}  // namespace k4t::testing
