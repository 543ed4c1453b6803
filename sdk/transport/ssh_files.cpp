#include "ssh_files.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include "errors.hpp"
#include "k4t/digest.hpp"

namespace k4t::transport::remote {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::size_t largest_file_bytes = 256u << 20;
constexpr milliseconds lock_patience{10'000};
constexpr std::string_view stale_after_s = "3600";

/// What a script ends with on purpose; other failures are the tools' own, told on standard error.
namespace exit_code {
constexpr int conflict = 81;
constexpr int busy = 82;
constexpr int cut_short = 83;
constexpr int not_regular = 84;
constexpr int absent = 85;
}  // namespace exit_code

constexpr std::string_view read_script = R"sh(if [ -e "$1" ] && [ ! -f "$1" ]; then exit 84; fi
exec cat "$1"
)sh";

/// $1 path, $2 folder, $3 template of the temporary file's name, $4 mode, $5 length, $6 SHA-256. Content before name:
/// after a power cut a renamed file whose content was not synced is empty.
constexpr std::string_view stage = R"sh(umask 077
temporary=$(mktemp "$3") || exit 1
trap 'rm -f "$temporary"' EXIT
trap 'exit 1' HUP INT PIPE TERM
cat >"$temporary" || exit 1
[ "$(wc -c <"$temporary")" -eq "$5" ] && [ "$(sha256sum <"$temporary")" = "$6  -" ] || exit 83
chmod "$4" "$temporary" && sync "$temporary" || exit 1
)sh";

constexpr std::string_view replace = R"sh(mv -fT "$temporary" "$1" || exit 1
trap - EXIT
sync "$2"
)sh";

/// $7 the lock file's umask, $8 seconds to wait for it, $9 the expected SHA-256 or "absent". That a file is absent must
/// be known: to test, one in a folder that cannot be searched looks the same. What is there instead is printed.
constexpr std::string_view compare = R"sh(umask "$7"
if [ -L "$1.lock" ]; then exit 84; fi
exec 9>>"$1.lock"
flock -x -E 82 -w "$8" 9 || exit
if [ -e "$1" ]; then
  [ -f "$1" ] || exit 84
  found=$(sha256sum <"$1") || exit 1
  found=${found%% *}
else
  reason=$(cat "$1" 2>&1)
  case $reason in
  *'No such file or directory') found=absent ;;
  *)
    printf '%s\n' "$reason" >&2
    exit 1 ;;
  esac
fi
if [ "$found" != "$9" ]; then
  [ "$found" != absent ] || exit 85
  cat "$1" || exit 1
  exit 81
fi
)sh";

/// ${10} the name under which the present file stays, or nothing.
constexpr std::string_view keep = R"sh(if [ -n "${10}" ] && [ "$found" != absent ]; then
  [ -e "${10}" ] || ln "$1" "${10}" || exit 1
  sync "$2" || exit 1
fi
)sh";

/// $1 the folder, $2 the mode, then pairs: a folder and the one that holds it.
constexpr std::string_view make_folder_script = R"sh(if [ -d "$1" ]; then exit 0; fi
mode=$2
shift 2
while [ "$#" -gt 0 ]; do
  if reason=$(mkdir -m "$mode" "$1" 2>&1); then
    sync "$2" || exit 1
  elif [ ! -d "$1" ]; then
    printf '%s\n' "$reason" >&2
    exit 1
  fi
  shift 2
done
)sh";

/// ls tells why a folder cannot be read, where a pattern would only find nothing.
constexpr std::string_view list_script = R"sh(ls -A "$1/" >/dev/null || exit 1
cd "$1" || exit 1
for name in * .*; do
  case $name in . | ..) continue ;; esac
  if [ -e "$name" ] || [ -L "$name" ]; then printf '%s\0' "$name"; fi
done
)sh";

constexpr std::string_view remove_script = R"sh(rm -f "$1" && sync "$2"
)sh";

