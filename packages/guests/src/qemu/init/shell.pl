#!/bin/perl
# Programs and files of a running guest for its customer, over ports of their own: one session a port at a time (machine/shell-ports.ts).
# Perl's core alone, no modules: it lives in the RAM disk of images' guests, and is handed to other guests by their agent.
#
#   perl shell.pl ROOT JOB PORT...     ROOT: of what is reached; JOB: a file that says which process is the job, and what it was given, or -;
#                                      PORT: its name, the descriptor of what is open already, or a console's device (sessions.pl)
#
#   host                                             guest
#   R settings (NUL-separated KEY=VALUE)  ──────▶    a program starts: arg (many), env (many), user, workdir, tty=COLSxROWS; or files=1
#   I bytes, E                            ──────▶    its standard input, and its end;   ◀────── c u32: so much was taken
#   W COLSxROWS, S number                 ──────▶    the window's size; a signal to all that it started
#   Q                                     ──────▶    it is killed
#   P token                               ──────▶    answered by p token, when nothing runs here (any more)
#              ◀────── o bytes, e bytes              what it prints
#              ◀────── x CODE, or f CODE WORDS       it has ended, or could not be started; the next R may come
# Each is u32 length of what follows the letter, the letter, bytes.
defined &named or do((__FILE__ =~ m{^(.*/)} ? $1 : './') . 'who.pl') or die "who.pl: $@$!";
defined &begin or do((__FILE__ =~ m{^(.*/)} ? $1 : './') . 'program.pl') or die "program.pl: $@$!";
my ($root, $facts, @ports) = @ARGV;
my ($page, $frame_max, $ahead_max, $ends_max, $pipe_max) = (65536, 1 << 20, 1 << 19, 16, 1 << 20);
my ($NONBLOCK, $ASYNC, $GETFL, $SETFL, $SETOWN) = (04000, 020000, 3, 4, 8);
# no daemon is connected; a signal says when one is
my $LOOK_S = 10;
$SIG{PIPE} = 'IGNORE';
$^F = 2;

