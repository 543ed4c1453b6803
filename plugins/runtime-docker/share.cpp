#include "share.hpp"

#include <algorithm>
#include <chrono>
#include <sstream>

namespace k4t::docker {
namespace {

using std::chrono::milliseconds;

/// $1 seconds, $2 bytes of the spool, $3 bytes of the recipes, $4 a port or 0. Says "ready", reads both, says what
/// parse_shared() reads, and stays until its input ends.
constexpr const char* share_script = R"sh(
set -u
umask 077
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
seconds=$1 spool=$2 recipes=$3 port=$4
no() { printf 'no %s\n' "$1"; exit 0; }
fail() { printf '%s\n' "$1" >&2; exit 1; }
[ -n "${SSH_CONNECTION-}" ] || no 'it is not reached over SSH'
sshd=$(command -v sshd) || no 'the program sshd is not in /usr/sbin there'
command -v ssh-keygen >/dev/null || no 'the program ssh-keygen is not installed there'

# What a power cut left behind.
find /var/tmp -maxdepth 1 -name 'k4t-share.*' -user "$(id -u)" -mmin "+$((seconds / 60 + 1))" -exec rm -rf {} + \
  2>/dev/null
free=$(df -Pk /var/tmp | { read -r _; read -r _ _ _ kib _; printf %s "$kib"; })
[ "$((spool / 1024 + 65536))" -lt "${free:-0}" ] || no "/var/tmp there has only $((${free:-0} / 1024)) MiB free"

folder=$(mktemp -d /var/tmp/k4t-share.XXXXXXXXXX) || no 'no folder can be made in /var/tmp there'
server=
tidy() {
  [ -z "$server" ] || kill "$server" 2>/dev/null
  cd / && rm -rf "$folder"
}
trap tidy EXIT
trap 'exit 1' HUP INT TERM
cd "$folder" || exit 1
ssh-keygen -q -t ed25519 -N '' -C '' -f host && ssh-keygen -q -t ed25519 -N '' -C k4t-share -f key ||
  fail 'ssh-keygen makes no keys'
cat >serve <<'END'
case ${SSH_ORIGINAL_COMMAND-} in '' | *[!0-9]*) exit 2 ;; esac
cd "${0%/*}" || exit 2
while read -r load offset bytes; do
  [ "$load" = "$SSH_ORIGINAL_COMMAND" ] || continue
  dd if=spool bs=1048576 iflag=skip_bytes,count_bytes skip="$offset" count="$bytes" status=none || exit 1
done <recipes
END
printf 'restrict,command="exec sh %s/serve" %s\n' "$folder" "$(cat key.pub)" >authorized

echo ready
for piece in "spool $spool" "recipes $recipes"; do
  name=${piece% *} bytes=${piece#* }
  dd of="$name" bs=1048576 iflag=fullblock,count_bytes count="$bytes" status=none || exit 1
  [ "$(wc -c <"$name")" -eq "$bytes" ] || fail 'not everything came'
done

# Without PAM sshd refuses users whose password is locked.
pam=no
[ "$(id -u)" -ne 0 ] || case $(getent shadow root) in root:!*) pam=yes ;; esac
tries=0
until [ -n "$server" ]; do
  at=$port
  [ "$at" -ne 0 ] || at=$((61000 + $(od -An -N2 -tu2 /dev/urandom) % 4536))
  cat >config <<END
Port $at
HostKey $folder/host
AuthorizedKeysFile $folder/authorized
PidFile none
StrictModes no
UsePAM $pam
PermitRootLogin forced-commands-only
PasswordAuthentication no
ChallengeResponseAuthentication no
ClientAliveInterval 15
MaxStartups 100
END
  "$sshd" -D -e -f "$folder/config" >/dev/null 2>log &
  server=$!
  while kill -0 "$server" 2>/dev/null && ! grep -q 'listening on' log; do sleep 0.05; done
  kill -0 "$server" 2>/dev/null && break
  server=
  tries=$((tries + 1))
  [ "$port" -eq 0 ] && [ "$tries" -lt 5 ] || { tail -n 2 log >&2; exit 1; }
done
set -- $SSH_CONNECTION
printf '%s %s %s\n' "$3" "$at" "$(id -un)"
cut -d ' ' -f 1,2 host.pub
cat key
echo .
timeout "$seconds" cat >/dev/null
)sh";

