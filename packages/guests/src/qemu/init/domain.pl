# The host's part of what init.pl says and hears, where the guest is a Xen domain and has no ports: this first process plays it, init.pl goes on as its
# child. What comes from the host lies on a disk before the domain is made, what goes back is written on another, and what the job prints goes to
# the console.
#
#   xvda  the guest's own      xvdb  the job      xvdc  its answer      xvdd ...  layers, bottom first
#
# xvdb: a block "xeno-job SIGNAL MILLISECONDS BYTES\n" (how its program is asked to end, and how long it may take), then what the port would bring;
# xvdc: a block "xeno-answer STATE BYTES\n", written last, then what the port would take; STATE is whole, more (it does not fit), failed (the
# disk does) or refused.
# On the console the byte 10 says whose bytes come next: 10 "1" stdout, 10 "2" stderr, 10 10 itself. Before the first all is the kernel's and ours.
#
# Consoles beside it, on which sessions are held (sessions.pl):
#
#   hvc1  W and Y for the job's port      hvc2  what the program reads (container.pl)      hvc3 to hvc6  the shell's (shell.pl)
my $block = 512;
my ($job_disk, $answer_disk) = ('/dev/xvdb', '/dev/xvdc');
my ($told_console, $typed_console, @shell_consoles) = map { "/dev/hvc$_" } 1 .. 6;

sub read_whole {
  my ($from, $want) = @_;
  my $got = '';
  while (length $got < $want) { sysread($from, $got, $want - length $got, length $got) or return }
  return $got;
}
sub write_whole { my ($to, $bytes) = @_; my $at = 0; while ($at < length $bytes) { my $n = syswrite($to, $bytes, length($bytes) - $at, $at); next if !defined $n && $! == 4; return 0 unless $n; $at += $n } return 1 }

