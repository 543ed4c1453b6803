#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "cli/render_status.hpp"

namespace k4t::cli {

/// Prints a status while it becomes known: each line at once, or where one before it is not known yet, as soon as that
/// one is or nobody has answered for `patience`. Thread-safe.
class StatusPrinter final : public operation::StatusWatcher {
 public:
  using Write = std::function<void(const std::string&)>;

  /// `write` is called from any thread, one call at a time. `even_unfinished`: a status with an unfinished vote is
  /// worth printing too; else it is not, because it is about to be finished and looked at again. `cluster` outlives
  /// this.
  StatusPrinter(const model::Cluster& cluster, bool colours, bool even_unfinished, std::chrono::milliseconds patience,
                Write write);
  ~StatusPrinter() override;

  void on_begin(const operation::Status& known) override;
  void on_decided(const txn::Assessment& assessment) override;
  void on_witness(const txn::Peeked& witness) override;
  void on_member(const txn::Member& member) override;
  void on_node(const plan::NodeView& node) override;

  /// Prints the rest. REQUIRES: on_begin() was called.
  void finish(const operation::Status& status);

 private:
  void learn(const std::function<void(StatusPage&)>& what);
  void print(const std::string& text);
  void watch();

  const bool even_unfinished_;
  const std::chrono::milliseconds patience_;
  const Write write_;

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  StatusPage text_;
  std::uint64_t learnt_ = 0;
  bool muted_ = false;
  bool over_ = false;
  std::jthread watcher_;  // last: its thread uses the others
};

}  // namespace k4t::cli