/// $1 address, $2 port, $3 user, $4 the host's key, $5 the number of the load, $6 the engine's socket, $7 bytes of the
/// private key, $8 … the parts of an assembly; standard input is the private key and what the assembly has of its own.
/// Says what TakeReader reads.
constexpr const char* take_script = R"sh(
set -u
umask 077
export LC_ALL=C
for program in ssh docker; do
  command -v "$program" >/dev/null || { echo "no the program $program is not installed on this node"; exit 0; }
done
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
address=$1 port=$2 user=$3 host_key=$4 load=$5 socket=$6
exactly() { dd bs=1048576 iflag=fullblock,count_bytes count="$1" status=none; }
exactly "$7" >"$folder/key"
shift 7
printf 'k4t-share %s\n' "$host_key" >"$folder/known"
unset DOCKER_CONTEXT DOCKER_HOST DOCKER_TLS DOCKER_TLS_VERIFY

layers() {
  ssh -F none -i "$folder/key" -p "$port" -o IdentitiesOnly=yes -o IdentityAgent=none -o HostKeyAlias=k4t-share \
    -o UserKnownHostsFile="$folder/known" -o GlobalKnownHostsFile=none -o StrictHostKeyChecking=yes \
    -o BatchMode=yes -o ConnectTimeout=5 -o ServerAliveInterval=15 -- "$user@$address" "$load" \
    2>"$folder/ssh.err" </dev/null
  echo $? >"$folder/ssh"
}
assemble() {
  while [ $# -gt 0 ]; do
    if [ "$1" = own ]; then exactly "$2" <&4; else exactly "$2"; fi
    shift 2
  done
}
exec 3>&1 4<&0
layers | assemble "$@" | dd bs=1048576 iflag=fullblock status=progress 2>&3 |
  docker -H "unix://$socket" load -q >"$folder/docker.out" 2>&1
code=$?
printf '\nend %s %s\n' "$(cat "$folder/ssh")" "$code"
tail -c 2000 "$folder/ssh.err" | sed 's/^/ssh /'
echo
tail -c 2000 "$folder/docker.out" | sed 's/^/docker /'
echo
)sh";

constexpr std::size_t piece_bytes = 256u << 10;
constexpr auto cancel_poll = milliseconds(500);
/// A node that has taken nothing for so long is dead.
constexpr auto write_patience = std::chrono::minutes(2);

Error given_up() { return Error{Status::deadline, "the call was given up", {}}; }

Result<std::unique_ptr<transport::Stream>> start(transport::Host& host, const char* script,
                                                 const std::vector<std::string>& arguments, Call& call) {
  transport::Command command;
  command.argv = {"sh", "-c", script, "sh"};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  command.timeout = std::min<milliseconds>(call.remaining(), std::chrono::minutes(1));
  command.cancelled = [&call] { return call.cancelled(); };
  return host.start(command);
}

/// Empty: the program has ended.
Result<std::string> read_some(transport::Stream& stream, const Call& call) {
  for (;;) {
    if (call.cancelled()) return given_up();
    auto bytes = stream.read(piece_bytes, cancel_poll);
    if (bytes || bytes.status() != Status::deadline) return bytes;
  }
}

/// Until a line that says `end`, which is not part of it, or the program's end.
Result<std::string> read_until(transport::Stream& stream, const std::string& end, const Call& call) {
  std::string text;
  for (;;) {
    if (text.ends_with("\n" + end + "\n") || text == end + "\n") return text.substr(0, text.size() - end.size() - 1);
    K4T_ASSIGN(const auto bytes, read_some(stream, call));
    if (bytes.empty()) return text;
    text += bytes;
  }
}

/// What the program said last is the reason.
Error of_program(const std::string& doing, const transport::Host& host, Error error) {
  if (error.status != Status::unavailable || error.detail.empty()) return error;
  std::string words = error.detail;
  while (!words.empty() && words.back() == '\n') words.pop_back();
  return Error{Status::unavailable, doing + " " + host.name() + ": " + words, {}};
}

