#include "k4t/options.hpp"
#include "haproxy_driver.hpp"
#include "k4t/gateway_rules.hpp"
#include "k4t/ssh.hpp"
#include "syntax.hpp"

namespace k4t::haproxy {
namespace {

struct Options {
  std::string host = "local";
  transport::SshOptions ssh;
  std::vector<std::string> config = {"/etc/haproxy/haproxy.cfg"};
  std::string file = "/etc/haproxy/k4t.cfg";
  std::string binary = "/usr/sbin/haproxy";
  std::string master_socket = "/run/haproxy-master.sock";
  std::optional<std::string> listen;
  std::uint32_t hard_stop_after_s = 3600;
};
K4T_JSON(Options, host, ssh, config, file, binary, master_socket, listen, hard_stop_after_s)

Json options_schema() {
  const Options defaults;
  return option::schema(
      {{"host",
        option::text("The machine on which HAProxy runs: \"local\" or \"ssh://[user@]host[:port]\".", defaults.host)},
       {"ssh", transport::ssh_options_schema()},
       {"config", option::list("The administrator's configuration files, in the order in which HAProxy is started with "
                               "them. k4t reads them for checks only.",
                               option::path(""), defaults.config)},
       {"file",
        option::path("k4t's own configuration file: the last -f that HAProxy is started with. k4t keeps what it "
                     "needs beside it, in the folder of this name with .k4t behind it.",
                     defaults.file)},
       {"binary", option::path("The haproxy program that checks configurations.", defaults.binary)},
       {"master_socket", option::path("The socket that HAProxy is started with in -S.", defaults.master_socket)},
       {"listen", option::text("The IPv4 or IPv6 address on which services are offered. Default: the gateway's "
                               "address.")},
       {"hard_stop_after_s",
        option::number("How long a process that was replaced may go on serving the connections it has, WebSockets and "
                       "TCP streams among them, before it cuts them.",
                       1, 2000000, defaults.hard_stop_after_s)}});
}

Error invalid(const std::string& option, const std::string& why) {
  return {Status::invalid_argument, "option " + option + ": " + why, {}};
}

Result<void> check_path(const std::string& option, const std::string& path) {
  if (!path.starts_with('/') || path.ends_with('/'))
    return invalid(option, "'" + path + "' is no absolute path of a file");
  if (!is_writable(path)) return invalid(option, "control characters cannot be in a path");
  return {};
}

}  // namespace

Manifest manifest() {
  namespace can = gateway::capability;
  Manifest about;
  about.name = "haproxy";
  about.version = "1";
  about.summary = "HAProxy 2.6 or newer, in master-worker mode";
  about.capabilities = {can::http,
                        can::tcp,
                        can::balance_round_robin,
                        can::balance_least_connections,
                        can::balance_source_hash,
                        can::health_active,
                        can::rate_limit,
                        can::rate_limit_tcp,
                        can::connection_limit,
                        can::endpoint_connections};
  about.options_schema = options_schema();
  return about;
}

Result<std::unique_ptr<gateway::Driver>> open_driver(const OpenRequest& request, Call& /*call*/) {
  K4T_ASSIGN(const Options options, decode<Options>(request.options));
  for (const auto& path : options.config) K4T_TRY(check_path("config", path));
  K4T_TRY(check_path("file", options.file));
  K4T_TRY(check_path("binary", options.binary));
  K4T_TRY(check_path("master_socket", options.master_socket));
  const std::string listen = options.listen.value_or(request.address);
  if (!gateway::is_canonical_address(listen)) {
    return invalid("listen", "'" + listen + "' is no IPv4 or IPv6 address in its usual spelling");
  }
  if (options.hard_stop_after_s == 0) return invalid("hard_stop_after_s", "must be at least 1");
  K4T_ASSIGN(auto host, transport::open_host(options.host, options.ssh));
  Paths paths{options.config, options.file, options.binary, options.master_socket};
  Placement placement{listen, paths.server_state(), options.hard_stop_after_s};
  return std::unique_ptr<gateway::Driver>(
      std::make_unique<HaproxyDriver>(std::move(host), std::move(paths), std::move(placement)));
}

}  // namespace k4t::haproxy