/// $1 the folder, $2 the age in seconds.
constexpr std::string_view sweep_script = R"sh(ls -A "$1/" >/dev/null || exit 1
now=$(date +%s)
for file in "$1"/.*.k4t-??????; do
  if [ ! -f "$file" ] || [ -L "$file" ]; then continue; fi
  changed=$(stat -c %Y "$file") || continue
  if [ $((now - changed)) -gt "$2" ]; then rm -f "$file"; fi
done
)sh";

/// What the system's reasons mean, as in errors.hpp; glibc's and musl's texts and those of the shell itself.
struct Reason {
  std::string_view text;
  Status status;
};
constexpr std::array reasons = {Reason{"No such file or directory", Status::not_found},
                                Reason{"No such file", Status::not_found},
                                Reason{"Directory nonexistent", Status::not_found},
                                Reason{"Not a directory", Status::not_found},
                                Reason{"Permission denied", Status::invalid_argument},
                                Reason{"Operation not permitted", Status::invalid_argument},
                                Reason{"Is a directory", Status::invalid_argument},
                                Reason{"File exists", Status::invalid_argument},
                                Reason{"File name too long", Status::invalid_argument},
                                Reason{"Filename too long", Status::invalid_argument},
                                Reason{"Invalid argument", Status::invalid_argument},
                                Reason{"Device or resource busy", Status::invalid_argument},
                                Reason{"Too many levels of symbolic links", Status::invalid_argument}};

