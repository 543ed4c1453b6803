#include "ssh_target.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "k4t/options.hpp"
#include "k4t/transport.hpp"

namespace k4t::transport {
namespace {

constexpr std::string_view scheme = "ssh://";
constexpr std::size_t part_limit_bytes = 255;
constexpr std::uint32_t hour_ms = 3'600'000;

bool is_address(const std::string& text) {
  unsigned char ignored[16];
  return ::inet_pton(AF_INET, text.c_str(), ignored) == 1 || ::inet_pton(AF_INET6, text.c_str(), ignored) == 1;
}

/// Letters, digits and . _ -, not beginning with '-': so no part is ever taken for an option or a pattern.
bool is_plain(std::string_view text) {
  if (text.empty() || text.size() > part_limit_bytes || text.front() == '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-").find(c) != std::string_view::npos;
  });
}

Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [stop, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failed == std::errc() && stop == text.data() + text.size() && port != 0) return port;
  return Error{Status::invalid_argument, "its port is not a whole number from 1 to 65535", {}};
}

Error bad(const std::string& why) { return {Status::invalid_argument, why, {}}; }

Result<SshTarget> parse(std::string_view url) {
  if (!url.starts_with(scheme)) return bad("it is not ssh://[user@]host[:port]");
  std::string_view rest = url.substr(scheme.size());
  SshTarget target;
  if (const auto at = rest.find('@'); at != std::string_view::npos) {
    target.user = rest.substr(0, at);
    if (!is_plain(target.user)) return bad("its user is not a plain name");
    rest.remove_prefix(at + 1);
  }
  const bool bracketed = rest.starts_with('[');
  const auto end = bracketed ? rest.find(']') : std::min(rest.find(':'), rest.size());
  if (end == std::string_view::npos) return bad("a ']' is missing");
  target.host = rest.substr(bracketed ? 1 : 0, bracketed ? end - 1 : end);
  if (bracketed ? !is_address(target.host) : !is_plain(target.host)) return bad("its host is no name or address");
  rest.remove_prefix(end + (bracketed ? 1 : 0));
  if (rest.empty()) return target;
  if (rest.front() != ':') return bad("only :port may follow the host");
  K4T_ASSIGN(target.port, parse_port(rest.substr(1)));
  return target;
}

Result<void> check_file(std::string_view option, const std::string& path) {
  if (path.starts_with('/') && path.find('\0') == std::string::npos) return {};
  return bad("ssh option " + std::string(option) + ": '" + path + "' is no absolute path");
}

Result<void> check_time(std::string_view option, std::uint32_t time_ms) {
  if (time_ms > 0 && time_ms <= hour_ms) return {};
  return bad("ssh option " + std::string(option) + ": must be from 1 ms to 1 h");
}

/// An option that a node or gateway can set back to nothing where the cluster's [ssh] has it.
Json or_empty(Json option, const char* pattern) {
  option.erase("minLength");
  option["pattern"] = pattern;
  return option;
}

constexpr const char* path_or_empty = "^(/.*)?$";

}  // namespace

K4T_JSON_DEFINE(SshOptions, identity, passphrase_file, known_hosts, jump, connect_timeout_ms, keep_alive_ms)

Json ssh_options_schema() {
  const SshOptions defaults;
  return option::table(
      "How the host is reached over SSH; ~/.ssh/config is not read",
      {{"identity",
        option::list(
            "Private key files; without any, what ssh-agent offers and the user's id_ed25519, id_ecdsa, id_rsa",
            option::file("A private key file"))},
       {"passphrase_file", or_empty(option::file("A file whose first line decrypts the keys"), path_or_empty)},
       {"known_hosts", or_empty(option::file("The only file whose host keys are believed; empty: the user's and the "
                                             "system's"),
                                path_or_empty)},
       {"jump", or_empty(option::text("A host to go through, ssh://[user@]host[:port]"), "^(ssh://.*)?$")},
       {"connect_timeout_ms",
        option::number("For connecting and authentication together", 1, hour_ms, defaults.connect_timeout_ms)},
       {"keep_alive_ms", option::number("A server that is silent so long is asked, and after as long again given up", 1,
                                        hour_ms, defaults.keep_alive_ms)}});
}

std::string SshTarget::url() const {
  std::string text(scheme);
  if (!user.empty()) text += user + "@";
  text += host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != 22) text += ":" + std::to_string(port);
  return text;
}

std::string SshTarget::known_as() const { return port == 22 ? host : "[" + host + "]:" + std::to_string(port); }

Result<SshTarget> parse_ssh_url(std::string_view url) {
  auto target = parse(url);
  if (!target) return bad("'" + std::string(url) + "' is not the URL of an SSH host: " + target.error().message);
  return target;
}

Result<void> check_ssh_options(const SshOptions& options) {
  for (const auto& file : options.identity) K4T_TRY(check_file("identity", file));
  if (!options.passphrase_file.empty()) K4T_TRY(check_file("passphrase_file", options.passphrase_file));
  if (!options.known_hosts.empty()) K4T_TRY(check_file("known_hosts", options.known_hosts));
  if (!options.jump.empty()) {
    const auto jump = parse_ssh_url(options.jump);
    if (!jump) return jump.error().within("ssh option jump");
  }
  K4T_TRY(check_time("connect_timeout_ms", options.connect_timeout_ms));
  return check_time("keep_alive_ms", options.keep_alive_ms);
}

}  // namespace k4t::transport
