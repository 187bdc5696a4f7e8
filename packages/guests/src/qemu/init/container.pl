# What container engines make around an image's program, for init.pl: devices, namespaces of its own with it as their first process, the user it
# runs as, its three streams or a terminal, and its input as the host sends it. The image and its program are the customer's.
#
# On the port xeno.stdin stand frames between bytes 7e; within them 7d is before each 7d or 7e, which then has its bit 20 turned:
#   guest                              host
#            ◀──────  A, u64: how much has been taken? The first after each connection
#   count of all bytes taken, "\n"   ──────▶   also whenever some more were taken
#            ◀──────  D, u64 offset, bytes; E, u64 offset: the end
# What lies before what has come is passed over, so that a host that lost its daemon can say it again; a frame that it left half written is
# whole as far as it goes.
my $new_pid = 0x20000000;
my $new_others = 0x0e020000;    # mount, cgroup, UTS, IPC
defined &named or do((__FILE__ =~ m{^(.*/)} ? $1 : './') . 'who.pl') or die "who.pl: $@$!";
defined &begin or do((__FILE__ =~ m{^(.*/)} ? $1 : './') . 'program.pl') or die "program.pl: $@$!";
my $input_max = 65536;
my $ends_max = 16;
my ($ro, $nosuid, $nodev, $noexec) = (1, 2, 4, 8);

sub mounted { my ($what, $at, $type, $flags, $data) = @_; return syscall(165, "$what", "$at", "$type", $flags, "$data") == 0 }
sub node { my ($at, $mode, $device) = @_; syscall(133, "$at", 020000 | $mode, $device); chmod $mode, $at }
sub nonblocking { my ($handle) = @_; fcntl($handle, 4, 04002) }                                     # F_SETFL, O_NONBLOCK | O_RDWR
sub resize { my ($terminal, $rows, $columns) = @_; ioctl($terminal, 0x5414, pack('S4', $rows, $columns, 0, 0)) }    # TIOCSWINSZ

