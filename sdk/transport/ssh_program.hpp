#pragma once

#include "ssh_job.hpp"

namespace k4t::transport {

/// A program that stays, its standard input and output joined with the caller's end.
class ProgramJob final : public BridgeJob {
 public:
  /// `line` is what program_line made with `token`.
  ProgramJob(std::string program, std::string line, const std::string& token)
      : program_(std::move(program)), line_(std::move(line)), mark_(token + "B") {}

  [[nodiscard]] bool is_session() const override { return true; }
  /// After the end of the stream: how the program ended; success: in an orderly way.
  [[nodiscard]] Result<void> end();

 private:
  int open(ssh_channel channel) override { return ssh_channel_open_session(channel); }
  int begin(ssh_channel channel) override;
  bool move(ssh_channel channel) override;
  bool at_end(ssh_channel channel) override;
  [[nodiscard]] Error cannot_open(const std::string& why) override;
  bool find_mark(ssh_channel channel);
  bool take_mark();
  void take_words(ssh_channel channel);

  const std::string program_;
  const std::string line_;
  const std::string mark_;
  bool begun_ = false;
  std::string prelude_;     ///< what came before the mark
  int exit_code_ = -1;      ///< guarded by mutex_
  std::string last_words_;  ///< guarded by mutex_
};

}  // namespace k4t::transport