# they come after their driver, one by one
my ($count) = slurp('/proc/cmdline') =~ /xeno\.disks=(\d+)/ or fail('the kernel was not told how many disks there are');
my @disks;
for (1 .. 1500) {
  @disks = sort { length $a <=> length $b || $a cmp $b } grep { /^xvd[a-z]$/ && -b "/dev/$_" } names('/sys/block');
  last if @disks >= $count;
  select(undef, undef, undef, 0.02);
}
fail('a disk is missing') if @disks < $count;
my %disks = (disk => '/dev/xvda', map { ('layer' . ($_ - 3), "/dev/$disks[$_]") } 3 .. $#disks);

# of init.pl: there are no ports, and the clock is the hypervisor's
sub port { return }
sub disks { return %disks }
sub shell_ports { return @shell_consoles }
sub set_clock { }

socketpair(my $job, my $job_far, 1, 1, 0) && socketpair(my $typed, my $typed_far, 1, 1, 0) or fail("no sockets: $!");
pipe(my $out, my $out_far) && pipe(my $err, my $err_far) or fail("no pipes: $!");
my %opened = ('xeno.job' => $job_far, 'xeno.stdin' => $typed_far, 'xeno.stdout' => $out_far, 'xeno.stderr' => $err_far);
# each is opened once, and closed with whoever has it
sub opened { return delete $opened{$_[0]} }

my $init = fork() // fail("no process can be made: $!");
if ($init == 0) { close $_ for $job, $typed, $out, $err; return 1 }
%opened = ();
close $_ for $job_far, $typed_far, $out_far, $err_far;

# a process of its own passes on what is said on a console to that end of a socket, which lives as long as this guest
do '/sessions.pl' or die "sessions.pl: $@$!";
sub connected {
  my ($device, $end, @others) = @_;
  my $pid = fork() // fail("no process can be made: $!");
  return if $pid;
  close $_ for $job, $out, $err, @others;
  sessions(console($device) // exit 1, sub { return $end });
}
socketpair(my $told, my $told_far, 1, 1, 0) or fail("no sockets: $!");
connected($told_console, $told_far, $told, $typed);
connected($typed_console, $typed, $told, $told_far);
close $_ for $told_far, $typed;

sh('stty', '-F', '/dev/hvc0', 'raw', '-echo');
open(my $console, '>', '/dev/hvc0') or fail('the console does not open');
my $shown = '';
sub show {
  my ($stream, $bytes) = @_;
  $bytes =~ s/\x10/\x10\x10/g;
  write_whole($console, ($shown eq $stream ? '' : "\x10$stream") . $bytes);
  $shown = $stream;
}

open(my $given, '<', $job_disk) && open(my $answer, '+<', $answer_disk) or fail("no disk of the job: $!");
my ($signal, $grace, $left) = (read_whole($given, $block) // '') =~ /^xeno-job (\d+) (\d+) (\d+)\n/ or fail('no job lies on its disk');
sysseek($answer, $block, 0);
my ($written, $lacks) = (0, '');
sub answer { $written += length $_[0]; $lacks ||= write_whole($answer, $_[0]) ? '' : $! == 28 ? 'more' : 'failed' }    # ENOSPC
# fsync(2) twice: what it says of the rest must not be there before it
sub answered {
  my ($state) = @_;
  syscall(74, fileno $answer) == 0 or $lacks ||= 'failed';
  sysseek($answer, 0, 0);
  write_whole($answer, pack("a$block", 'xeno-answer ' . ($lacks || $state) . " $written\n"));
  syscall(74, fileno $answer);
}
sub ended { sh('poweroff', '-f'); sleep 60 while 1 }
sub line { my $line = ''; while (defined(my $byte = read_whole($job, 1))) { return $line if $byte eq "\n"; $line .= $byte } waitpid($init, 0); ended() }

# dom0 asks a domain to end: its kernel runs /sbin/poweroff, which says so here
my $asked = 0;
$SIG{TERM} = sub { $asked = 1 };
$SIG{PIPE} = 'IGNORE';
do { } until line() eq 'ready';
while ($left > 0) { my $part = read_whole($given, $left < 65536 ? $left : 65536) // fail('the job is shorter than it says'); write_whole($job, $part); $left -= length $part }
my $set;
do { $set = line() } until $set =~ /^(?:set|refused .*)$/;
if ($set ne 'set') { answer("$set\n"); answered('refused'); ended() }
show('1', '');
syswrite($job, 'G');

my %from = (fileno $out, [$out, '1'], fileno $err, [$err, '2']);
my ($killed_at, $answers, $letters) = (undef, 0, '');
# of what both print, what has come; false when there is nothing now
sub printed {
  my ($ready) = @_;
  for my $fd (grep { vec($ready, $_, 1) } keys %from) {
    my $n = sysread($from{$fd}[0], my $bytes, 16384);
    if ($n) { show($from{$fd}[1], $bytes) } elsif (defined $n) { delete $from{$fd} }
  }
}
while (!$answers) {
  1 while waitpid(-1, 1) > 0;    # what nobody else waits for
  if ($asked) { $asked = 0; syswrite($job, 'T' . chr $signal); $killed_at = time + $grace / 1000 }
  if (defined $killed_at && time >= $killed_at) { $killed_at = undef; syswrite($job, 'T' . chr 9) }
  my $bits = '';
  vec($bits, $_, 1) = 1 for fileno $job, keys %from, $told ? fileno $told : ();
  my $n = select(my $ready = $bits, undef, undef, defined $killed_at ? 0.2 : 5);
  next if $n <= 0;
  if ($told && vec($ready, fileno $told, 1)) {
    sysread($told, $letters, 64, length $letters) or $told = undef;    # there is no such console
    syswrite($job, $1) while $letters =~ s/\A(Y|W.{4})//s;
    $letters = '' if $letters !~ /\AW/;
  }
  printed($ready);
  $answers = vec($ready, fileno $job, 1) && !(grep { vec($ready, $_, 1) } keys %from);
}
my $line;
do { $line = line(); answer("$line\n") } until $line =~ /^[0-9a-f]{32} \d+$/;
for (;;) {
  my $head = read_whole($job, 4) // ended();
  answer($head);
  my $left = unpack('N', $head) or last;
  while ($left > 0) { my $part = read_whole($job, $left < 65536 ? $left : 65536) // ended(); answer($part); $left -= length $part }
}
answer(read_whole($job, 1) // ended());
answered('whole');
ioctl($console, 0x5409, 1);    # TCSBRK as tcdrain(3): what was printed last has left the domain
syswrite($job, 'K');
sleep 60;
ended();
