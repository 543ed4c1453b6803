#include "scripts.hpp"

namespace k4t::haproxy {
namespace {

constexpr const char* talk = R"perl(
use strict;
use warnings;
use Errno;
use Fcntl ':flock';
use IO::Handle;
use POSIX ();
use Socket;

binmode STDIN;
binmode STDOUT;
# What has begun is finished even when nobody listens any more.
$SIG{PIPE} = $SIG{HUP} = 'IGNORE';
umask 022;

my ($file, $work, $socket, $idle_s) = @ARGV;
my $answer = '';

sub frame { my ($name, $bytes) = @_; $answer .= "$name " . length($bytes) . "\n$bytes\n"; }

sub fail { die "$_[0]\n"; }

sub nap { select undef, undef, undef, 0.004 }

# Seconds, by a clock that nobody sets.
sub now { return (POSIX::times())[0] / POSIX::sysconf(POSIX::_SC_CLK_TCK()); }

sub wait_for {
  my ($link, $to_write, $until) = @_;
  my $ready = '';
  vec($ready, fileno $link, 1) = 1;
  my $left = $until - now();
  return $left > 0 && 0 < ($to_write ? select undef, $ready, undef, $left : select $ready, undef, undef, $left);
}

sub dial {
  my ($until) = @_;
  do {
    socket my $link, AF_UNIX, SOCK_STREAM, 0 or fail("cannot make a socket: $!");
    $link->blocking(0);
    return $link if connect $link, pack_sockaddr_un($socket);
    # The master has more callers than it has room for.
    return undef unless $!{EAGAIN};
    nap;
  } while (now() < $until);
  return undef;
}

# One command line's whole answer; undef where there is none. After a reload the master forgets to close the
# connection, so `$enough` can tell the end as well.
sub ask {
  my ($line, $seconds, $enough) = @_;
  my $until = now() + $seconds;
  my $link = dial($until) or return undef;
  my ($request, $reply) = ("$line\n", '');
  while (length $request) {
    my $sent = syswrite $link, $request;
    if (defined $sent) { substr($request, 0, $sent) = ''; next; }
    return undef unless $!{EAGAIN} && wait_for($link, 1, $until);
  }
  while (wait_for($link, 0, $until)) {
    my $got = sysread $link, $reply, 65536, length $reply;
    next if !defined $got && $!{EAGAIN};
    return undef unless defined $got;
    return $reply if !$got || (defined $enough && $reply =~ $enough);
  }
  return undef;
}

# A file's bytes; one that is known to be absent is empty.
sub slurp {
  my ($path) = @_;
  open my $in, '<:raw', $path or do { return '' if $!{ENOENT}; fail("cannot read $path: $!"); };
  local $/;
  my $bytes = <$in>;
  return defined $bytes ? $bytes : '';
}

# Whole for every reader, but not yet safe from a power cut.
sub replace_file {
  my ($path, $bytes, $durable) = @_;
  my $beside = "$work/new.$$";
  open my $out, '>:raw', $beside or fail("cannot write $beside: $!");
  print $out $bytes and $out->flush or fail("cannot write $beside: $!");
  if ($durable) { $out->sync or fail("cannot write $beside: $!"); }
  close $out or fail("cannot write $beside: $!");
  rename $beside, $path or fail("cannot rename $beside to $path: $!");
}

sub sync_folder {
  my ($path) = @_;
  open my $folder, '<', $path =~ s{/[^/]*$}{/}r or fail("cannot open the folder of $path: $!");
  $folder->sync or fail("cannot sync the folder of $path: $!");
}

sub put { my ($path, $bytes) = @_; replace_file($path, $bytes, 1); sync_folder($path); }

# What the master says of its processes; undef where it does not answer in time.
sub processes {
  my ($seconds) = @_;
  my $until = now() + $seconds;
  do {
    my $reply = ask('show proc', 2, qr/^# programs/m);
    if (defined $reply && $reply =~ /^\d+\s+master\s+(\d+) \[failed: (\d+)\].*^# programs/ms) {
      my %seen = (reloads => $1, failed => $2, workers => [], retiring => []);
      my $into = 'none';
      for (split /\n/, $reply) {
        $into = $1 eq 'workers' ? 'workers' : $1 eq 'old workers' ? 'retiring' : 'none' if /^# (.*)/;
        push @{$seen{$into}}, $1 if $into ne 'none' && /^(\d+)\s+worker\s/;
      }
      return \%seen;
    }
    nap;
  } while (now() < $until);
  return undef;
}

sub worker { my ($seen) = @_; return $seen && @{$seen->{workers}} == 1 ? $seen->{workers}[0] : undef; }
)perl";

constexpr const char* observe = R"perl(
sub first_line { my (@command) = @_; open my $from, '-|', @command or return ''; my $line = <$from>; return defined $line ? $line =~ s/\n//r : ''; }

# When a process began, in seconds since the machine did; undef where the system does not tell.
sub started {
  my ($pid) = @_;
  open my $stat, '<', "/proc/$pid/stat" or return undef;
  my $line = <$stat>;
  return undef unless defined $line && $line =~ /\) (.*)/s;
  return (split / /, $1)[19] / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# Frames `changed` and `started`, by the wall clock. Fractions of a second cost a process each, so they are looked at
# only where whole ones do not tell which came first.
sub put_times {
  my ($pid) = @_;
  my $changed = (stat $file)[10] // 0;
  my ($started, $now) = (started($pid), time);
  my ($uptime) = split / /, slurp('/proc/uptime');
  if (!defined $started || !$uptime) { $started = ''; }
  elsif ($changed + 1 <= $now - $uptime + $started) { $started += $now - $uptime; }
  else {
    $now = first_line('date', '+%s.%N');
    ($uptime) = split / /, slurp('/proc/uptime');
    $started = $now && $uptime ? sprintf('%.3f', $now - $uptime + $started) : '';
    $changed = -e $file ? first_line('stat', '-c', '%.9Z', $file) : '0';
  }
  frame('changed', $changed);
  frame('started', $started);
}

sub staged {
  opendir my $folder, $work or return '';
  return join "\n", map { /^(.+)\.cfg$/ ? $1 : () } sort readdir $folder;
}

sub put_file { my ($bytes) = @_; frame('file', $bytes); frame('previous', slurp("$work/previous")); frame('staged', staged()); }

# What a process says of itself, after other commands in one line with these.
sub sayings {
  my ($pid, @first) = @_;
  my @asked = map { "\@!$pid $_" } 'get var proc.k4t', 'show servers state', 'show stat -1 5 -1';
  return ask(join('; ', @first, @asked, 'quit'), 5);
}

# The sayings taken apart; nothing where they are not whole.
sub parts {
  my ($said) = @_;
  my ($servers, $stat) = (index($said, "\n1\n# be_id "), index $said, "\n# pxname,");
  return unless 0 <= $servers && $servers < $stat;
  return (variable => substr($said, 0, $servers), servers => substr($said, $servers, $stat - $servers), stat => substr $said, $stat);
}

# `$said`, where it is given: what process `$pid` said right now.
sub look {
  my ($pid, $said) = @_;
  for (1 .. 10) {
    my $before = slurp($file);
    if (!defined $said) {
      my $seen = processes(2);
      $pid = worker($seen);
      if (!defined $pid) {
        put_file($before);
        frame('down', $seen ? 'the master has no worker' : -S $socket ? 'nobody answers there' : 'there is no such socket');
        return;
      }
      $said = sayings($pid);
    }
    my %part = defined $said ? parts($said) : ();
    undef $said;
    my $again = worker(processes(2));
    # Only answers of one process beside one file tell anything about each other.
    next unless %part && defined $again && $again eq $pid && slurp($file) eq $before;
    put_file($before);
    frame('worker', $pid);
    frame($_, $part{$_}) for sort keys %part;
    # One that was changed after it had read the file says so itself, and nobody asks when it read it.
    put_times($pid) unless $part{variable} =~ m{/runtime>$};
    return;
  }
  fail('HAProxy is being changed all the time');
}

sub connections {
  ATTEMPT: for (1 .. 10) {
    my $seen = processes(2) or fail('nobody answers there');
    my @pids = (@{$seen->{workers}}, @{$seen->{retiring}});
    my @answers;
    for my $pid (@pids) {
      my $reply = ask("\@!$pid show stat -1 4 -1; quit", 5);
      # A process that ended meanwhile is gone from the next list; one that is still there must answer.
      if (!defined $reply || $reply !~ /^# pxname/) { nap; next ATTEMPT; }
      push @answers, $reply;
    }
    my $again = processes(2) or fail('nobody answers there');
    my %listed = map { $_ => 1 } @pids;
    # A process that began meanwhile was not asked.
    next if grep { !$listed{$_} } @{$again->{workers}}, @{$again->{retiring}};
    frame('stat', $_) for @answers;
    frame('asked', scalar @answers);
    return;
  }
  fail('its processes come and go all the time');
}
)perl";

constexpr const char* change = R"perl(
sub stage {
  my ($input) = @_;
  if (!-d $work) {
    mkdir $work or $!{EEXIST} or fail("cannot make $work: $!");
    sync_folder($work);
  }
  put("$work/$input->{stage}", $input->{text});
  frame('done', '');
}

sub unstage {
  my ($input) = @_;
  my $path = "$work/$input->{stage}";
  if (unlink $path) { sync_folder($path); }
  elsif (!$!{ENOENT} && !$!{ENOTDIR}) { fail("cannot delete $path: $!"); }
  frame('done', '');
}

sub read_stage {
  my ($input) = @_;
  frame('text', slurp("$work/$input->{stage}"));
}

# Every answer is read: an error in the middle of a line of commands stops nothing by itself. What the process says in
# the end; undef: not every command did what it should.
sub change_servers {
  my ($input, $pid) = @_;
  my $confirmed = 0;
  my $first = "experimental-mode on; \@!$pid set var proc.k4t str(applying/$input->{marker}); ";
  for my $line (split /\n/, $input->{batch}) {
    my $reply = ask($first . $line, 10);
    $first = '';
    return undef unless defined $reply;
    for (split /\n/, $reply) {
      if (/^New server registered\.$/) { ++$confirmed; }
      elsif (/\S/ && !/^Server deleted\.$/ && !/^Server still has connections attached to it/) { return undef; }
    }
    # step: changed
  }
  return undef unless $confirmed == $input->{added};
  my $text = "$input->{marker}/runtime";
  my $said = sayings($pid, "experimental-mode on; \@!$pid set var proc.k4t str($text)");
  return defined $said && index($said, "value=<$text>") >= 0 ? $said : undef;
}

# Which servers were down, so that the new process does not try them again. Nothing is passed on of those that were
# taken out of use: the file alone says who is in use.
sub keep_health {
  my ($pid) = @_;
  my $state = ask("\@!$pid show servers state; quit", 5);
  my $kept = "1\n";
  if (defined $state && $state =~ /^1\n(# be_id .*)/m) {
    my @names = split / /, substr $1, 2;
    my ($admin) = grep { $names[$_] eq 'srv_admin_state' } 0 .. $#names;
    $kept .= "$1\n";
    for (split /\n/, $state) {
      next unless /^\d+ k4t-be-/ && defined $admin;
      # One that was taken out of use is stopped for that reason alone: without a check it would stay so for ever.
      $kept .= "$_\n" if (split / /)[$admin] eq '0';
    }
  }
  put("$work/servers", $kept);
}

# "reload", "failed" or "undecided".
sub reload {
  my ($input) = @_;
  my $before = processes(5);
  my $pid = worker($before);
  return 'failed' unless defined $pid;
  keep_health($pid);
  # step: reloading
  ask('reload', 5);
  my $until = now() + $input->{seconds};
  while (now() < $until) {
    my $now = processes(1);
    if ($now && $now->{reloads} > $before->{reloads}) {
      return 'failed' if $now->{failed} > 0;
      my $new = worker($now);
      if (defined $new && $new ne $pid) {
        my $reply = ask("\@!$new get var proc.k4t; quit", 5);
        return 'reload' if defined $reply && index($reply, "value=<$input->{marker}>") >= 0;
      }
    }
    nap;
  }
  return 'undecided';
}

# The lock's holder, or undef where another one keeps it.
sub lock_file {
  open my $lock, '>>', "$work/lock" or fail("cannot open $work/lock: $!");
  return $lock if flock $lock, LOCK_EX | LOCK_NB;
  my $got = eval {
    local $SIG{ALRM} = sub { die "late\n" };
    alarm 10;
    my $locked = flock $lock, LOCK_EX;
    alarm 0;
    $locked;
  };
  alarm 0;
  return $got ? $lock : undef;
}

# What programs that died while they wrote left behind, once it is an hour old.
sub sweep {
  opendir my $folder, $work or return;
  for (grep { /^new\.\d+$/ } readdir $folder) {
    my $written = (stat "$work/$_")[9];
    unlink "$work/$_" if defined $written && $written < time - 3600;
  }
}

# New content takes the file's place. A stage was made durable when it was staged; then it moves there itself.
sub replace_content {
  my ($input, $there) = @_;
  # Matters only as long as the process that has read it lives, which is not beyond a power cut.
  replace_file("$work/previous", $there, 0);
  # step: kept
  my $stage = "$work/$input->{stage}";
  if (slurp($stage) eq $input->{new}) { rename $stage, $file or fail("cannot rename $stage to $file: $!"); }
  else { replace_file($file, $input->{new}, 1); }
  sync_folder($file);
}

# The outcome, and what the process said where servers alone were changed.
sub change {
  my ($input) = @_;
  my $lock = lock_file() or return 'busy';
  # step: locked
  sweep();
  my $there = slurp($file);
  return 'conflict' if $there ne $input->{old};
  # What was planned earlier counts as long as the stage is there and the same process serves.
  return 'moved' if $input->{planned} && slurp("$work/$input->{stage}") ne $input->{new};
  my $pid = $input->{worker} ne '' ? worker(processes(5)) : undef;
  return 'moved' if $input->{worker} ne '' && (!defined $pid || $pid ne $input->{worker});
  replace_content($input, $there) if $there ne $input->{new};
  # step: renamed
  my $said = exists $input->{batch} ? change_servers($input, $pid) : undef;
  my $outcome = defined $said ? 'runtime' : reload($input);
  # step: verdict
  if ($outcome eq 'failed') {
    my $fallback = exists $input->{fallback} ? $input->{fallback} : $input->{old};
    put("$work/$input->{stage}", $input->{new}) if $fallback ne $input->{new};
    put($file, $fallback);
    # step: restored
    # The file is younger now than the process that serves it; who knew them to agree says so.
    $pid = worker(processes(5));
    ask("experimental-mode on; \@!$pid set var proc.k4t str($input->{vouched}/runtime); quit", 5) if defined $pid && $input->{vouched} ne '';
    return 'restored';
  }
  return $outcome if $outcome eq 'undecided';
  # What was down then says nothing about a start at another time.
  put("$work/servers", "1\n") if $outcome eq 'reload';
  unlink "$work/$input->{stage}";
  return $outcome, $pid, $said;
}

sub replace {
  my ($input) = @_;
  my ($outcome, $pid, $said) = change($input);
  frame('outcome', $outcome);
  look($pid, $said) if $outcome eq 'runtime' || $outcome eq 'reload';
}
)perl";

constexpr const char* serve = R"perl(
# One request's frames; undef where the input ends before the next one. All input comes first: a connection that breaks
# in the middle of it must change nothing.
sub request {
  my %input;
  while (defined(my $line = <STDIN>)) {
    $line =~ /^(\w+) (\d+)\n$/ or fail('the input is damaged');
    my ($name, $bytes) = ($1, '');
    my $want = $2;
    my $got = read STDIN, $bytes, $want;
    defined $got && $got == $want && defined(my $end = <STDIN>) or return undef;
    return \%input if $name eq 'end';
    $input{$name} = $bytes;
  }
  return undef;
}

my %verbs = (
  look => sub { look() }, connections => \&connections, stage => \&stage, unstage => \&unstage, read_stage => \&read_stage,
  replace => \&replace);

while (1) {
  # Nobody is left who would ask, though the connection does not say so.
  my $ready = '';
  vec($ready, fileno STDIN, 1) = 1;
  last unless select $ready, undef, undef, $idle_s;
  my $input = request() or last;
  eval { $verbs{$input->{verb}}->($input); 1 } or do {
    $answer = '';
    frame('error', $@ =~ s/\n\z//r);
  };
  frame('end', '');
  print $answer and STDOUT->flush or last;
  $answer = '';
}
exit 0;
)perl";

}  // namespace

const std::string& program() {
  static const std::string text = std::string(talk) + observe + change + serve;
  return text;
}

}  // namespace k4t::haproxy
