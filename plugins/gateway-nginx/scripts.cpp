#include "scripts.hpp"

namespace k4t::nginx::scripts {

// A program that is started costs a millisecond, so that what the shell can do by itself it does. Its `read` takes one
// line and leaves the rest of the file to whoever reads on.
const std::string_view words = R"sh(
set -u
export LC_ALL=C
line_end='
'
fail() { printf '%s\n' "$2"; [ $# -lt 3 ] || printf '%s\n' "$3"; exit "$1"; }
must() { "$@" || fail 23 "the host refuses: $*"; }
first_line() { line=''; { IFS= read -r line < "$1"; } 2>/dev/null || [ -n "$line" ]; }
# The register and the digest in a file's first line; nothing where it is not one that k4t writes.
read_register() {
  register='' register_digest=''
  first_line "$1" || return 0
  case $line in '# k4t 1 '*' sha256='*) ;; *) return 0 ;; esac
  said=${line##* sha256=} name=${line#'# k4t 1 '}
  name=${name%" sha256=$said"}
  case $name in *' '*' '*' '*' '*) return 0 ;; *' '*' '*' '*) ;; *) return 0 ;; esac
  case $said in *[!0-9a-f]*) return 0 ;; esac
  [ "${#said}" -ne 64 ] || register=$name register_digest=$said
}
# The digest of all but the first line.
rest_digest() { { IFS= read -r line; sha256sum; } < "$1"; }
# The register of a version: of http.conf, or of stream.conf where somebody has damaged the first.
register_of() {
  read_register "$1/http.conf"
  [ -n "$register" ] || read_register "$1/stream.conf"
}
# Both files are as they were written, for this register.
holds() {
  said_http='' said_stream=''
  read_register "$1/http.conf"
  [ "$register" = "$2" ] && said_http=$register_digest || return 1
  read_register "$1/stream.conf"
  [ "$register" = "$2" ] && said_stream=$register_digest || return 1
  [ "$(rest_digest "$1/http.conf"; rest_digest "$1/stream.conf")" = "$said_http  -$line_end$said_stream  -" ]
}
title_of() { if first_line "/proc/$1/cmdline"; then title=$line; else title=''; fi; }
master_of() {
  master='' title=''
  { read -r master < "$1"; } 2>/dev/null || :
  case $master in '' | *[!0-9]*) master=''; return 1 ;; esac
  title_of "$master"
  case $title in *'nginx: master process'*) ;; *) return 1 ;; esac
}
need_master() {
  master_of "$1" && return 0
  [ -n "$master" ] || fail 23 "nginx does not run: there is no pid in $1; start nginx"
  fail 23 "nginx's master process $master is dead: end its workers and start nginx again"
}
# While one child ends the kernel may leave out another one; but the one that ends was listed then, and next time is not.
list_children() {
  list=/proc/$master/task/$master/children
  if [ -e "$list" ]; then
    children='' again=none
    until [ "$children" = "$again" ]; do
      children=$again
      if first_line "$list"; then again=$line; else again=''; fi
    done
  else
    children=$(sed -n "s/^\([0-9]*\) (.*) [A-Z] $master .*/\1/p" /proc/[0-9]*/stat 2>/dev/null | tr '\n' ' ')
  fi
}
stored_register() {
  if [ -L live ]; then
    register_of live
    stored=$register
    [ -n "$stored" ] || fail 23 "the live configuration's register is unreadable: restore the first line of its files"
  elif [ -e live ]; then
    fail 23 "'live' in nginx's k4t folder is no symbolic link: remove it"
  else
    stored=BLANK
  fi
}
# What is behind the lock happens once at a time; the kernel lets go of it when the process dies.
lock_folder() { exec 9>>lock && flock -x -w 10 9 || fail 22 "another change holds the lock of nginx's k4t folder"; }
)sh";

const std::string_view snapshot = R"sh(
folder=$1 pid_file=$2 status_port=$3

