#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "k4t/plugin.hpp"
#include "k4t/ssh.hpp"
#include "render.hpp"

namespace k4t::nginx {

/// The options of one nginx gateway; README.md explains each.
struct Options {
  std::string host = "local";
  transport::SshOptions ssh;  ///< for a host ssh://…
  std::string config = "/etc/nginx/nginx.conf";
  std::string folder = "/etc/nginx/k4t";
  std::string binary = "nginx";
  std::string prefix;  ///< empty: nginx's own
  std::string pid_file = "/run/nginx.pid";
  std::uint16_t status_port = 8911;
  std::vector<std::string> listen;  ///< empty: the gateway's address

  [[nodiscard]] Placement placement() const { return {listen, status_port}; }
};
K4T_JSON(Options, host, ssh, config, folder, binary, prefix, pid_file, status_port, listen)

/// JSON Schema (draft 7) of the options.
Json options_schema();

/// The options of `request` with the defaults filled in. INVALID_ARGUMENT naming the option and the remedy.
Result<Options> read_options(const OpenRequest& request);

}  // namespace k4t::nginx
