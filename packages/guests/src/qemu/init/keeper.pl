#!/usr/bin/perl
# Holds a snapshot's memory: copies the file $ARGV[0] into memory that is then sealed, so that nobody, not even a guest that broke out of QEMU, can
# change what other guests map (memfd_create(2), F_ADD_SEALS in fcntl(2)). Says its descriptor, and ends unless it is told a line then: whoever
# says it can find it by what was written down. From then on it stays until it is killed.
$^F = 255;    # the descriptor is inherited
my ($file) = @ARGV;
open(my $in, '<', $file) or die "$file: $!\n";
my $size = -s $in;
my $name = "xeno-snapshot\0";
my $fd = syscall(319, $name, 2);    # memfd_create, MFD_ALLOW_SEALING
die "memfd_create: $!\n" if $fd < 0;
open(my $out, '+<&=', $fd) or die "memfd: $!\n";
truncate($out, $size) or die "truncate: $!\n";
my $block = 65536;
my $zero = "\0" x $block;
for (my $at = 0; $at < $size;) {
  my $n = sysread($in, my $bytes, $block);
  die "read: $!\n" unless $n;
  if ($bytes ne $zero) { sysseek($out, $at, 0); syswrite($out, $bytes) == $n or die "write: $!\n" }
  $at += $n;
}
fcntl($out, 1033, 1 | 2 | 4 | 8) or die "seal: $!\n";    # F_SEAL_SEAL, SHRINK, GROW, WRITE
$| = 1;
print "$fd\n";
exit 0 unless defined(my $told = <STDIN>);
close STDOUT; close STDIN; close STDERR;
exec 'sleep', 'infinity';
