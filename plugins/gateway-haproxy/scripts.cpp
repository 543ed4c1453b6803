#include "scripts.hpp"

namespace k4t::haproxy {
namespace {

constexpr const char* common = R"perl(
use strict;
use warnings;
use Errno;
use Fcntl ':flock';
use IO::Handle;
use IO::Socket::UNIX;
use POSIX ();

binmode STDIN;
binmode STDOUT;
# What has begun is finished even when nobody listens any more.
$SIG{PIPE} = $SIG{HUP} = 'IGNORE';

sub nap { select undef, undef, undef, 0.02 }

sub frame { my ($name, $bytes) = @_; print "$name ", length $bytes, "\n", $bytes, "\n"; }

sub fail { frame('error', $_[0]); STDOUT->flush; exit 0; }

# A file's bytes; one that is known to be absent is empty.
sub slurp {
  my ($path) = @_;
  open my $in, '<:raw', $path or do { return '' if $!{ENOENT}; fail("cannot read $path: $!"); };
  local $/;
  my $bytes = <$in>;
  return defined $bytes ? $bytes : '';
}

# One command line's whole answer; undef where there is none. After a reload the master forgets to close the
# connection, so `$enough` can tell the end as well.
sub ask {
  my ($socket, $line, $seconds, $enough) = @_;
  my $link = IO::Socket::UNIX->new(Peer => $socket) or return undef;
  my $request = "$line\n";
  while (length $request) {
    my $sent = syswrite $link, $request;
    return undef unless $sent;
    substr($request, 0, $sent) = '';
  }
  my ($reply, $until) = ('', time + $seconds);
  while ((my $left = $until - time) > 0) {
    my $ready = '';
    vec($ready, fileno $link, 1) = 1;
    next unless select $ready, undef, undef, $left;
    my $got = sysread $link, $reply, 65536, length $reply;
    return undef unless defined $got;
    return $reply if !$got || (defined $enough && $reply =~ $enough);
  }
  return undef;
}

# What the master says of its processes; undef where it does not answer in time.
sub processes {
  my ($socket, $seconds) = @_;
  my $until = time + $seconds;
  do {
    my $reply = ask($socket, 'show proc', 2, qr/^# programs/m);
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
  } while (time < $until);
  return undef;
}

sub worker { my ($seen) = @_; return $seen && @{$seen->{workers}} == 1 ? $seen->{workers}[0] : undef; }
)perl";

constexpr const char* observe = R"perl(
my ($file, $work, $socket) = @ARGV;

sub first_line { my (@command) = @_; open my $from, '-|', @command or return ''; my $line = <$from>; return defined $line ? $line =~ s/\n//r : ''; }

# When a process began, by the wall clock; empty where the system does not tell.
sub started {
  my ($pid) = @_;
  open my $stat, '<', "/proc/$pid/stat" or return '';
  my $line = <$stat>;
  return '' unless defined $line && $line =~ /\) (.*)/s;
  my $ticks = (split / /, $1)[19];
  my $now = first_line('date', '+%s.%N');
  my ($uptime) = split / /, slurp('/proc/uptime');
  return '' unless $now && $uptime;
  return sprintf '%.3f', $now - $uptime + $ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

sub staged {
  opendir my $folder, $work or return '';
  return join "\n", map { /^(.+)\.cfg$/ ? $1 : () } sort readdir $folder;
}

sub put_file { my ($bytes) = @_; frame('file', $bytes); frame('previous', slurp("$work/previous")); frame('staged', staged()); }

for (1 .. 10) {
  my $before = slurp($file);
  my $seen = processes($socket, 2);
  if (!defined worker($seen)) {
    put_file($before);
    frame('down', $seen ? 'the master has no worker' : -S $socket ? 'nobody answers there' : 'there is no such socket');
    exit 0;
  }
  my $pid = worker($seen);
  my %said = map { $_->[0] => ask($socket, "\@!$pid $_->[1]; quit", 5) }
    (['variable', 'get var proc.k4t'], ['servers', 'show servers state'], ['stat', 'show stat -1 5 -1']);
  my ($changed, $started) = (-e $file ? first_line('stat', '-c', '%.9Z', $file) : '0', started($pid));
  my $again = worker(processes($socket, 2));
  # Only answers of one process beside one file tell anything about each other.
  next unless defined $again && $again eq $pid && slurp($file) eq $before;
  next if grep { !defined $said{$_} } keys %said;
  put_file($before);
  frame('worker', $pid);
  frame($_, $said{$_}) for sort keys %said;
  frame('changed', $changed);
  frame('started', $started);
  exit 0;
}
fail('HAProxy is being changed all the time');
)perl";

constexpr const char* commit = R"perl(
my ($file, $work, $socket, $mode, $text, $stage, $seconds, $added, $vouched) = @ARGV;

# All input first: a connection that breaks in the middle of it must change nothing.
my %input;
while (defined(my $line = <STDIN>)) {
  $line =~ /^(\w+) (\d+)\n$/ or fail('the input is damaged');
  my ($name, $bytes) = ($1, '');
  my $got = read STDIN, $bytes, $2;
  defined $got && $got == $2 && defined(my $end = <STDIN>) or fail('the input is incomplete');
  $input{$name} = $bytes;
}
exists $input{end} or fail('the input is incomplete');

sub sync_folder { my ($path) = @_; open my $folder, '<', $path =~ s{/[^/]*$}{/}r or fail("cannot open the folder of $path: $!"); $folder->sync or fail("cannot sync the folder of $path: $!"); }

sub put {
  my ($path, $bytes) = @_;
  my $beside = "$work/new";
  open my $out, '>:raw', $beside or fail("cannot write $beside: $!");
  print $out $bytes and $out->flush and $out->sync and close $out or fail("cannot write $beside: $!");
  rename $beside, $path or fail("cannot rename $beside to $path: $!");
  sync_folder($path);
}

sub finish { my ($outcome) = @_; frame('outcome', $outcome); STDOUT->flush; exit 0; }

# Every answer is read: an error in the middle of a line of commands stops nothing by itself.
sub change_servers {
  my ($pid) = @_;
  my $confirmed = 0;
  defined ask($socket, "experimental-mode on; \@!$pid set var proc.k4t str(applying/$text); quit", 5) or return 0;
  # step: applying
  for my $line (split /\n/, $input{batch}) {
    my $reply = ask($socket, $line, 10);
    return 0 unless defined $reply;
    for (split /\n/, $reply) {
      if (/^New server registered\.$/) { ++$confirmed; }
      elsif (/\S/ && !/^Server deleted\.$/ && !/^Server still has connections attached to it/) { return 0; }
    }
    # step: changed
  }
  return 0 unless $confirmed == $added;
  my $reply = ask($socket, "experimental-mode on; \@!$pid set var proc.k4t str($text/runtime); \@!$pid get var proc.k4t; quit", 5);
  return defined $reply && index($reply, "value=<$text/runtime>") >= 0;
}

# Which servers were down, so that the new process does not try them again. Nothing is passed on of those that were
# taken out of use: the file alone says who is in use.
sub keep_health {
  my ($pid) = @_;
  my $state = ask($socket, "\@!$pid show servers state; quit", 5);
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
  my $before = processes($socket, 5);
  my $pid = worker($before);
  return 'failed' unless defined $pid;
  keep_health($pid);
  # step: reloading
  ask($socket, 'reload', 5);
  my $until = time + $seconds;
  while (time < $until) {
    my $now = processes($socket, 1);
    if ($now && $now->{reloads} > $before->{reloads}) {
      return 'failed' if $now->{failed} > 0;
      my $new = worker($now);
      if (defined $new && $new ne $pid) {
        my $reply = ask($socket, "\@!$new get var proc.k4t; quit", 5);
        return 'reload' if defined $reply && index($reply, "value=<$text>") >= 0;
      }
    }
    nap;
  }
  return 'undecided';
}

open my $lock, '>>', "$work/lock" or fail("cannot open $work/lock: $!");
my $patience = time + 10;
until (flock $lock, LOCK_EX | LOCK_NB) { finish('busy') if time >= $patience; nap; }
# step: locked
my $there = slurp($file);
finish('conflict') if $there ne $input{old};
if ($there ne $input{new}) {
  put("$work/previous", $there);
  # step: kept
  put($file, $input{new});
}
# step: renamed
my $outcome = 'reload';
if ($mode eq 'runtime') {
  my $pid = worker(processes($socket, 5));
  $outcome = 'runtime' if defined $pid && change_servers($pid);
}
$outcome = reload() if $outcome ne 'runtime';
# step: verdict
if ($outcome eq 'failed') {
  put($file, $input{fallback});
  # step: restored
  # The file is younger now than the process that serves it; who knew them to agree says so.
  my $pid = worker(processes($socket, 5));
  ask($socket, "experimental-mode on; \@!$pid set var proc.k4t str($vouched/runtime); quit", 5) if defined $pid && $vouched ne '';
  finish('restored');
}
finish($outcome) if $outcome eq 'undecided';
# What was down then says nothing about a start at another time.
put("$work/servers", "1\n") if $outcome eq 'reload';
unlink "$work/$stage";
finish($outcome);
)perl";

constexpr const char* connections = R"perl(
my ($socket) = @ARGV;

ATTEMPT: for (1 .. 10) {
  my $seen = processes($socket, 2) or fail('nobody answers there');
  my @pids = (@{$seen->{workers}}, @{$seen->{retiring}});
  my @answers;
  for my $pid (@pids) {
    my $reply = ask($socket, "\@!$pid show stat -1 4 -1; quit", 5);
    # A process that ended meanwhile is gone from the next list; one that is still there must answer.
    if (!defined $reply || $reply !~ /^# pxname/) { nap; next ATTEMPT; }
    push @answers, $reply;
  }
  my $again = processes($socket, 2) or fail('nobody answers there');
  my %listed = map { $_ => 1 } @pids;
  # A process that began meanwhile was not asked.
  next if grep { !$listed{$_} } @{$again->{workers}}, @{$again->{retiring}};
  frame('stat', $_) for @answers;
  frame('asked', scalar @answers);
  exit 0;
}
fail('its processes come and go all the time');
)perl";

}  // namespace

const std::string& observe_script() {
  static const std::string script = std::string(common) + observe;
  return script;
}

const std::string& commit_script() {
  static const std::string script = std::string(common) + commit;
  return script;
}

const std::string& connections_script() {
  static const std::string script = std::string(common) + connections;
  return script;
}

}  // namespace k4t::haproxy
