#include "scripts.hpp"

namespace k4t::nginx::scripts {

const std::string_view words = R"sh(
set -u
export LC_ALL=C
fail() { printf '%s\n' "$2"; [ $# -lt 3 ] || printf '%s\n' "$3"; exit "$1"; }
must() { "$@" || fail 23 "the host refuses: $*"; }
file_register() {
  sed -n '1{s/^# k4t 1 \([^ ]* [^ ]* [^ ]* [^ ]*\) sha256=[0-9a-f]\{64\}$/\1/p;q}' "$1" 2>/dev/null
}
rest_digest() { tail -n +2 "$1" 2>/dev/null | sha256sum | cut -c1-64; }
# The register of a version: of http.conf, or of stream.conf where somebody has damaged the first.
register_of() {
  found=$(file_register "$1/http.conf")
  [ -n "$found" ] || found=$(file_register "$1/stream.conf")
  printf '%s' "$found"
}
# Both files are as they were written, for this register.
holds() {
  for name in http stream; do
    [ "$(file_register "$1/$name.conf")" = "$2" ] || return 1
    [ "$(sed -n '1{s/.* sha256=//p;q}' "$1/$name.conf")" = "$(rest_digest "$1/$name.conf")" ] || return 1
  done
}
master_of() {
  master=$(head -n 1 "$1" 2>/dev/null | tr -cd 0-9)
  [ -n "$master" ] && grep -qs 'nginx: master process' "/proc/$master/cmdline"
}
children() { sed -n "s/^\([0-9]*\) (.*) [A-Z] $master .*/\1/p" /proc/[0-9]*/stat 2>/dev/null; }
stored_register() {
  if [ -L live ]; then
    stored=$(register_of live)
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
    if line=$(head -n 1 "$version/$name.conf" 2>&1); then
      printf 'line %s %.600s\n' "$name" "$line"
      echo "digest $name $(rest_digest "$version/$name.conf")"
    else
      echo "damage $line"
    fi
  done
  sed -n 's/^  listen \([^ ;]*\).*/listen \1/p' "$version/http.conf" "$version/stream.conf" 2>/dev/null | sort -u
  echo "changed $(stat -c %Z "$version/http.conf" "$version/stream.conf" 2>/dev/null | sort -n | tail -n 1)"
}

show_workers() {
  now=$(date +%s) up=$(cut -d. -f1 /proc/uptime) ticks=$(getconf CLK_TCK 2>/dev/null || echo 100)
  for pid in $(children); do
    start=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20)
    [ -n "$start" ] || continue
    if grep -qs 'is shutting down' "/proc/$pid/cmdline"; then state=retiring; else state=serving; fi
    echo "worker $pid $state $((now - up + start / ticks))"
  done
}

kind=$(stat -L -c %F "$folder" 2>&1)
case $kind in
  directory)
    if names=$(ls -A "$folder" 2>&1) && cd "$folder"; then
      echo "folder readable"
      if [ -L live ]; then show_live; elif [ -e live ]; then echo "damage 'live' is no symbolic link"; fi
      for staged in s-*; do [ ! -d "$staged" ] || echo "staged ${staged#s-}"; done
    else
      echo "folder unreadable"; echo "damage $names"
    fi ;;
  *'No such file'*) echo "folder absent" ;;
  *) echo "folder unreadable"; echo "damage $kind" ;;
esac
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

const std::string_view stage = R"sh(
folder=$1 txn=$2 seen=$3 digest=$4 http_bytes=$5 config=$6 needs_stream=$7
shift 7
must mkdir -p -m 755 "$folder"
must cd "$folder"
find . -maxdepth 1 -name '.tmp.*' -mmin +60 -exec rm -rf {} +
temporary=$(mktemp -d "$folder/.tmp.XXXXXX") || fail 23 "cannot write to $folder"
trap 'rm -rf "$temporary"' EXIT
must chmod 755 "$temporary"
must cat > "$temporary/input"
[ "$(sha256sum < "$temporary/input" | cut -c1-64)" = "$digest" ] || fail 23 "the new configuration arrived incomplete"
must head -c "$http_bytes" "$temporary/input" > "$temporary/http.conf"
must tail -c "+$((http_bytes + 1))" "$temporary/input" > "$temporary/stream.conf"
must rm "$temporary/input"

# nginx judges the main configuration with the staged files in place of the live ones. The copy has to be in the same
# folder, because relative includes begin there.
check=$(dirname "$config")/k4t-check.conf
exec 8>>check.lock && flock -x -w 20 8 || fail 22 "another check holds the lock of nginx's k4t folder"
pattern=$(printf '%s' "$folder" | sed 's/[.]/\\./g')
must sed "s|$pattern/live/|$temporary/|g" "$config" > "$check"
"$@" -T -q -c "$check" > "$temporary/dump" 2> "$temporary/errors" ||
  fail 24 "nginx refuses the configuration: $(grep -m 1 emerg "$temporary/errors" | sed 's/^nginx: //')" \
    "$(cat "$temporary/errors")"
grep -qF "# configuration file $temporary/http.conf:" "$temporary/dump" ||
  fail 24 "$config does not include $folder/live/http*.conf: add that line inside its http block"
