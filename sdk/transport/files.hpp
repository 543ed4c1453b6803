#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k4t/transport.hpp"

/// Files of this machine; what each function promises is written at its namesake in k4t/transport.hpp.

namespace k4t::transport::files {

/// Regular files of at most 256 MiB.
Result<std::string> read(const std::string& path);
Result<void> put(const std::string& path, std::string_view bytes, unsigned mode);
/// BUSY: another swapper has held the lock for 10 s. DEADLINE: the limits ended the wait before that.
Result<void> swap(const std::string& path, const std::optional<std::string>& expected, std::string_view bytes,
                  unsigned mode, const Limits& limits, const std::string& keep_as);
Result<void> make_folder(const std::string& path, unsigned mode);
Result<std::vector<std::string>> list(const std::string& path);
Result<void> remove(const std::string& path);
Result<void> sweep(const std::string& path);

}  // namespace k4t::transport::files