Result<void> write_all(transport::Stream& stream, std::string_view text, const Call& call) {
  while (!text.empty()) {
    if (call.cancelled()) return given_up();
    const auto piece = text.substr(0, piece_bytes);
    K4T_TRY(stream.write(piece, std::min<milliseconds>(call.remaining(), write_patience)));
    text.remove_prefix(piece.size());
  }
  return {};
}

Result<void> write_segments(transport::Stream& stream, SegmentReader& reader, ByteProgress* progress, Call& call) {
  for (;;) {
    K4T_ASSIGN(const auto piece, reader.next(piece_bytes));
    if (piece.empty()) return {};
    K4T_TRY(write_all(stream, piece, call));
    if (progress != nullptr) progress->add(piece.size());
  }
}

Result<Ticket> bring(transport::Stream& stream, const Spool& spool, SegmentReader& reader, Call& call) {
  std::string said;
  while (!said.ends_with('\n')) {
    K4T_ASSIGN(const auto bytes, read_some(stream, call));
    if (bytes.empty()) break;
    said += bytes;
  }
  if (said.starts_with("no ")) return Error{Status::unsupported, said.substr(3, said.find('\n') - 3), {}};
  if (said != "ready\n") return Error{Status::unavailable, "the node does not say that it is ready to share", {}};
  ByteProgress progress(call, "sending", size_bytes(spool.segments));
  K4T_TRY(write_segments(stream, reader, &progress, call));
  K4T_TRY(write_all(stream, spool.recipes, call));
  K4T_ASSIGN(const auto shared, read_until(stream, ".", call));
  return parse_shared(shared);
}

}  // namespace

Result<std::unique_ptr<Share>> Share::begin(transport::Host& host, const Spool& spool, SegmentReader& reader,
                                            std::uint16_t port, std::uint32_t for_s, Call& call) {
  K4T_ASSIGN(auto program, start(host, share_script,
                                 {std::to_string(for_s), std::to_string(size_bytes(spool.segments)),
                                  std::to_string(spool.recipes.size()), std::to_string(port)},
                                 call));
  auto ticket = bring(*program, spool, reader, call);
  if (!ticket) return of_program("cannot share images from", host, ticket.error());
  return std::unique_ptr<Share>(new Share(std::move(program), *std::move(ticket)));
}

Ticket Share::ticket(std::uint32_t load) const {
  Ticket ticket = ticket_;
  ticket.load = load;
  return ticket;
}

Result<std::uint64_t> take_shared(transport::Host& host, const std::string& socket, const runtime::LoadRequest& request,
                                  const Ticket& ticket, Call& call) {
  K4T_ASSIGN(const auto assembly, assembly_of(request));
  K4T_ASSIGN(auto own, SegmentReader::open(request.file, assembly.own));
  std::vector<std::string> arguments{ticket.address,
                                     std::to_string(ticket.port),
                                     ticket.user,
                                     ticket.host_key,
                                     std::to_string(ticket.load),
                                     socket,
                                     std::to_string(ticket.private_key.size())};
  std::istringstream parts(assembly.parts);
  for (std::string word; parts >> word;) arguments.push_back(word);
  K4T_ASSIGN(const auto program, start(host, take_script, arguments, call));
  const auto told = [&host](const Error& error) { return of_program("cannot take images on", host, error); };
  if (auto sent = write_all(*program, ticket.private_key, call); !sent) return told(sent.error());
  if (auto sent = write_segments(*program, own, nullptr, call); !sent) return told(sent.error());
  ByteProgress progress(call, "fetching", assembly.bytes);
  TakeReader reader;
  for (;;) {
    const auto bytes = read_some(*program, call);
    if (!bytes) return told(bytes.error());
    if (bytes->empty()) break;
    reader.feed(*bytes, [&](std::uint64_t so_far) { progress.reach(so_far); });
  }
  K4T_TRY(reader.outcome(request));
  return assembly.bytes;
}

}  // namespace k4t::docker