[ "$needs_stream" = no ] || grep -qF "# configuration file $temporary/stream.conf:" "$temporary/dump" ||
  fail 24 "$config does not include $folder/live/stream*.conf: add a stream block with that line"
exec 8>&-
must rm -f "$temporary/dump" "$temporary/errors"

lock_folder
stored_register
[ "$stored" = "$seen" ] || fail 20 "nginx holds another register" "$stored"
must rm -rf "s-$txn"
must mv -T "$temporary" "s-$txn"
must sync "s-$txn/http.conf" "s-$txn/stream.conf" "s-$txn" .
)sh";

const std::string_view activate = R"sh(
folder=$1 seen=$2 target=$3 txn=$4 version=$5 pid_file=$6 served=$7 patience_s=$8
shift 8

point() {  # LINK VERSION: one rename, so that readers see the old or the new
  must rm -f "$1.new"
  must ln -s "$2" "$1.new"
  must mv -T "$1.new" "$1"
}

swap() {
  [ "$stored" = "$seen" ] || fail 20 "nginx holds another register" "$stored"
  before=$(readlink live || true)
  while [ "$before" = "$version" ]; do version=${version}r; done
  # A change that died after this rename left the version's folder without a stage: it serves as well.
  if holds "s-$txn" "$target"; then
    must rm -rf "$version"
    must mv -T "s-$txn" "$version"
  elif ! holds "$version" "$target"; then
    fail 21 "$txn is not staged for this target: prepare it again"
  fi
  must sync "$version/http.conf" "$version/stream.conf" "$version" .
  if [ -n "$before" ]; then point previous "$before"; else must rm -f previous; fi
  must sync .
  point live "$version"
  must sync .
}

# A configuration with which nginx cannot reload would also keep it from starting.
put_back() {
  if [ -n "$before" ]; then point live "$before"; else must rm -f live; fi
  must sync .
  rm -rf "s-$txn"
  must mv -T "$version" "s-$txn"
  must sync .
}

# Every process that was there before the reload has stopped accepting, and a new worker has begun.
switched() {
  fresh='' retiring=0
  for pid in $(children); do
    case " $old_children " in
      *" $pid "*)
        if grep -qs 'is shutting down' "/proc/$pid/cmdline"; then retiring=$((retiring + 1))
        elif [ -n "$(tr -d '\0' < "/proc/$pid/cmdline" 2>/dev/null)" ]; then return 1; fi ;;
      *) ! grep -qs 'nginx: worker process' "/proc/$pid/cmdline" || fresh=$pid ;;
    esac
  done
  [ -n "$fresh" ]
}

log_news() { [ -f "$log" ] && tail -c "+$((log_bytes + 1))" "$log" 2>/dev/null | grep -F '[emerg]'; }

reload() {
  old_children=$(children | tr '\n' ' ')
  log=$(readlink -f "/proc/$master/fd/2")
  log_bytes=$(stat -c %s "$log" 2>/dev/null || echo 0)
  reason=''
  if ! reason=$("$@" 2>&1); then verdict=refused; return 1; fi
  tries=$((patience_s * 50))
  while [ "$tries" -gt 0 ]; do
    if switched; then return 0; fi
    # nginx tries a port five times; any other emergency is final.
    if log_news | grep -qvF ' bind() to '; then
      reason=$(log_news) verdict=failed
      return 1
    fi
    tries=$((tries - 1))
    sleep 0.02
  done
  reason=$(log_news) verdict=late
  return 1
}

# Going back is right only while nginx does not serve the target: a decided version that is served never goes back.
may_put_back() {
  [ "$swapped" = yes ] && return 0
  before=$(readlink previous || true)
  if [ -n "$before" ]; then [ "$served" = "$(register_of "$before")" ]; else [ "$served" = BLANK ]; fi
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

prune() {
  for other in v*; do
    case $other in "$(readlink live)" | "$(readlink previous)") ;; *) rm -rf "$other" ;; esac
  done
  number=$(printf '%s' "$target" | cut -d' ' -f2)
  for other in s-*; do
    [ -d "$other" ] || continue
    its=$(register_of "$other" | cut -d' ' -f2)
    [ "${its:-0}" -gt "$number" ] 2>/dev/null || rm -rf "$other"
  done
}

cd "$folder" 2>/dev/null || fail 21 "$txn is not staged: there is no folder $folder"
lock_folder
master_of "$pid_file" || fail 23 "nginx does not run"
stored_register
swapped=no
stored_txn=$(printf '%s' "$stored" | cut -d' ' -f3)
if [ "$stored_txn" = "$txn" ] && holds live "$stored"; then
  version=$(readlink live)
else
  swap
  swapped=yes
fi
reload "$@" || give_up "$@"
[ "$swapped" = no ] || prune
rm -rf "s-$txn"
echo "$(register_of live)"
echo "nginx worker $fresh began, $retiring earlier ones are shutting down and accept nothing"
)sh";

const std::string_view discard = R"sh(
cd "$1" 2>/dev/null || exit 0
lock_folder
must rm -rf "s-$2"
must sync .
)sh";

}  // namespace k4t::nginx::scripts