show_live() {
  version=$(readlink live)
  echo "live $version"
  for name in http stream; do
    file=$version/$name.conf
    if [ -f "$file" ] && [ -r "$file" ]; then
      first_line "$file"
      printf 'line %s %.600s\n' "$name" "$line"
      sum=$(rest_digest "$file")
      echo "digest $name ${sum%% *}"
    else
      echo "damage $(head -n 1 "$file" 2>&1)"
    fi
  done
  stat -c 'changed %Z' "$version/http.conf" "$version/stream.conf" 2>/dev/null
}

show_workers() {
  list_children
  [ -n "$children" ] || return 0
  now=$(date +%s) ticks=$(getconf CLK_TCK 2>/dev/null || echo 100)
  first_line /proc/uptime
  up=${line%%.*}
  for pid in $children; do
    title_of "$pid"
    first_line "/proc/$pid/stat" || continue
    set -- ${line##*) }
    case $title in *'is shutting down'*) state=retiring ;; *) state=serving ;; esac
    echo "worker $pid $state $((now - up + ${20} / ticks))"
  done
}

if cd "$folder" 2>/dev/null && [ -r . ]; then
  echo "folder readable"
  if [ -L live ]; then show_live; elif [ -e live ]; then echo "damage 'live' is no symbolic link"; fi
  for staged in s-*; do [ ! -d "$staged" ] || echo "staged ${staged#s-}"; done
else
  case $(stat -L -c %F "$folder" 2>&1) in
    *'No such file'*) echo "folder absent" ;;
    *) echo "folder unreadable"; echo "damage $(ls -A "$folder" 2>&1 | head -n 1)" ;;
  esac
fi
if master_of "$pid_file"; then
  echo "master alive $master"
  show_workers
else
  echo "master dead ${master:-0}"
fi
if ! listening=$(ss -Htln "sport = :$status_port" 2>&1); then echo "status unknown"
elif [ -n "$listening" ]; then echo "status listening"
else echo "status silent"; fi
echo end
)sh";

const std::string_view live_listens = R"sh(
cd "$1" && grep -h '^  listen ' live/http.conf live/stream.conf 2>/dev/null
echo end
)sh";

const std::string_view stage = R"sh(
folder=$1 txn=$2 seen=$3 digest=$4 http_bytes=$5 config=$6 needs_stream=$7 pid_file=$8 redirect=$9
shift 9
stream=$1
shift
need_master "$pid_file"
[ -d "$folder" ] || must mkdir -p -m 755 "$folder"
must cd "$folder"
need_seen() {
  stored_register
  [ "$stored" = "$seen" ] || fail 20 "nginx holds another register" "$stored"
}
need_seen
for left in .tmp.*; do
  [ ! -d "$left" ] || { find . -maxdepth 1 -name '.tmp.*' -mmin +60 -exec rm -rf {} +; break; }
done
# A pid is used again, and the folder of one that died may still be there.
tries=0
until temporary=$folder/.tmp.$$.$tries && mkdir -m 755 "$temporary" 2>/dev/null; do
  tries=$((tries + 1))
  [ "$tries" -lt 10 ] || fail 23 "cannot write to $folder"
done
trap 'rm -rf "$temporary"' EXIT
must cat > "$temporary/http.conf"
sum=$(sha256sum < "$temporary/http.conf")
[ "${sum%% *}" = "$digest" ] || fail 23 "the new configuration arrived incomplete"
if [ -n "$stream" ]; then
  printf '%s' "$stream" > "$temporary/stream.conf" || fail 23 "cannot write to $folder"
else
  must tail -c "+$((http_bytes + 1))" "$temporary/http.conf" > "$temporary/stream.conf"
  must truncate -s "$http_bytes" "$temporary/http.conf"
fi

