#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "k4t/plugin.hpp"

namespace k4t::process {

/// The node's `options` in k4t.toml. Schema and defaults: options_schema().
struct Options {
  std::string folder;      ///< empty: /var/lib/k4t/process/<node's name>
  std::string supervisor;  ///< empty: looked for beside the plugin
  std::map<std::string, std::string> images;
  std::uint64_t log_file_bytes = 8u << 20;
};
K4T_JSON(Options, folder, supervisor, images, log_file_bytes)

Json options_schema();

/// The options with their defaults filled in. INVALID_ARGUMENT: a path is not absolute.
Result<Options> read_options(const OpenRequest& request);

}  // namespace k4t::process
