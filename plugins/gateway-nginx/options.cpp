#include "options.hpp"

#include <algorithm>

#include "k4t/gateway_rules.hpp"
#include "k4t/options.hpp"

namespace k4t::nginx {
namespace {

constexpr const char* path_pattern = "^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$";

Json config_path(const char* description, const Json& standard = nullptr) {
  Json path = option::path(description, standard);
  path["pattern"] = path_pattern;
  return path;
}

/// As path_pattern: paths become part of configuration files, and "." and ".." would make two names of one folder.
bool is_path(std::string_view path) {
  if (path.empty() || path.front() != '/' || path.back() == '/') return false;
  if (path.find("//") != std::string_view::npos || path.find("/.") != std::string_view::npos) return false;
  return std::all_of(path.begin(), path.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-").find(c) != std::string_view::npos;
  });
}

Error bad(std::string_view option, std::string_view value, std::string_view remedy) {
  return {Status::invalid_argument,
          "option " + std::string(option) + ": '" + std::string(value) + "' " + std::string(remedy),
          {}};
}

Result<void> check(const Options& options) {
  for (const auto& [name, path] : {std::pair{"config", options.config},
                                   {"folder", options.folder},
                                   {"pid_file", options.pid_file},
                                   {"prefix", options.prefix}}) {
    if (path.empty() && std::string_view(name) == "prefix") continue;
    if (!is_path(path)) {
      return bad(name, path, "must be an absolute path of letters, digits, '.', '_' and '-', without hidden parts");
    }
  }
  if (options.binary.empty() || options.binary.front() == '-') return bad("binary", options.binary, "is no program");
  if (options.status_port == 0) return bad("status_port", "0", "must be from 1 to 65535");
  if (options.listen.empty()) return bad("listen", "", "needs at least one address");
  for (const auto& address : options.listen) {
    if (!gateway::is_canonical_address(address))
      return bad("listen", address, "must be an IPv4 or IPv6 address, never a name");
  }
  return {};
}

}  // namespace

Json options_schema() {
  const Options defaults;
  Json listen = option::list("addresses to accept connections at; default: the gateway's address", option::text(""));
  listen["minItems"] = 1;
  return option::schema(
      {{"host", option::text("where nginx runs: \"local\" or \"ssh://[user@]host[:port]\"", defaults.host)},
       {"ssh", transport::ssh_options_schema()},
       {"config", config_path("nginx's main configuration file", defaults.config)},
       {"folder",
        config_path("the folder that k4t owns; the main configuration includes its live/ files", defaults.folder)},
       {"binary", option::text("the nginx program, or a wrapper that gives the needed rights", defaults.binary)},
       {"prefix", config_path("what nginx was started with as -p; default: not given")},
       {"pid_file", config_path("as the directive pid of the main configuration says", defaults.pid_file)},
       {"status_port",
        option::port("TCP port of 127.0.0.1 at which nginx tells which version it serves", defaults.status_port)},
       {"listen", std::move(listen)}});
}

Result<Options> read_options(const OpenRequest& request) {
  K4T_ASSIGN(Options options, decode<Options>(request.options));
  if (options.listen.empty()) options.listen = {request.address};
  K4T_TRY(check(options));
  return options;
}

}  // namespace k4t::nginx
