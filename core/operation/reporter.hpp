#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "k4t/call.hpp"

/// What an operation tells while it works; the command line shows it.

namespace k4t::operation {

/// Something that happened to one thing. `subject` is "instance demo-web-a1b2c3 on n1", "gateway gw1", …; `state` one
/// word or two: "pulling", "starting", "healthy", "prepared", "committed", "draining", "removed", "failed", …
struct Happening {
  std::string subject;
  std::string state;
  std::string detail;  ///< why, how far, the evidence; may be empty
  std::uint64_t done = 0;
  std::uint64_t total = 0;  ///< 0: not known
};

/// Called from any thread; implementations lock.
class Reporter {
 public:
  virtual ~Reporter() = default;
  /// A new stage of the whole begins, e.g. "Start 3 instances".
  virtual void stage(const std::string& /*what*/) {}
  virtual void happening(const Happening& /*happening*/) {}
  virtual void warning(const std::string& /*text*/) {}
  virtual void log(LogLevel /*level*/, const std::string& /*text*/) {}
};

}  // namespace k4t::operation