sub slurp { my ($f) = @_; open(my $h, '<', $f) or return ''; local $/; my $t = <$h> // ''; close $h; return $t }
sub nonblocking { my ($h, $more) = @_; my $flags = fcntl($h, $GETFL, 0) or return; fcntl($h, $SETFL, $flags | $NONBLOCK | ($more // 0)) }
sub spew_into { my ($f, $t) = @_; open(my $h, '>', $f) or return; syswrite($h, $t) }
sub framed { my ($letter, $bytes) = @_; return pack('N', length $bytes) . $letter . $bytes }

# -- consoles in place of ports: a process for each, which passes on what is said to a shell of each session --------------------------------

my $far;
# the descriptor, in that shell; whoever called this waits, and returns nowhere
sub console_session {
  my (@devices) = @_;
  defined &sessions or do((__FILE__ =~ m{^(.*/)} ? $1 : './') . 'sessions.pl') or die "sessions.pl: $@$!";
  for my $device (@devices) {
    my $pid = fork() // die "no process can be made: $!\n";
    next if $pid;
    my $console = console($device) or exit 1;
    my $shell;
    $far = sessions($console, sub {
      my ($before) = @_;
      close $before if $before;
      waitpid($shell, 0) if $shell;    # it ends what it has started
      socketpair(my $near, my $other, 1, 1, 0) && defined($shell = fork()) or exit 1;
      close($shell ? $other : $near);
      return $shell ? $near : $other;
    });
    close $console;
    return fileno $far;
  }
  1 while waitpid(-1, 0) > 0;
  exit 0;
}
my @consoles = grep { m{^/dev/} } @ports;
@ports = console_session(@consoles) if @consoles;

# -- what runs in a child, inside of the guest's own root ---------------------------------------------------------------------------------

# the job's settings (init.pl), and its first process where it has one
sub job {
  my ($pid, @pairs) = split /\0/, $facts eq '-' ? '' : slurp($facts);
  my %job = (pid => $pid // '', env => [], user => '', workdir => '');
  for (@pairs) {
    my ($key, $value) = split /=/, $_, 2;
    if ($key eq 'env') { push @{ $job{env} }, $value } elsif ($key eq 'user' || $key eq 'workdir' || $key eq 'hostname') { $job{$key} = $value }
  }
  return %job;
}

sub enter {
  my (%job) = @_;
  if ($job{pid} ne '' && -d "/proc/$job{pid}") {
    spew_into('/cgroup/job/cgroup.procs', '0');
    # it has only just begun: its root is its own when it has entered its other namespaces
    for (1 .. 1000) { last if (readlink("/proc/$job{pid}/ns/mnt") // '') ne (readlink('/proc/self/ns/mnt') // ''); select(undef, undef, undef, 0.02) }
    open(my $inside, '<', "/proc/$job{pid}/root") or die "the job has ended\n";
    my @spaces;
    for (['mnt', 0x20000], ['cgroup', 0x2000000], ['uts', 0x4000000], ['ipc', 0x8000000]) {
      open(my $space, '<', "/proc/$job{pid}/ns/$_->[0]") or next;
      push @spaces, [$space, $_->[1]];
    }
    syscall(308, fileno $_->[0], $_->[1]) for @spaces;    # setns
    syscall(81, fileno $inside) == 0 or die "no root: $!\n";    # fchdir
    chroot '.' or die "no root: $!\n";
  } elsif ($root ne '/') { chroot $root or die "no root: $!\n" }
  chdir '/';
}

# says why not, and `$say` ends it
sub become {
  my ($named, $env, $say) = @_;
  my %who = named($named, '');
  $say->(126, $who{problem}) if $who{problem};
  $env->{HOME} = $who{home} unless exists $env->{HOME};
  $env->{SHELL} = $who{shell} if $who{shell} ne '' && !exists $env->{SHELL};
  # it may open /dev/stdout, and its terminal
  chown $who{uid}, -1, $_ for *STDIN, *STDOUT, *STDERR;
  taken(%who) or $say->(126, 'the user cannot be taken');
}

# what the child that runs `$do` says when it cannot: CODE and words, through `$why`, which no program inherits
sub run {
  my ($set, $why) = @_;
  my $say = sub { my ($code, $words) = @_; chomp $words; syswrite($why, "$code $words"); syscall(231, $code) };    # exit_group: nothing is flushed
  my %job = job();
  eval { enter(%job); 1 } or $say->(125, $@);
  my %env = map { split /=/, $_, 2 } @{ $job{env} }, @{ $set->{env} };
  $env{PATH} = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' unless exists $env{PATH};
  # what its own program was given (container.pl)
  if (exists $job{hostname}) { %env = (HOSTNAME => $job{hostname}, TERM => 'xterm', container => 'oci', %env) }
  $env{TERM} = 'xterm' if exists $set->{tty} && !exists $env{TERM};
  become($set->{user} // $job{user}, \%env, $say) unless $set->{files};
  my $dir = $set->{workdir} // $job{workdir};
  $dir = '/' if $dir eq '';
  chdir $dir or $say->(126, "no directory $dir: $!");
  if ($set->{files}) { close $why; files(); sent_out(); syscall(231, 0) }
  my @args = @{ $set->{arg} };
  @args = (grep { -x $_ } $env{SHELL} // '', '/bin/bash', '/bin/sh')[0] // '/bin/sh' if !@args;
  begin(\@args, \%env, $say);
}

# -- files: requests and answers in order; each u32 length and NUL-separated fields ---------------------------------------------------------
#   look PATH, behind PATH                                 there KIND MODE UID GID SIZE MTIME TARGET, or none; behind: of what a link leads to
#   list PATH                                              there ..., one of each thing below it, parents first, with its path and, of a file of
#                                                          several names, which it is; lost PATH WORDS of one that cannot be looked at or into; ok
#   entries PATH                                           the same of what lies in it itself
#   part FILE                                              size BYTES: what is there already of a file that was cut off; 0 where nothing is
#   put PATH PART OFFSET BYTES MODE UID GID MTIME + bytes  ok: whole under its own name. UID and GID may be -: as whoever makes it
#   get PATH OFFSET                                        u32 length and bytes, again and again, 0; ok
#   can WORD                                               ok, or no: whether there is such a request
#   fill (as put; BYTES: its size) + runs                  ok: as put, of a file with holes
#   runs PATH OFFSET                                       runs; ok. A run: u64 place in the file, u32 length, bytes; one of no bytes says the size
#   folder PATH MODE UID GID                               ok; ok there: it was there, and stays as it is
#   link PATH TARGET UID GID, times PATH MODE MTIME        ok
#   name PATH FILE                                         ok: the same file has this name, too
# Anything else, and what fails: no WORDS
# What comes and goes of them is read and written together: a request for a small file is less than a call of the kernel's costs. Nothing that
# was said waits while more is read
my ($had, $at_had, $said) = ('', 0, '');
sub sent_out { my $at = 0; while ($at < length $said) { my $n = syswrite(STDOUT, $said, length($said) - $at, $at); syscall(231, 1) unless $n; $at += $n } $said = '' }
sub more { sent_out(); ($had, $at_had) = (substr($had, $at_had), 0); return sysread(STDIN, $had, 4 * $page, length $had) }
sub whole {
  my ($want) = @_;
  while (length($had) - $at_had < $want) { more() or return undef }
  $at_had += $want;
  return substr($had, $at_had - $want, $want);
}
sub out { my ($bytes) = @_; $said .= $bytes; sent_out() if length $said >= $page }
sub answer { my $text = join "\0", @_; out(pack('N', length $text) . $text) }

# `name`: its path in a list, undef where it is asked for alone
sub about {
  my ($path, $name, $is_behind) = @_;
  my @at = $is_behind ? stat $path : lstat $path or return;
  my ($kind, $target) = !$is_behind && -l _ ? ('link', readlink $path) : -d _ ? ('folder', '') : -f _ ? ('file', '') : ('other', '');
  my $which = $kind eq 'file' && $at[3] > 1 ? "$at[0]:$at[1]" : '';
  return ('there', $kind, $at[2] & 07777, @at[4, 5, 7, 9], $target, defined $name ? ($name, $which) : ());
}

# `$is_deep`: what is below its folders, too
sub below {
  my ($top, $name, $is_deep) = @_;
  my $dir = $name eq '' ? $top : "$top/$name";
  my $h;
  if (!opendir($h, $dir)) { return answer('lost', $name, "$!") if $name ne ''; die "$dir: $!\n" }
  my @names = grep { $_ ne '.' && $_ ne '..' } readdir $h;
  closedir $h;
  for (sort @names) {
    my $at = $name eq '' ? $_ : "$name/$_";
    my @about = about("$top/$at", $at);
    if (@about) { answer(@about) } elsif ($! != 2) { answer('lost', $at, "$!") }    # ENOENT: it went
    below($top, $at, 1) if $is_deep && @about && $about[1] eq 'folder';
  }
}

sub owned { my ($uid, $gid, $path) = @_; return $uid eq '-' || chown($uid, $gid, $path) }

# so many bytes of the other side's to the file as it stands; what came stays in the part where no more comes
sub laid {
  my ($file, $path, $part, $bytes, $why) = @_;
  while ($bytes > 0) {
    $at_had < length $had or more() or syscall(231, 1);
    my $piece = substr($had, $at_had, $bytes);
    my $n = length $piece;
    $at_had += $n;
    $bytes -= $n;
    for (my $at = 0; $why eq '' && $at < $n;) { my $m = syswrite($file, $piece, $n - $at, $at); if ($m) { $at += $m } else { $why = "$path: $!"; unlink $part } }    # a full disk is not left full
  }
  return $why;
}

sub put {
  my ($has_runs, $path, $part, $offset, $bytes, $mode, $uid, $gid, $mtime) = @_;
  my $file;
  my $why = -l $path || !-e _ || -f _ ? '' : -d _ ? "$path is a folder" : "$path is a device or the like, and no file";
  my $flags = 01 | 0400000 | ($offset == 0 ? 0100 | 0200 : 0);    # O_WRONLY, O_NOFOLLOW, O_CREAT, O_EXCL
  if ($why eq '') {
    # nobody else's link is written through: what stands there (EEXIST) is ours or in the way
    sysopen($file, $part, $flags, 0600) or $offset == 0 && $! == 17 && unlink($part) && sysopen($file, $part, $flags, 0600) or $why = "$path: $!";
    $why eq '' && $offset > 0 && !sysseek($file, $offset, 0) and $why = "$path: $!";
  }
  $why = laid($file, $path, $part, $bytes, $why) unless $has_runs;
  while ($has_runs) {
    my ($at, $n) = unpack('Q>N', whole(12) // syscall(231, 1));
    if ($n == 0) { $why eq '' && !truncate($file, $bytes) and $why = "$path: $!"; last }
    $why eq '' && !sysseek($file, $at, 0) and $why = "$path: $!";
    $why = laid($file, $path, $part, $n, $why);
  }
  return $why if $why ne '';
  # whoever copies to the same name meanwhile puts a part of its own in this one's place: nothing but what is all here gets the name
  my $own = "$part-$$";
  my @here = stat $file;
  close $file or return "$path: $!";
  my $is_it = sub { my @there = lstat $_[0]; return @there && "@here[0, 1]" eq "@there[0, 1]" };
  $is_it->($part) or return "$path: another copy of it has begun";
  # under a name that nobody else has it can be looked at and named without another coming between
  rename($part, $own) or return $! == 2 ? "$path: another copy of it has begun" : "$path: $!";
  if (!$is_it->($own)) { rename($own, $part); return "$path: another copy of it has begun" }
  owned($uid, $gid, $own) && chmod($mode, $own) && utime($mtime, $mtime, $own) && rename($own, $path) and return '';
  $why = "$path: $!";
  rename($own, $part);
  return $why;
}

# where the file's next bytes are that are no hole, and where they end; of a file system that knows no holes all that is left of its size
sub run_after {
  my ($file, $at, $size) = @_;
  my $begins = sysseek($file, $at, 3);    # SEEK_DATA
  return if !$begins && $! == 6;          # ENXIO: there are none
  my $ends = $begins && sysseek($file, $begins, 4);    # SEEK_HOLE
  ($begins, $ends) = ($begins || $at, $size) unless $ends && $ends < $size;
  sysseek($file, $begins, 0);
  return $ends > $begins ? ($begins + 0, $ends + 0) : ();
}

# of one that is being written what it held when it was opened: it might never end; of one that is cut short no holes for what it has no more.
# What the kernel makes as it is read says that it has no size
sub get {
  my ($has_runs, $path, $offset) = @_;
  my $file;
  my $why = '';
  if (!(-f $path && sysopen($file, $path, 04000) && sysseek($file, $offset, 0))) { $why = "$path: " . (-e $path ? 'is no file that can be read' : $!) }
  my $size = $why eq '' ? -s $file : 0;
  my ($at, $ends, $n, $sent) = ($offset, $has_runs ? 0 : $size, 1, $offset);
  while ($why eq '' && $n) {
    if ($has_runs && $at >= $ends) { ($at, $ends) = run_after($file, $at, $size) or last }
    my $most = $size == 0 || $ends - $at > $page ? $page : $ends - $at;
    last if $most <= 0;
    $n = sysread($file, my $piece, $most);
    if (!defined $n) { $why = "$path: $!" } elsif ($n) { out(($has_runs ? pack('Q>N', $at, $n) : pack('N', $n)) . $piece); $sent = $at += $n }
  }
  if ($why eq '') { my $left = -s $file; $left = $sent if $left < $sent; $size = $left if $left < $size }
  out($has_runs ? pack('Q>N', $size, 0) : pack('N', 0));
  return $why;
}

my %can = map { $_ => 1 } qw(fill runs entries behind);
sub files {
  while (defined(my $length = whole(4))) {
    my $size = unpack('N', $length);
    return if $size > $page;
    my ($what, @of) = split /\0/, whole($size) // return, -1;
    my $why = 'that is no request';
    if ($what eq 'look' || $what eq 'behind') { my @about = about($of[0], undef, $what eq 'behind'); answer(@about ? @about : 'none'); next }
    elsif ($what eq 'part') { answer('size', (lstat $of[0] and -f _) ? -s _ : 0); next }
    elsif ($what eq 'list' || $what eq 'entries') { $why = eval { below($of[0], '', $what eq 'list'); '' } // $@ }
    elsif ($what eq 'can') { $why = '' if $can{ $of[0] } }
    elsif ($what eq 'put' || $what eq 'fill') { $why = put($what eq 'fill', @of) }
    elsif ($what eq 'get' || $what eq 'runs') { $why = get($what eq 'runs', @of) }
    elsif ($what eq 'folder') {
      if (-d $of[0]) { answer('ok', 'there'); next }
      $why = -e _ ? "$of[0] is there, and no folder" : mkdir($of[0], 0700) && owned(@of[2, 3, 0]) && chmod($of[1], $of[0]) ? '' : "$of[0]: $!";
    }
    elsif ($what eq 'link') { unlink $of[0] if -l $of[0] || -f _; $why = symlink($of[1], $of[0]) && ($of[2] eq '-' || syscall(94, $of[0], 0 + $of[2], 0 + $of[3]) == 0) ? '' : "$of[0]: $!" }    # lchown
    elsif ($what eq 'name') { unlink $of[0] if $of[0] ne $of[1] && (-l $of[0] || -f _); $why = link($of[1], $of[0]) ? '' : "$of[0]: $!" }
    elsif ($what eq 'times') { $why = chmod($of[1], $of[0]) && utime($of[2], $of[2], $of[0]) ? '' : "$of[0]: $!" }
    chomp $why;
    if ($why eq '') { answer('ok') } else { answer('no', substr($why, 0, 400)) }
  }
}

# -- the ports --------------------------------------------------------------------------------------------------------------------------------

my %session;    # by the descriptor of its port
my $signals = pack('Q', 1 << 16 | 1 << 28);    # SIGCHLD, SIGIO
syscall(14, 0, $signals, 0, 8);    # rt_sigprocmask, SIG_BLOCK
# that a daemon comes or goes is a signal (SIGIO), which is read like everything else: a guest that waits sleeps
sub serve { my ($port) = @_; fcntl($port, $SETOWN, $$); nonblocking($port, $ASYNC); $session{fileno $port} = { port => $port, in => '', out => '', deaf => 0, asked => '' } }
for my $fd (grep { /^\d+$/ } @ports) { open(my $port, '+<&=', $fd) or next; serve($port); $session{$fd}{once} = 1 }
my $ports = '/sys/class/virtio-ports';
opendir(my $known, $ports);
for my $device (grep { !/^\./ } $known ? readdir $known : ()) {
  my ($name) = split /\s/, slurp("$ports/$device/name");
  next unless grep { $_ eq ($name // '') } @ports;
  open(my $port, '+<', "/dev/$device") or next;    # another has it
  serve($port);
}
exit 1 unless %session;
# the end of a child, too (signalfd(2))
open(my $ended, '<&=', syscall(289, -1, $signals, 8, 04000)) or die "no signalfd: $!\n";    # SFD_NONBLOCK

sub told { my ($s, $letter, $bytes) = @_; $s->{out} .= framed($letter, $bytes) }

sub settings {
  my ($text) = @_;
  my %set = (arg => [], env => []);
  for (split /\0/, $text) { my ($key, $value) = split /=/, $_, 2; if (ref $set{$key}) { push @{ $set{$key} }, $value } else { $set{$key} = $value } }
  return \%set;
}

sub window { my ($tty, $size) = @_; my ($cols, $rows) = $size =~ /^(\d{1,4})x(\d{1,4})$/ or return; ioctl($tty, 0x5414, pack('S4', $rows, $cols, 0, 0)) }    # TIOCSWINSZ

# a terminal's two ends, made where the guest's own programs find the second
sub terminal {
  my ($size) = @_;
  my %job = job();
  my @roots = ($job{pid} ne '' ? "/proc/$job{pid}/root" : (), $root eq '/' ? '' : $root);
  my ($dev) = grep { defined && -e "$_/ptmx" } map { (place($_, '/dev'))[0] } @roots or return;
  sysopen(my $master, "$dev/ptmx", 02 | 0400) or return;    # O_RDWR, O_NOCTTY
  my $unlock = pack('i', 0);
  ioctl($master, 0x40045431, $unlock) or return;    # TIOCSPTLCK
  my $peer = ioctl($master, 0x5441, 02 | 0400) or return;    # TIOCGPTPEER
  open(my $slave, '+<&=', $peer) or return;
  window($master, $size);
  return ($master, $slave);
}

# what is started is in the job's own space of processes, and ends with it
sub forked {
  my %job = job();
  my $own;
  if ($job{pid} ne '' && open(my $space, '<', "/proc/$job{pid}/ns/pid")) {
    open($own, '<', '/proc/self/ns/pid');
    syscall(308, fileno $space, 0x20000000);    # setns, CLONE_NEWPID
  }
  my $pid = fork();
  syscall(308, fileno $own, 0x20000000) if $own && $pid;
  return $pid;
}

sub start {
  my ($s, $text) = @_;
  my $set = settings($text);
  pipe(my $why_r, my $why_w);
  my ($in_r, $in_w, $out_r, $out_w, $err_r, $err_w);
  if (exists $set->{tty}) {
    ($in_w, $in_r) = terminal($set->{tty}) or return told($s, 'f', "125 there is no terminal here: $!");
    ($out_r, $out_w, $err_w) = ($in_w, $in_r, $in_r);
  } else {
    pipe($in_r, $in_w); pipe($out_r, $out_w); pipe($err_r, $err_w);
    fcntl($_, 1031, $pipe_max) for $in_w, $out_w;    # F_SETPIPE_SZ: fewer turns from the one to the other
  }
  my $pid = forked();
  return told($s, 'f', "125 no process can be made: $!") unless defined $pid;
  if ($pid == 0) {
    # of what others write and read nothing is held on to
    close $_ for map { grep { ref } @$_{qw(port why stdin stdout stderr)} } values %session;
    close $_ for grep { defined && !exists $set->{tty} } $in_w, $out_r, $err_r;
    close $why_r;
    syscall(112);    # setsid
    ioctl($in_r, 0x540E, 0) if exists $set->{tty};    # TIOCSCTTY
    open(STDIN, '<&', $in_r); open(STDOUT, '>&', $out_w); open(STDERR, '>&', $err_w);
    syscall(14, 1, $signals, 0, 8);    # rt_sigprocmask, SIG_UNBLOCK
    run($set, $why_w);
  }
  close $why_w;
  nonblocking($_) for grep { defined } $in_w, $out_r, $err_r;
  @$s{qw(pid why stdin stdout stderr tty pending taken over again)} = ($pid, $why_r, $in_w, $out_r, $err_r, exists $set->{tty}, '', 0, 0, 0);
  @$s{qw(waits said)} = ($s->{tty}, '');
}

sub quit { my ($s) = @_; kill 'KILL', -$s->{pid}, $s->{pid} if $s->{pid} }

sub take {
  my ($s, $letter, $bytes) = @_;
  if ($letter eq 'R') { if ($s->{pid}) { told($s, 'f', '125 a program runs here already') } else { start($s, $bytes) } return }
  if ($letter eq 'P') { $s->{asked} = $bytes; return }
  return unless $s->{pid};
  if ($letter eq 'I') { $s->{pending} .= $bytes; quit($s) if length $s->{pending} > 2 * $ahead_max }
  elsif ($letter eq 'E') { $s->{over} = 1 }
  elsif ($letter eq 'W') { window($s->{stdin}, $bytes) if $s->{tty} && $s->{stdin} }
  elsif ($letter eq 'S') { kill $1, -$s->{pid} if $bytes =~ /^(\d{1,2})$/ && $1 > 0 }
  elsif ($letter eq 'Q') { quit($s) }
}

# bytes of the host's, as far as they are whole frames
sub frames {
  my ($s) = @_;
  my $at = 0;
  while (length($s->{in}) - $at >= 5) {
    my ($length, $letter) = unpack('Na', substr($s->{in}, $at, 5));
    if ($length > $frame_max) { quit($s); $s->{in} = ''; return }
    last if length($s->{in}) - $at < 5 + $length;
    take($s, $letter, substr($s->{in}, $at + 5, $length));
    $at += 5 + $length;
  }
  substr($s->{in}, 0, $at) = '';
}

sub hear {
  my ($s) = @_;
  my ($n, $come) = (0, 0);
  # a port gives a page at a time
  while ($come < 4 * $page) { $n = sysread($s->{port}, $s->{in}, $page, length $s->{in}); last unless $n; $come += $n }
  frames($s) if $come;
  return if !defined $n || $n > 0;
  # no daemon is connected: nobody hears what was started for it
  $s->{deaf} = 1;
  $s->{in} = $s->{out} = $s->{asked} = '';
  quit($s);
  exit 0 if $s->{once};    # nobody can come back to it
}

sub feed {
  my ($s) = @_;
  if (length $s->{pending}) {
    my $n = syswrite($s->{stdin}, $s->{pending});
    if ($n) { substr($s->{pending}, 0, $n) = ''; $s->{taken} += $n; return if length $s->{pending} && $s->{taken} < $page }
    elsif ($! != 11) { $s->{taken} += length $s->{pending}; $s->{pending} = ''; $s->{over} = 1 }    # it reads no more
    if ($s->{taken} >= $page || $s->{pending} eq '') { told($s, 'c', pack('N', $s->{taken})) if $s->{taken}; $s->{taken} = 0 }
  }
  return unless $s->{over} && $s->{pending} eq '' && $s->{stdin};
  if ($s->{tty}) { syswrite($s->{stdin}, "\x04"); @$s{qw(over again)} = (0, $ends_max) }    # the end, as it is typed
  else { close $s->{stdin}; $s->{stdin} = undef }
}

# a program that takes the terminal over after the end was typed (a shell's line editor) never sees it: it is typed again to what it prints
sub end_again { my ($s) = @_; $s->{again}--; syswrite($s->{stdin}, "\x04") }

# how much came; 0 where there is no more for now
sub print_of {
  my ($s, $name, $letter) = @_;
  my $n = sysread($s->{$name}, my $bytes, $page);
  if ($n) { told($s, $letter, $bytes); end_again($s) if $s->{again} && $s->{stdin}; return $n }
  return 0 if !defined $n && $! == 11;    # EAGAIN
  close $s->{$name} unless $s->{tty};
  $s->{$name} = undef;
  return 0;
}

# it runs, or says why it cannot: what is typed before is for it, too
sub heed { my ($s) = @_; sysread($s->{why}, $s->{said}, 1024); close $s->{why}; delete $s->{why}; $s->{waits} = 0 }

# what it had written fits in a pipe, and is read to its end; what others that it started still write is nobody's
sub finished {
  my ($s) = @_;
  my $status = $s->{status};
  for (['stdout', 'o'], ['stderr', 'e']) {
    my $left = \($s->{left}{ $_->[0] } //= $pipe_max);
    while ($s->{ $_->[0] } && $$left > 0) { my $n = print_of($s, @$_) or last; $$left -= $n; return if length $s->{out} > 4 * $page }
  }
  heed($s) if $s->{why};
  if ($s->{said} =~ /^\d+ /) { told($s, 'f', $s->{said}) } else { told($s, 'x', ($status & 127) ? 128 + ($status & 127) : $status >> 8) }
  delete @$s{qw(pid why stdin stdout stderr tty pending taken over again waits said status left)};
}

sub reap {
  while ((my $gone = waitpid(-1, 1)) > 0) { for (values %session) { $_->{status} = $? if ($_->{pid} // 0) == $gone } }
  for my $s (values %session) {
    finished($s) if defined $s->{status} && length $s->{out} <= 4 * $page;
    if ($s->{asked} ne '' && !$s->{pid}) { told($s, 'p', $s->{asked}); $s->{asked} = '' }
  }
}

sub sent {
  my ($s) = @_;
  my $at = 0;
  while ($at < length $s->{out}) { my $n = syswrite($s->{port}, $s->{out}, length($s->{out}) - $at, $at); last unless $n; $at += $n }
  substr($s->{out}, 0, $at) = '';
}

while (1) {
  reap();
  my ($r, $w) = ('', '');
  vec($r, fileno $ended, 1) = 1;
  my $deaf = 0;
  for my $fd (keys %session) {
    my $s = $session{$fd};
    if ($s->{deaf}) { $deaf = 1 } else { vec($r, $fd, 1) = 1 }
    vec($w, $fd, 1) = 1 if length $s->{out};
    next unless $s->{pid};
    if ($s->{waits}) { vec($r, fileno $s->{why}, 1) = 1 }
    elsif ($s->{stdin} && (length($s->{pending}) || $s->{over})) { vec($w, fileno $s->{stdin}, 1) = 1 }
    next if length $s->{out} > 4 * $page;    # who does not read stops who prints
    for (qw(stdout stderr)) { vec($r, fileno $s->{$_}, 1) = 1 if $s->{$_} }
  }
  select($r, $w, undef, $deaf ? $LOOK_S : undef);
  sysread($ended, my $which, 1024) if vec($r, fileno $ended, 1);
  for my $fd (keys %session) {
    my $s = $session{$fd};
    if ($s->{deaf}) { $s->{deaf} = 0; hear($s) } elsif (vec($r, $fd, 1)) { hear($s) }
    sent($s) if length $s->{out} && vec($w, $fd, 1);
    next unless $s->{pid};
    heed($s) if $s->{waits} && vec($r, fileno $s->{why}, 1);
    feed($s) if $s->{stdin} && !$s->{waits} && (vec($w, fileno $s->{stdin}, 1));
    for (['stdout', 'o'], ['stderr', 'e']) { my $h = $s->{ $_->[0] }; print_of($s, @$_) if $h && vec($r, fileno $h, 1) }
  }
}
