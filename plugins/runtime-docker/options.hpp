#pragma once

#include <string>
#include <vector>

#include "k4t/http.hpp"
#include "k4t/json.hpp"
#include "k4t/plugin.hpp"
#include "registries.hpp"
#include "render.hpp"

namespace k4t::docker {

/// What the driver is opened with, checked.
struct Options {
  http::Endpoint engine;  ///< where the Docker Engine listens
  std::string where;      ///< the same for messages, as the user wrote it
  bool exposed = false;   ///< whoever is on the way to the engine can be root on the node
  std::vector<Login> registries;
  std::string cluster;
  Reached reached;
  std::uint16_t share_port = 0;  ///< 0: any that is free
};

/// The JSON Schema of the `options` table.
Json options_schema();

/// Connects to nothing, but looks at TLS's files. INVALID_ARGUMENT: not a socket that this driver can talk to, options
/// that do not go together, or not an address; the message tells the remedy.
Result<Options> parse_options(const OpenRequest& request);

}  // namespace k4t::docker
