#!/usr/bin/perl
# Dom0's end of a domain's console beside its first (xen/io/console.h, xen/io/protocols of Xen's public headers): what comes on descriptor 3 goes to
# the domain, what the domain says comes out there. It ends with descriptor 3. Perl's core alone, for dom0 has nothing else to map a grant with that
# this program could call.
#
#   perl ring.pl DOMAIN GRANT PORT      DOMAIN: its number; GRANT, PORT: of the page and the event channel that its kernel offers
#
# Who controls the inputs: the domain, GRANT, PORT, every byte of the page, at any time: its words count for no address and no length that was not
# bounded here. Whoever is at descriptor 3, what goes to the domain.
use strict;
my ($domain, $grant, $remote) = map { /^(\d{1,10})$/ && $1 < 2**32 ? 0 + $1 : die "ring.pl: that is no number: $_\n" } @ARGV;
my ($page_size, $ahead_max) = (4096, 65536);
my %in = (at => 0, size => 1024, consumed => 3072, produced => 3076);
my %out = (at => 1024, size => 2048, consumed => 3080, produced => 3084);
# between two looks where the domain calls and has nothing to say
my $IDLE_S = 0.02;
my $NONBLOCK = 04002;

sub failed { die "ring.pl: $_[0]: $!\n" }
open(my $far, '+<&=', 3) or failed('no descriptor 3');
sysopen(my $grants, '/dev/xen/gntdev', 02) or failed('/dev/xen/gntdev');
sysopen(my $events, '/dev/xen/evtchn', 02) or failed('/dev/xen/evtchn');
my $asked = pack('LLQLL', 1, 0, 0, $domain, $grant);
defined ioctl($grants, 0x00184700, $asked) or failed('the page cannot be mapped');    # IOCTL_GNTDEV_MAP_GRANT_REF
my $page = syscall(9, 0, $page_size, 3, 1, fileno $grants, (unpack 'LLQ', $asked)[2]);    # mmap, PROT_READ | PROT_WRITE, MAP_SHARED
failed('the page cannot be mapped') if $page == -1;
my $channel = ioctl($events, 0x00084501, pack('LL', $domain, $remote)) // failed('no event channel');    # IOCTL_EVTCHN_BIND_INTERDOMAIN
fcntl($_, 4, $NONBLOCK) for $far, $events;    # F_SETFL
pipe(my $taken, my $put) or failed('no pipe');

sub peek { my ($at, $length) = @_; return unpack("P$length", pack('Q', $page + $at)) }
sub number { return unpack('L', peek($_[0], 4)) }
# read(2) writes where it is told to
sub poke { my ($at, $bytes) = @_; syswrite($put, $bytes) == length $bytes && syscall(0, fileno $taken, $page + $at, length $bytes) == length $bytes or failed('the page cannot be written') }
# One step for whoever reads it, and a barrier: futex(2), FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, FUTEX_OP_ADD of twelve bits; nobody waits
sub advance {
  my ($at, $by) = @_;
  for (; $by > 0; $by -= 1024) {
    my $step = $by < 1024 ? $by : 1024;
    syscall(202, $page + $at, 133, 0, 0, $page + $at, 1 << 28 | $step << 12) >= 0 or failed('the page cannot be written');
  }
}
# of a ring, how much lies in it: no more than fits
sub filled {
  my ($consumed, $produced, $size) = @_;
  my $length = ($produced - $consumed) & 0xffffffff;
  die "ring.pl: the domain's ring is none\n" if $length > $size;
  return $length;
}
# Of a ring, from that place on, each piece that does not go round its end, with its length
sub pieces {
  my ($ring, $from, $length) = @_;
  my $start = $from & ($ring->{size} - 1);
  my $first = $ring->{size} - $start < $length ? $ring->{size} - $start : $length;
  return ([$ring->{at} + $start, $first], $first < $length ? [$ring->{at}, $length - $first] : ());
}

my ($produced, $consumed) = (number($in{produced}), number($out{consumed}));    # where whoever was here before has come to
my ($down, $up, $called) = ('', '', 0);
for (;;) {
  my $moved = 0;
  if (length $up < $ahead_max and my $length = filled($consumed, number($out{produced}), $out{size})) {
    $up .= peek(@$_) for pieces(\%out, $consumed, $length);
    advance($out{consumed}, $length);
    $consumed = ($consumed + $length) & 0xffffffff;
    $moved = 1;
  }
  if ($down ne '' and my $free = $in{size} - filled(number($in{consumed}), $produced, $in{size})) {
    my $length = $free < length $down ? $free : length $down;
    my $at = 0;
    for (pieces(\%in, $produced, $length)) { poke($_->[0], substr($down, $at, $_->[1])); $at += $_->[1] }
    advance($in{produced}, $length);
    $produced = ($produced + $length) & 0xffffffff;
    substr($down, 0, $length) = '';
    $moved = 1;
  }
  if ($moved) { ioctl($events, 0x00044504, pack('L', $channel)) // failed('the domain cannot be called') }    # IOCTL_EVTCHN_NOTIFY
  elsif ($called) { select(undef, undef, undef, $IDLE_S) }
  my ($r, $w) = ('', '');
  vec($r, fileno $events, 1) = 1;
  vec($r, fileno $far, 1) = 1 if $down eq '';
  vec($w, fileno $far, 1) = 1 if $up ne '';
  select($r, $w, undef, undef);
  # it calls again when it is allowed to
  $called = vec($r, fileno $events, 1) && sysread($events, my $which, 4) ? 1 : 0;
  syswrite($events, $which) if $called;
  if (vec($r, fileno $far, 1)) {
    my $n = sysread($far, $down, $ahead_max);
    exit 0 if defined $n && $n == 0;
  }
  if (vec($w, fileno $far, 1)) { my $n = syswrite($far, $up); if ($n) { substr($up, 0, $n) = '' } }
}