std::string last_line(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

/// A reason that is not in the table tells nothing about what is or is not there.
Error script_error(const Host& host, const std::string& doing, const Output& output) {
  const std::string context = doing + " on " + host.name() + ": ";
  switch (output.exit_code) {
    case exit_code::busy: return {Status::busy, context + "somebody else holds the lock", {}};
    case exit_code::cut_short: return {Status::unavailable, context + "the content did not arrive whole", {}};
    case exit_code::not_regular: return {Status::invalid_argument, context + "it is not a regular file", {}};
    default: break;
  }
  const std::string line = last_line(output.err);
  for (const auto& reason : reasons) {
    if (line.ends_with(reason.text)) return {reason.status, context + std::string(reason.text), output.err};
  }
  const std::string why = line.empty() ? "exit code " + std::to_string(output.exit_code) : line;
  return {Status::unavailable, context + why, output.err};
}

/// Relative paths begin at the user's home folder; none may look like an option.
Result<std::string> plain(const std::string& path) {
  K4T_TRY(check_path(path));
  return path.front() == '/' ? path : "./" + path;
}

std::string folder_of(const std::string& path) {
  fs::path folder = fs::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

std::string octal(unsigned mode) {
  std::string digits;
  for (unsigned rest = mode; rest != 0 || digits.size() < 3; rest /= 8)
    digits.insert(digits.begin(), "01234567"[rest % 8]);
  return digits;
}

Result<Output> run(Host& host, std::string_view script, std::vector<std::string> args, std::string_view input,
                   const Limits& limits) {
  Command command;
  command.argv = {"/bin/sh", "-c", std::string(script), "sh"};
  command.argv.insert(command.argv.end(), std::make_move_iterator(args.begin()), std::make_move_iterator(args.end()));
  command.input = input;
  command.env = {{"LC_ALL", "C"}};
  command.timeout = limits.timeout;
  command.cancelled = limits.cancelled;
  command.output_limit_bytes = largest_file_bytes + 1;
  return host.run(command);
}

/// A script that prints nothing of use.
Result<void> change(Host& host, const std::string& doing, std::string_view script, std::vector<std::string> args,
                    std::string_view input, const Limits& limits) {
  K4T_ASSIGN(const auto output, run(host, script, std::move(args), input, limits));
  if (output.exit_code != 0) return script_error(host, doing, output);
  return {};
}

std::vector<std::string> stage_args(const std::string& path, std::string_view bytes, unsigned mode) {
  const std::string folder = folder_of(path);
  const std::string temporary = folder + "/." + fs::path(path).filename().string() + ".k4t-XXXXXX";
  return {path, folder, temporary, octal(mode), std::to_string(bytes.size()), sha256_hex(bytes)};
}

std::string seconds_text(milliseconds time) {
  const auto tenths = std::max<std::int64_t>(1, time.count() / 100);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

}  // namespace

Result<std::string> read(Host& host, const std::string& path, const Limits& limits) {
  K4T_ASSIGN(const std::string file, plain(path));
  K4T_ASSIGN(auto output, run(host, read_script, {file}, {}, limits));
  if (output.exit_code != 0) return script_error(host, "cannot read " + path, output);
  if (output.out.size() <= largest_file_bytes) return std::move(output.out);
  return Error{
      Status::invalid_argument, "cannot read " + path + " on " + host.name() + ": it is larger than 256 MiB", {}};
}

Result<void> put(Host& host, const std::string& path, std::string_view bytes, unsigned mode, const Limits& limits) {
  K4T_ASSIGN(const std::string file, plain(path));
  static const std::string script = std::string(stage) + std::string(replace);
  return change(host, "cannot write " + path, script, stage_args(file, bytes, mode), bytes, limits);
}

Result<void> swap(Host& host, const std::string& path, const std::optional<std::string>& expected,
                  std::string_view bytes, unsigned mode, const Limits& limits, const std::string& keep_as) {
  K4T_ASSIGN(const std::string file, plain(path));
  static const std::string script =
      std::string(stage) + std::string(compare) + std::string(keep) + std::string(replace);
  auto args = stage_args(file, bytes, mode);
  args.push_back(octal(0777 & ~mode));
  args.push_back(seconds_text(std::min(lock_patience, limits.timeout)));
  args.push_back(expected ? sha256_hex(*expected) : "absent");
  K4T_ASSIGN(args.emplace_back(), keep_as.empty() ? Result<std::string>(std::string()) : plain(keep_as));
  K4T_ASSIGN(auto output, run(host, script, std::move(args), bytes, limits));
  const std::string where = path + " on " + host.name();
  switch (output.exit_code) {
    case 0: return {};
    case exit_code::conflict:
      return Error{Status::conflict, where + " has another content than expected", std::move(output.out)};
    case exit_code::absent: return Error{Status::conflict, where + " is unexpectedly absent", {}};
    default: return script_error(host, "cannot change " + path, output);
  }
}

Result<void> make_folder(Host& host, const std::string& path, unsigned mode, const Limits& limits) {
  K4T_ASSIGN(const std::string folder, plain(path));
  std::vector<std::string> args{folder, octal(mode)};
  fs::path made;
  for (const auto& part : fs::path(folder)) {
    made /= part;
    if (made == made.root_path() || part.empty() || part == ".") continue;
    args.insert(args.end(), {made.string(), folder_of(made.string())});
  }
  return change(host, "cannot make the folder " + path, make_folder_script, std::move(args), {}, limits);
}

Result<std::vector<std::string>> list(Host& host, const std::string& path, const Limits& limits) {
  K4T_ASSIGN(const std::string folder, plain(path));
  K4T_ASSIGN(const auto output, run(host, list_script, {folder}, {}, limits));
  if (output.exit_code != 0) return script_error(host, "cannot list " + path, output);
  std::vector<std::string> names;
  for (std::size_t from = 0, end = 0; (end = output.out.find('\0', from)) != std::string::npos; from = end + 1) {
    names.push_back(output.out.substr(from, end - from));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> remove(Host& host, const std::string& path, const Limits& limits) {
  K4T_ASSIGN(const std::string file, plain(path));
  auto removed = change(host, "cannot delete " + path, remove_script, {file, folder_of(file)}, {}, limits);
  // The folder that is to be synced is not there either.
  if (removed.status() == Status::not_found) return {};
  return removed;
}

Result<void> sweep(Host& host, const std::string& path, const Limits& limits) {
  K4T_ASSIGN(const std::string folder, plain(path));
  return change(host, "cannot sweep " + path, sweep_script, {folder, std::string(stale_after_s)}, {}, limits);
}

}  // namespace k4t::transport::remote
