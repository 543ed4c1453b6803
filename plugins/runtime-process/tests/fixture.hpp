#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "process_driver.hpp"
#include "support/process.hpp"

namespace k4t::process {

/// True when the process is there and no zombie.
bool is_alive(int pid);

/// A stream that keeps what came, and ends the call when it has seen `until`.
class Collected final : public CallSink {
 public:
  bool cancelled() override { return give_up; }
  bool stream(Channel channel, std::string_view bytes) override {
    (channel == Channel::err ? err : out) += bytes;
    return until.empty() || (out + err).find(until) == std::string::npos;
  }
  std::string out;
  std::string err;
  std::string until;
  std::atomic<bool> give_up = false;
};

/// Drivers on a folder of their own. What tests leave running ends with the folder.
class ProcessTest : public ::testing::Test {
 protected:
  static constexpr const char* kName = "shop-web-1";

  /// A driver as another k4t command would open it.
  [[nodiscard]] std::unique_ptr<ProcessDriver> open_driver() const;
  /// An instance on the node's network that runs a shell script of the test's own: $1 is `file`, then come `args`.
  [[nodiscard]] runtime::InstanceSpec script(const std::string& text, const std::vector<std::string>& args = {}) const;

  template <class M>
  Result<typename M::Reply> ask(const typename M::Request& request, const CallOptions& options = {}) {
    return invoke<M>(callee_, request, options);
  }
  /// Creates and starts; fails the test where that fails.
  void begin(const runtime::InstanceSpec& spec);
  runtime::Instance seen(const std::string& name = kName);
  [[nodiscard]] StatusFile status(const std::string& name = kName) const;
  [[nodiscard]] InstanceFolder folder(const std::string& name = kName) const {
    return InstanceFolder(root_ + "/" + name);
  }
  /// The lines that scripts have written to `file_`.
  [[nodiscard]] std::vector<std::string> lines() const;
  /// Waits for so many lines and returns them as numbers.
  std::vector<int> pids(std::size_t count) const;
  [[nodiscard]] static int keeper_of(int supervisor);

  k4t::testing::Scratch scratch_;
  std::string root_ = scratch_.path() / "instances";
  std::string file_ = scratch_.path() / "file";
  std::unique_ptr<ProcessDriver> driver_ = open_driver();
  DirectCallee<runtime::Kind> callee_{*driver_};
};

using runtime::Phase;
namespace method = runtime::method;

}  // namespace k4t::process