# A folder that the guest's own system has to mount something on: its links lead where they do inside of the image
sub folder { my ($root, $path) = @_; my ($at, $why) = place($root, $path); return $at // fail("nothing can be mounted at the image's $path: $why") }

# all of the root that does not depend on the job
sub furnish {
  my ($root) = @_;
  my ($dev, $sys) = map { folder($root, $_) } '/dev', '/sys';
  mounted('dev', $dev, 'tmpfs', $nosuid, 'mode=755') or fail("no devices: $!");
  node("$dev/$_->[0]", 0666, $_->[1] << 8 | $_->[2])
    for ['null', 1, 3], ['zero', 1, 5], ['full', 1, 7], ['random', 1, 8], ['urandom', 1, 9], ['tty', 5, 0];
  mkdir "$dev/$_" for qw(pts shm mqueue);
  mounted('devpts', "$dev/pts", 'devpts', $nosuid | $noexec, 'ptmxmode=0666,mode=0620,gid=5') or fail("no terminals: $!");
  mounted('shm', "$dev/shm", 'tmpfs', $nosuid | $nodev | $noexec, 'mode=1777') or fail("no shared memory: $!");
  symlink 'pts/ptmx', "$dev/ptmx";
  symlink '/proc/self/fd', "$dev/fd";
  symlink "/proc/self/fd/$_->[0]", "$dev/$_->[1]" for [0, 'stdin'], [1, 'stdout'], [2, 'stderr'];
  mounted('sysfs', $sys, 'sysfs', $ro | $nosuid | $nodev | $noexec, '') or fail("no /sys: $!");
  mkdir '/cgroup';
  mounted('cgroup', '/cgroup', 'cgroup2', $nosuid | $nodev | $noexec, '') or fail("no control groups: $!");
  spew('/cgroup/cgroup.subtree_control', "+$_") for split / /, slurp('/cgroup/cgroup.controllers');
  mkdir '/cgroup/job';
}

# what the image says of a user, looked up where its links lead nowhere else
sub user {
  my ($root, $spec) = @_;
  my $asked = open(my $said, '-|') // fail("no process can be made: $!");
  if ($asked == 0) { chroot $root; chdir '/'; print STDOUT join "\0", named($spec, "the image's "); exit 0 }
  local $/;
  my %who = split /\0/, <$said> // '', -1;
  close $said;
  $who{problem} = "the image's /etc/passwd cannot be read" unless exists $who{uid};
  return %who;
}

# A number that the image's files do not know is given a line there, as podman does: programs ask who they are (whoami, ssh, Python's getpass)
sub enrolled {
  my ($who) = @_;
  my $add = sub {
    my ($file, $line) = @_;
    return if -e $file && !-f _;
    open(my $h, '+>>', $file) or return;
    my $last = "\n";
    read($h, $last, 1) if seek($h, -1, 2);    # SEEK_END
    print $h ($last eq "\n" ? '' : "\n") . "$line\n";
    close $h;
  };
  my ($uid, $gid) = @$who{qw(uid gid)};
  $add->('/etc/passwd', "$uid:*:$uid:$gid:container user:$who->{home}:/bin/sh") unless grep { ($_->[2] // '') eq $uid } rows('/etc/passwd');
  $add->('/etc/group', "$gid:x:$gid:$uid") unless grep { ($_->[2] // '') eq $gid } rows('/etc/group');
}

# `inner`: what the program gets, undef for nothing; `outer`: where what it says comes out, and through which port it leaves; `input`: where
# what is typed goes. Owned by whom the program runs as, so that it can open /dev/stdout
sub stdio {
  my ($root, $job, $who) = @_;
  my $uid = $who->{problem} ? 0 : $who->{uid};
  pipe(my $entered, my $enter);
  my %io = (entered => $entered, enter => $enter);
  if ($job->{terminal}) {
    my $dev = folder($root, '/dev');
    sysopen(my $master, "$dev/pts/ptmx", 0402) or fail("no terminal: $!");    # O_RDWR | O_NOCTTY
    my $number = pack('i', 0);
    ioctl($master, 0x40045431, $number);                                           # TIOCSPTLCK
    ioctl($master, 0x80045430, $number) or fail("no terminal: $!");                # TIOCGPTN
    my $line = "$dev/pts/" . unpack('i', $number);
    sysopen(my $slave, $line, 0402) or fail("no terminal: $!");
    resize($master, split /x/, $job->{terminal});
    chown $uid, 5, $line;
    spew("$dev/console", '');
    mounted($line, "$dev/console", '', 0x1000, '');                                # MS_BIND
    nonblocking($master);
    return (%io, inner => [$slave, $slave, $slave], outer => [[$master, 'stdout']], input => $job->{stdin} ? $master : undef, master => $master);
  }
  pipe(my $in_r, my $in_w); pipe(my $out_r, my $out_w); pipe(my $err_r, my $err_w);
  chown $uid, -1, $in_r, $out_w, $err_w;
  chmod 0777, $in_r, $out_w, $err_w;    # programs that begin as root and go on as another open them, too (conmon does so)
  nonblocking($in_w);
  my @in = $job->{stdin} ? ($in_r, $in_w) : (undef, undef);
  return (%io, inner => [$in[0], $out_w, $err_w], outer => [[$out_r, 'stdout'], [$err_r, 'stderr']], input => $in[1], master => undef);
}

# runs it as the first process of a PID namespace
sub contained {
  my ($run) = @_;
  open(my $own, '<', '/proc/self/ns/pid') or fail("no namespaces: $!");
  syscall(272, $new_pid) == 0 or fail("no namespace for processes: $!");    # unshare
  my $pid = fork() // fail("no process can be made: $!");
  if ($pid == 0) { $run->(); exit 125 }
  syscall(308, fileno $own, $new_pid) == 0 or fail("the init's own namespace is lost: $!");    # setns
  return $pid;
}

# the other namespaces, and the image's root as the root of all that is seen in them
sub enter {
  my ($root, $enter) = @_;
  spew('/cgroup/job/cgroup.procs', '0');
  syscall(272, $new_others) == 0 or fail("no namespaces: $!");
  mounted('none', '/', '', 0x44000, '') or fail("mounts cannot be its own: $!");    # MS_REC | MS_PRIVATE
  mounted('proc', folder($root, '/proc'), 'proc', $nosuid | $nodev | $noexec, '') or fail("no /proc: $!");
  mounted('mqueue', folder($root, '/dev/mqueue'), 'mqueue', $nosuid | $nodev | $noexec, '');
  mounted('cgroup', folder($root, '/sys') . '/fs/cgroup', 'cgroup2', $nosuid | $nodev | $noexec, '');
  chdir $root;
  mounted('.', '/', '', 0x2000, '') or fail("the root cannot be moved: $!");    # MS_MOVE
  chroot '.' or fail("no root: $!");
  chdir '/';
  syswrite($enter, '.');
}

# the agent among the program's processes, as what is executed in a container is. Null where they have ended
sub agent {
  my ($pid, $entered) = @_;
  open(my $own, '<', '/proc/self/ns/pid') or return;
  my $place = syscall(434, $pid, 0);    # pidfd_open
  return if $place < 0;
  open(my $held, '<&=', $place);
  syscall(308, $place, $new_pid) == 0 or return;
  my $agent = fork();
  syscall(308, fileno $own, $new_pid) == 0 or fail("the init's own namespace is lost: $!") if !defined $agent || $agent > 0;
  return $agent unless defined $agent && $agent == 0;
  sysread($entered, my $there, 1) or exit 1;
  syscall(308, $place, $new_others) == 0 or exit 1;
  my $none = pack('Q', 0);
  syscall(14, 2, $none, 0, 8);    # rt_sigprocmask, SIG_SETMASK
  $SIG{PIPE} = 'DEFAULT';
  open(STDIN, '<', '/dev/null'); open(STDOUT, '>', '/dev/null'); open(STDERR, '>', '/dev/null');
  exec '/.xeno/ld.so', '--library-path', '/.xeno/lib', '/.xeno/qemu-ga', '-m', 'virtio-serial', '-p', '/.xeno/port', '-t', '/tmp', '-f', '/dev/null';
  exit 1;
}

# this process becomes the image's program
sub become {
  my ($stdio, $who, $job, $args, $env) = @_;
  my ($in, $out, $err) = @{ $stdio->{inner} };
  my $say = sub { syswrite($err, "$_[1]\n"); exit $_[0] };
  syscall(112);    # setsid
  if ($in) { open(STDIN, '<&', $in) } else { open(STDIN, '<', '/dev/null') }
  open(STDOUT, '>&', $out); open(STDERR, '>&', $err);
  ioctl(STDIN, 0x540e, 0) if $stdio->{master};    # TIOCSCTTY
  $say->(126, $who->{problem}) if $who->{problem};
  my %env = map { split /=/, $_, 2 } @$env;
  $env{PATH} = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' unless exists $env{PATH};
  $env{HOME} = $who->{home} unless exists $env{HOME};
  $env{HOSTNAME} = $job->{hostname} unless exists $env{HOSTNAME};
  $env{TERM} = 'xterm' unless exists $env{TERM};
  $env{container} = 'oci' unless exists $env{container};
  my $dir = $job->{workdir} eq '' ? '/' : $job->{workdir};
  if (!-d $dir) {
    my ($at, $made) = place('', $dir);
    $say->(126, "no directory $dir: $made") unless defined $at;
    chown $who->{uid}, $who->{gid}, $at if $made;
    $dir = $at;
  }
  chdir $dir or $say->(126, "no directory $dir: $!");
  $say->(126, 'the user cannot be taken') unless taken(%$who);
  begin($args, \%env, $say);
}

# The program's input: `wants` says what is waited for, `moved` does what can be done. No more is held than the program is behind
sub input {
  my ($port, $to, $terminal) = @_;
  nonblocking($port);
  my ($cut, $waiting, $taken, $over, $due, $deaf, $again) = ('', '', 0, '', 0, 0, 0);
  my $frame = sub {
    my ($frame) = @_;
    $frame =~ s/\x7d$//;    # cut short
    $frame =~ s/\x7d(.)/$1 ^ "\x20"/ges;
    return if length $frame < 9;
    my ($kind, $at) = unpack('aQ>', $frame);
    my $come = $taken + length $waiting;
    if ($kind eq 'A') { $due = 1 }
    elsif ($at > $come || $over) { }
    elsif ($kind eq 'D') { $waiting .= substr($frame, 9 + $come - $at) if length $frame > 9 + $come - $at }
    elsif ($kind eq 'E' && $at == $come) { $over = 'said' }
  };
  my $write = sub {
    my $n = syswrite($to, $waiting);
    if (defined $n) { substr($waiting, 0, $n) = ''; $taken += $n; $due = 1 }
    elsif ($! != 11) { $to = undef }    # nobody reads it any more; EAGAIN
  };
  my $wants = sub {
    my ($bits, $writes) = @_;
    vec($$bits, fileno $port, 1) = 1 if !$deaf && length $waiting < $input_max;
    vec($$writes, fileno $port, 1) = 1 if $due;
    vec($$writes, fileno $to, 1) = 1 if $to && $waiting ne '';
    return $deaf;
  };
  my $moved = sub {
    my ($ready, $free) = @_;
    $deaf = 0;
    if (vec($ready, fileno $port, 1)) {
      my $n = sysread($port, my $bytes, $input_max);
      if ($n) { my @frames = split /\x7e/, $cut . $bytes, -1; $cut = pop @frames; $frame->($_) for @frames }
      elsif (defined $n) { $deaf = 1 }    # no daemon is connected
    }
    $write->() if $to && $waiting ne '' && vec($free, fileno $to, 1);
    if (!$to && $waiting ne '') { $taken += length $waiting; $waiting = ''; $due = 1 }
    if ($over eq 'said' && $waiting eq '') {
      if ($to && $terminal) { syswrite($to, "\x04"); $again = $ends_max } elsif ($to) { close $to }
      ($over, $to) = ('done', undef);
    }
    $due = 0 if $due && vec($free, fileno $port, 1) && syswrite($port, "$taken\n");
  };
  # a program that takes the terminal over after the end was typed (a shell's line editor) never sees it: it is typed again to what it prints
  my $printed = sub { if ($again > 0) { $again--; syswrite($terminal, "\x04") } };
  return { wants => $wants, moved => $moved, printed => $printed };
}
1;
