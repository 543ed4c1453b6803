#pragma once

#include <string>

#include "operation/environment.hpp"

namespace k4t::operation {

/// Passes a driver's messages on under one subject.
class Telling : public CallSink {
 public:
  Telling(const Environment& environment, std::string subject)
      : environment_(environment), subject_(std::move(subject)) {}

  void tell(const std::string& state, const std::string& detail = {}) const {
    environment_.reporter.happening({subject_, state, detail, 0, 0});
  }
  bool cancelled() override { return environment_.interrupted; }
  void log(LogLevel level, std::string_view text) override {
    environment_.reporter.log(level, subject_ + ": " + std::string(text));
  }
  void progress(const Progress& progress) override {
    environment_.reporter.happening({subject_, progress.step, progress.text, progress.done, progress.total});
  }

 private:
  const Environment& environment_;
  std::string subject_;
};

}  // namespace k4t::operation
