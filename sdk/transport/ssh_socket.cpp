#include "ssh_socket.hpp"

#include <sstream>

namespace k4t::transport::remote {
namespace {

/// $1 the socket. Prints one word for what is found, then the user, the owner, the group and the mode. A socket that
/// the server made under another name (/run is /var/run) is the same file; /proc/net/unix has Linux.
constexpr std::string_view look_script = R"sh(user=$(id -un)
folder=$(dirname "$1")
if [ -d "$folder" ] && [ ! -x "$folder" ]; then echo "closed $user $(stat -L -c '%U %G %a' "$folder")"; exit; fi
if [ ! -e "$1" ]; then echo absent; exit; fi
if [ ! -S "$1" ]; then echo other; exit; fi
if [ ! -w "$1" ]; then echo "forbidden $user $(stat -L -c '%U %G %a' "$1")"; exit; fi
if [ ! -r /proc/net/unix ]; then exit; fi
while read -r _ _ _ flags _ _ _ name; do
  if [ "$flags" = 00010000 ] && [ -n "$name" ] && [ "$name" -ef "$1" ]; then echo listening; exit; fi
done </proc/net/unix
echo deaf
)sh";

constexpr const char* forwarding =
    "allow it in its sshd_config (AllowStreamLocalForwarding yes, DisableForwarding no) and, for this key, in "
    "authorized_keys (neither restrict nor no-port-forwarding)";

/// 020 is the group's right to write, which connecting needs.
bool group_may(const std::string& mode) {
  return mode.size() >= 2 && mode[mode.size() - 2] >= '0' && ((mode[mode.size() - 2] - '0') & 2) != 0;
}

std::string cause_of(const std::string& seen) {
  std::istringstream words(seen);
  std::string word;
  std::string user;
  std::string owner;
  std::string group;
  std::string mode;
  words >> word >> user >> owner >> group >> mode;
  if (word == "absent") return "there is no such socket: start the server that makes it, or correct the path";
  if (word == "other") return "that is no socket: correct the path";
  if (word == "deaf") return "nobody listens on it: start the server that does";
  if (word == "listening") return "the SSH server forbids forwarding to it: " + std::string(forwarding);
  if (word == "closed") return "the user " + user + " may not enter its folder, which is " + owner + ":" + group + "'s";
  if (word != "forbidden") {
    return "either nobody listens there, or the SSH server forbids forwarding to it: then " + std::string(forwarding);
  }
  const std::string belongs =
      "the user " + user + " may not use it: it belongs to " + owner + ":" + group + " with mode " + mode;
  if (!group_may(mode)) return belongs + "; log in as " + owner;
  return belongs + "; add the user to the group there (usermod -aG " + group + " " + user + ")";
}

}  // namespace

Error explain_refusal(Host& host, const std::string& path, const Error& refusal, std::chrono::milliseconds timeout) {
  const auto looked = run_script(host, look_script, {path}, {}, timeout);
  const std::string seen = looked && looked->exit_code == 0 ? looked->out : std::string();
  return {Status::unavailable, "cannot connect to " + path + " on " + host.name() + ": " + cause_of(seen),
          refusal.message};
}

}  // namespace k4t::transport::remote