# nginx judges the main configuration with the staged files in place of the live ones. The copy has to be in the same
# folder, because relative includes begin there. What is included instead of the live files names the staged ones, and a
# log that is not there yet, which nginx makes when it has read so far: it proves that the staged file was judged.
check=${config%/*}/k4t-check.conf
exec 8>>check.lock && flock -x -w 20 8 || fail 22 "another check holds the lock of nginx's k4t folder"
[ -d check ] || must mkdir -m 755 check
number=0
while [ -e "check/$number.http" ] || [ -e "check/$number.stream" ]; do number=$((number + 1)); done
[ "$number" -lt 50 ] || { must rm -f check/*.http check/*.stream; number=0; }
for name in http stream; do
  printf 'include %s/%s.conf;\nerror_log %s/check/%s.%s;\n' "$temporary" "$name" "$folder" "$number" "$name" \
    > "check/$name.conf" || fail 23 "cannot write to $folder"
done
must sed "$redirect" "$config" > "$check"
# Before the check and behind its lock: while nginx checks, it listens at all that is free.
if sockets=$(ss -Htlnp 2>/dev/null); then listing=sockets; else listing=unknown; fi
errors=$("$@" -t -q -c "$check" 2>&1) ||
  fail 24 "nginx refuses the configuration: $(printf '%s\n' "$errors" | grep -m 1 emerg | sed 's/^nginx: //')" "$errors"
[ -e "check/$number.http" ] ||
  fail 24 "$config does not include $folder/live/http*.conf: add that line inside its http block"
[ "$needs_stream" = no ] || [ -e "check/$number.stream" ] ||
  fail 24 "$config does not include $folder/live/stream*.conf: add a stream block with that line"
exec 8>&-

lock_folder
need_seen
[ ! -e "s-$txn" ] || must rm -rf "s-$txn"
must mv -T "$temporary" "s-$txn"
trap - EXIT
must sync "s-$txn/http.conf" "s-$txn/stream.conf" "s-$txn" .
list_children
printf '%s\n' "own $master $children" "$listing" "$sockets" end
)sh";

const std::string_view activate = R"sh(
folder=$1 seen=$2 target=$3 txn=$4 version=$5 pid_file=$6 served=$7 patience_s=$8
shift 8

point_live() {  # one rename, so that readers see the old or the new
  must ln -sfn "$1" live.new
  must mv -T live.new live
}

swap() {
  [ "$stored" = "$seen" ] || fail 20 "nginx holds another register" "$stored"
  before=''
  [ ! -L live ] || before=$(readlink live)
  while [ "$before" = "$version" ]; do version=${version}r; done
  # A change that died after this rename left the version's folder without a stage: it serves as well.
  if holds "s-$txn" "$target"; then
    [ ! -e "$version" ] || must rm -rf "$version"
    must mv -T "s-$txn" "$version"
  elif ! holds "$version" "$target"; then
    fail 21 "$txn is not staged for this target: prepare it again"
  fi
  echo "$before" > "$version/previous" || fail 23 "cannot write to $folder"
  must sync "$version/http.conf" "$version/stream.conf" "$version/previous" "$version" .
  point_live "$version"
  must sync .
}

# A configuration with which nginx cannot reload would also keep it from starting.
put_back() {
  if [ -n "$before" ]; then point_live "$before"; else must rm -f live; fi
  must sync .
  must rm -rf "s-$txn" "$version/previous"
  must mv -T "$version" "s-$txn"
  must sync .
}

# Every process that was there before the reload has stopped accepting, and a new worker has begun.
switched() {
  fresh='' retiring=0
  list_children
  for pid in $children; do
    title_of "$pid"
    case " $old_children " in
      *" $pid "*)
        case $title in *'is shutting down'*) retiring=$((retiring + 1)) ;; '') ;; *) return 1 ;; esac ;;
      *) case $title in *'nginx: worker process'*) fresh=$pid ;; esac ;;
    esac
  done
  [ -n "$fresh" ]
}

# From here on what nginx writes to its error log is news. A log that is none, or that cannot be read, has none.
follow_log() {
  log=/proc/$master/fd/2 emergencies='' part='' following=no
  [ -f "$log" ] && [ -r "$log" ] && { command exec 7< "$log"; } 2>/dev/null && tail -c 1 <&7 >/dev/null && following=yes
}

# nginx tries a port five times; any other emergency is final. A line counts when all of it is there.
failed_for_good() {
  [ "$following" = yes ] || return 1
  news=''
  if IFS= read -r news <&7; then news=$news$line_end; elif [ -z "$news" ]; then return 1; fi
  news=$part$news$(cat <&7; echo x)
  news=${news%x} part=${news##*"$line_end"}
  news=${news%"$part"}
  case $news in *'[emerg]'*) ;; *) return 1 ;; esac
  emergencies=$emergencies$(printf '%s' "$news" | grep -F '[emerg]')$line_end
  printf '%s' "$emergencies" | grep -qvF ' bind() to '
}

# nginx's own command reads the whole configuration before it sends a signal. Without it, what nginx finds wrong is in the
# log, so that it is needed where the log or the signal is out of reach.
ask_for_reload() {
  [ "$following" = yes ] && kill -s HUP "$master" 2>/dev/null && return 0
  reason=$("$@" 2>&1)
}

uptime_ms() {
  first_line /proc/uptime
  line=${line%% *}
  now_ms=$((${line%.*} * 1000 + 1${line#*.}0 - 1000))
}

reload() {
  uptime_ms
  until_ms=$((now_ms + patience_s * 1000))
  list_children
  old_children=$children
  follow_log
  reason=''
  if ! ask_for_reload "$@"; then verdict=refused; return 1; fi
  prune
  # It lets new and old workers accept side by side for 100 ms, so that there is nothing to be seen sooner.
  sleep 0.1
  pause_ms=4
  until switched; do
    if failed_for_good; then reason=$emergencies verdict=failed; return 1; fi
    uptime_ms
    if [ "$now_ms" -ge "$until_ms" ]; then reason=$emergencies verdict=late; return 1; fi
    [ "$pause_ms" -ge 20 ] || pause_ms=$((pause_ms + 1))
    if [ "$pause_ms" -lt 10 ]; then sleep "0.00$pause_ms"; else sleep "0.0$pause_ms"; fi
  done
}

# Going back is right only while nginx does not serve the target: a decided version that is served never goes back.
may_put_back() {
  [ "$swapped" = yes ] && return 0
  { IFS= read -r before < "$version/previous"; } 2>/dev/null || return 1
  register=BLANK
  [ -z "$before" ] || register_of "$before"
  [ "$served" = "$register" ]
}

give_up() {
  where="the new configuration is left in place"
  if may_put_back; then
    put_back
    # A reload that is only late would still take effect: ask for the old one after it.
    [ "$verdict" != late ] || "$@" >/dev/null 2>&1
    where="the version before is in place again"
  fi
  first=$(printf '%s\n' "$reason" | grep -m 1 -F emerg | sed 's/^[^[]*//; s/^nginx: //')
  case "$verdict$reason" in
    refused* | failed*) case "$reason" in *' bind() to '*) code=23 ;; *) code=24 ;; esac ;;
    *) code=23 ;;
  esac
  : "${first:=no new worker within $patience_s s}"
  fail "$code" "nginx did not take the new configuration, $where: $first" "$reason"
}

