#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/transport.hpp"

/// Files of a host that can only run commands, by scripts whose text is constant: values are arguments, content is
/// standard input with its length and SHA-256 among the arguments. A script checks that it has all its input before it
/// takes a lock or touches anything; a caller that dies while it sends changes nothing. What each function promises is
/// written at its namesake in k4t/transport.hpp. Needed there: a POSIX shell, coreutils 8.24 or newer, flock.

namespace k4t::transport::remote {

Result<std::string> read(Host& host, const std::string& path, const Limits& limits);
Result<void> put(Host& host, const std::string& path, std::string_view bytes, unsigned mode, const Limits& limits);
Result<void> swap(Host& host, const std::string& path, const std::optional<std::string>& expected,
                  std::string_view bytes, unsigned mode, const Limits& limits, const std::string& keep_as);
Result<void> make_folder(Host& host, const std::string& path, unsigned mode, const Limits& limits);
Result<std::vector<std::string>> list(Host& host, const std::string& path, const Limits& limits);
Result<void> remove(Host& host, const std::string& path, const Limits& limits);
Result<void> sweep(Host& host, const std::string& path, const Limits& limits);

}  // namespace k4t::transport::remote
