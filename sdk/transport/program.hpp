#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "k4t/transport.hpp"

namespace k4t::transport {

/// Host::start for this machine.
Result<std::unique_ptr<Stream>> start_program(const Command& command);

/// INVALID_ARGUMENT for what Host::start does not take; DEADLINE where no time is left.
Result<void> check_start(const Command& command);

/// What a stream's end means when the program behind it ended so; `code` -1: it is not known how. Success: an orderly
/// end.
Result<void> judge_end(const std::string& program, int code, std::string last_words);

/// How much of a program's standard error is kept, its end.
constexpr std::size_t last_words_bytes = 4096;

}  // namespace k4t::transport