# Nobody goes back further than to the version before, and no stage of an older version is decided any more.
prune() {
  set -- "s-$txn"
  if [ "$swapped" = yes ]; then
    for other in v*; do
      case $other in "$version" | "$before") ;; *) set -- "$@" "$other" ;; esac
    done
    number=${target#* }
    number=${number%% *}
    for other in s-*; do
      [ -d "$other" ] || continue
      register_of "$other"
      its=${register#* }
      its=${its%% *}
      [ "${its:-0}" -gt "$number" ] 2>/dev/null || set -- "$@" "$other"
    done
  fi
  rm -rf "$@"
}

cd "$folder" 2>/dev/null || fail 21 "$txn is not staged: there is no folder $folder"
lock_folder
need_master "$pid_file"
stored_register
swapped=no
stored_txn=${stored#* * }
stored_txn=${stored_txn%% *}
if [ "$stored_txn" = "$txn" ] && holds live "$stored"; then
  [ "$served" != UNASKED ] || { echo "served?"; exit 0; }
  version=$(readlink live)
else
  swap
  swapped=yes
fi
reload "$@" || give_up "$@"
register_of live
echo "$register"
echo "nginx worker $fresh began, $retiring earlier ones are shutting down and accept nothing"
)sh";

const std::string_view discard = R"sh(
cd "$1" 2>/dev/null || exit 0
lock_folder
must rm -rf "s-$2"
must sync .
)sh";

}  // namespace k4t::nginx::scripts
