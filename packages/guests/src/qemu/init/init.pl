#!/bin/perl
# The first program in a guest made from an OCI image: mounts its layers, waits for its job on the port `xeno.job`, runs it, hands back how it ended.
# Perl's core alone (Debian's perl-base), no modules: it lives in an initial RAM disk.
#
#   guest                         host
#   "ready\n"            ──────▶            a snapshot may be taken here: nothing of any customer is in the guest yet
#            ◀──────  u32 length, settings (NUL-separated KEY=VALUE), u64 length, tar of the inputs
#   "started\n"          ──────▶
#   token, exit code, size, tar of what is handed back   ──────▶   until the host says K
$ENV{PATH} = '/bin';
my $page = 65536;

sub sh { system('/bin/busybox', @_) }
sub slurp { my ($f) = @_; open(my $h, '<', $f) or return ''; local $/; my $t = <$h>; close $h; $t =~ s/\s+$//; return $t }
sub spew { my ($f, $t) = @_; open(my $h, '>', $f) or return; print $h $t; close $h }
sub names { my ($dir) = @_; opendir(my $h, $dir) or return; my @n = grep { !/^\./ } readdir $h; closedir $h; return @n }
sub fail { my ($why) = @_; syswrite(STDERR, "xeno-init: $why\n"); sh('poweroff', '-f'); sleep 60 }

mkdir $_ for qw(/proc /sys /dev /l /d /r);
sh('mount', '-t', 'proc', 'proc', '/proc');
sh('mount', '-t', 'sysfs', 'sysfs', '/sys');
sh('mount', '-t', 'devtmpfs', 'dev', '/dev');
open(STDIN, '<', '/dev/null'); open(STDOUT, '>', '/dev/console'); open(STDERR, '>', '/dev/console');
$SIG{__DIE__} = sub { fail("@_") };
sh('insmod', "/modules/$_") for split /\n/, slurp('/modules/order');

# what one core of this machine does, for the offer's score (host.ts runs the same outside)
if (slurp('/proc/cmdline') =~ /xeno\.bench/) {
  sh('dd', 'if=/dev/zero', 'of=/bench', 'bs=1M', 'count=8');
  my ($made) = split / /, slurp('/proc/uptime');
  sh('sha256sum', '/bench');
  my ($after) = split / /, slurp('/proc/uptime');
  print STDOUT "xeno-bench " . int(1000 * ($after - $made)) . "\n";
  sh('poweroff', '-f');
  sleep 60;
}

sub port {
  my ($wanted) = @_;
  for (1 .. 500) {
    for my $name (names('/sys/class/virtio-ports')) {
      return "/dev/$name" if slurp("/sys/class/virtio-ports/$name/name") eq $wanted && -e "/dev/$name";
    }
    select(undef, undef, undef, 0.02);
  }
  fail("no port $wanted");
}

sub disks {
  my %found;
  for my $name (grep { /^vd/ } names('/sys/block')) { $found{slurp("/sys/block/$name/serial")} = "/dev/$name" }
  return %found;
}

open(my $job, '+<', port('xeno.job')) or fail('the job port does not open');
my %disk = disks();
my @lower;
for (my $i = 0; exists $disk{"layer$i"}; $i++) {
  mkdir "/l/$i";
  sh('mount', '-t', 'squashfs', '-o', 'ro', $disk{"layer$i"}, "/l/$i") == 0 or fail("layer $i does not mount");
  unshift @lower, "/l/$i";
}
sh('mount', '-t', 'ext4', '-o', 'noatime', $disk{disk}, '/d') == 0 or fail('the disk does not mount');
mkdir $_ for qw(/d/upper /d/work);
sh('mount', '-t', 'overlay', '-o', 'lowerdir=' . join(':', @lower) . ',upperdir=/d/upper,workdir=/d/work', 'root', '/r') == 0 or fail('the root does not mount');
mkdir "/r/$_" for qw(proc sys dev tmp etc out .xeno);
chmod 01777, '/r/tmp';
sh('mount', '-t', 'proc', 'proc', '/r/proc');
sh('mount', '-t', 'sysfs', 'sysfs', '/r/sys');
sh('mount', '-o', 'bind', '/dev', '/r/dev');
mkdir $_ for qw(/dev/pts /dev/shm);
sh('mount', '-t', 'devpts', '-o', 'ptmxmode=0666', 'devpts', '/r/dev/pts');
sh('mount', '-t', 'tmpfs', 'shm', '/r/dev/shm');
symlink '/proc/self/fd', '/dev/fd';
symlink "/proc/self/fd/$_->[0]", "/dev/$_->[1]" for [0, 'stdin'], [1, 'stdout'], [2, 'stderr'];
sh('mount', '-o', 'bind,ro', '/agent', '/r/.xeno');
sh('ip', 'link', 'set', 'lo', 'up');

# while no daemon is connected the port reads as ended; the next one goes on where the last stopped
sub get {
  my ($want) = @_;
  my $got = '';
  while (length $got < $want) {
    my $n = sysread($job, $got, $want - length $got, length $got);
    fail("the job port cannot be read: $!") unless defined $n;
    select(undef, undef, undef, 0.02) if $n == 0;
  }
  return $got;
}
sub put { my ($bytes) = @_; my $at = 0; while ($at < length $bytes) { my $n = syswrite($job, $bytes, length($bytes) - $at, $at); fail('the job port closed') unless $n; $at += $n } }

spew('/r/etc/hosts', "127.0.0.1 localhost\n::1 localhost\n");
if (-e '/sys/class/net/eth0') {
  sh('ip', 'link', 'set', 'eth0', 'up');
  sh('ip', 'addr', 'add', '10.0.2.15/24', 'dev', 'eth0');
  sh('ip', 'route', 'add', 'default', 'via', '10.0.2.2');
  unlink '/r/etc/resolv.conf';
  spew('/r/etc/resolv.conf', "nameserver 10.0.2.3\n");
}
# the agent waits for its host's questions, which come only to leases
my $agent = port('org.qemu.guest_agent.0');
if ($agent && fork() == 0) {
  chroot '/r'; chdir '/';
  open(STDOUT, '>', '/dev/null'); open(STDERR, '>', '/dev/null');
  exec '/.xeno/ld.so', '--library-path', '/.xeno/lib', '/.xeno/qemu-ga', '-m', 'virtio-serial', '-p', $agent, '-t', '/tmp', '-f', '/dev/null';
  exit 1;
}

put("ready\n");
my %job;
my @args; my @env;
for (split /\0/, get(unpack('N', get(4)))) {
  my ($key, $value) = split /=/, $_, 2;
  if ($key eq 'arg') { push @args, $value } elsif ($key eq 'env') { push @env, $value } else { $job{$key} = $value }
}
# a guest that was resumed from a snapshot must not share random numbers, clock or name with its siblings
sub renew {
  my ($entropy, $time) = @_;
  if (open(my $random, '+<', '/dev/urandom')) {
    ioctl($random, 0x40085203, pack('ii', 8 * length $entropy, length $entropy) . $entropy);    # RNDADDENTROPY
    ioctl($random, 0x5207, 0);                                                                  # RNDRESEEDCRNG
    close $random;
  }
  syscall(164, pack('qq', $time, 0), 0);    # settimeofday
}
renew(pack('H*', $job{entropy}), $job{time});
my $id = $job{machine};
spew('/r/etc/machine-id', "$id\n");
spew('/proc/sys/kernel/hostname', $job{hostname});
spew('/r/etc/hostname', "$job{hostname}\n");
spew('/r/etc/hosts', "127.0.0.1 localhost $job{hostname}\n::1 localhost\n");
unlink map { "/r/etc/ssh/$_" } grep { /^ssh_host_/ } names('/r/etc/ssh');
my ($high, $left) = unpack('NN', get(8));
$left += $high << 32;
if ($left > 0) {
  open(my $tar, '|-', '/bin/busybox', 'tar', 'x', '-C', '/r') or fail('no tar');
  while ($left > 0) { my $part = get($left < $page ? $left : $page); print $tar $part; $left -= length $part }
  close $tar;
}

# names in the image's own files, as container engines read them (OCI image spec, config.User)
sub rows { my ($file) = @_; my @rows = map { [split /:/] } split /\n/, slurp("/r/etc/$file"); return @rows }
my ($user, $group) = split /:/, ($job{user} eq '' ? '0' : $job{user});
my ($uid, $gid, $home) = ($user, 0, '/');
if ($user !~ /^\d+$/) { $uid = undef }
for (rows('passwd')) { if ($_->[0] eq $user || (defined $uid && $_->[2] eq $uid)) { ($uid, $gid, $home) = @$_[2, 3, 5]; last } }
if (defined $group && $group ne '') { $gid = $group; for (rows('group')) { $gid = $_->[2] if $_->[0] eq $group } }
my %env = map { split /=/, $_, 2 } @env;
$env{PATH} = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' unless exists $env{PATH};
$env{HOME} = $home unless exists $env{HOME};

pipe(my $out_r, my $out_w); pipe(my $err_r, my $err_w);
put("started\n");
my $pid = fork();
if ($pid == 0) {
  my $say = sub { syswrite($err_w, "$_[0]\n"); exit $_[1] };
  open(STDIN, '<', '/dev/null'); open(STDOUT, '>&', $out_w); open(STDERR, '>&', $err_w);
  close $job;
  chroot('/r') or $say->('no root', 125);
  $say->("user $user is not in the image's /etc/passwd", 125) unless defined $uid && $uid =~ /^\d+$/ && $gid =~ /^\d+$/;
  my $dir = $job{workdir} eq '' ? '/' : $job{workdir};
  chdir $dir or do { my $at = ''; for (grep { $_ ne '' } split m{/}, $dir) { $at .= "/$_"; mkdir $at } chdir $dir or $say->("no directory $dir", 125) };
  $) = "$gid $gid"; $( = $gid; $< = $uid; $> = $uid;
  $say->('the user cannot be taken', 125) if $> != $uid;
  %ENV = %env;
  my $program = $args[0];
  if ($program !~ m{/}) { for (split /:/, $env{PATH}) { if (-x "$_/$program" && -f _) { $program = "$_/$program"; last } } }
  exec { $program } @args;
  my $code = "$!" =~ /No such file/ ? 127 : 126;
  $say->("$args[0]: $!", $code);
}
close $out_w; close $err_w;

my %to;
for ([$out_r, 'xeno.stdout'], [$err_r, 'xeno.stderr']) { open(my $h, '>', port($_->[1])) or fail("no port $_->[1]"); $to{fileno $_->[0]} = [$_->[0], $h] }
# output ends when every program that holds it has: one that went to the background must not keep the job alive
my $status; my $grace = 0;
# a guest that waits sleeps: it is woken by output, or by the end of a child
pipe(my $woken, my $wake);
# one letter of the host's: S, and it goes on from a snapshot of its customer's; anything else asks for the answer, which comes at the end
sub told { my ($letter) = @_; renew(get(64), unpack('Q>', get(8))) if $letter eq 'S'; return $letter }
my $deaf = 0;
$SIG{CHLD} = sub { syswrite($wake, '.') };
while (%to) {
  while ((my $gone = waitpid(-1, 1)) > 0) { $status = $? if $gone == $pid }
  my $bits = ''; vec($bits, $_, 1) = 1 for keys %to, fileno $woken, $deaf ? () : fileno $job;
  my $n = select(my $ready = $bits, undef, undef, defined $status ? 0.05 : $deaf ? 1 : undef);
  $deaf = 0;
  if ($n > 0 && vec($ready, fileno $job, 1)) {
    $n--;
    if (sysread($job, my $letter, 1)) { told($letter) } else { $deaf = 1 }    # no daemon is connected: it reads as ended
  }
  if ($n > 0 && vec($ready, fileno $woken, 1)) { sysread($woken, my $dots, $page); $n-- }
  for my $fd (keys %to) {
    next unless $n > 0 && vec($ready, $fd, 1);
    my $read = sysread($to{$fd}[0], my $bytes, $page);
    if (!$read) { delete $to{$fd}; next }
    for (my $at = 0; $at < $read;) { my $w = syswrite($to{$fd}[1], $bytes, $read - $at, $at); last unless $w; $at += $w }
  }
  if (defined $status && $n <= 0 && ++$grace > 1) { last }
}
until (defined $status) { my $gone = waitpid(-1, 0); $status = $? if $gone == $pid; last if $gone < 0 }
my $code = ($status & 127) ? 128 + ($status & 127) : $status >> 8;
sh('sync');
my @keep = grep { -e "/r/$_" } map { s{^/}{}r } split /:/, $job{keep};
my $size = 0;
if (@keep) { sh('tar', 'c', '-C', '/r', '-f', '/d/.out', @keep); $size = -s '/d/.out' }
# a host that lost its daemon meanwhile asks again; the token shows it where an answer begins
while (1) {
  put("\n$job{token} $code $size\n");
  if ($size) { open(my $h, '<', '/d/.out'); while (sysread($h, my $part, $page)) { put($part) } close $h }
  last if told(get(1)) eq 'K';
}
sh('poweroff', '-f');
sleep 60;
