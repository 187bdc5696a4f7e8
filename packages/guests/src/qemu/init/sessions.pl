# Where the guest is a Xen domain, consoles (/dev/hvc1 and on) stand in place of ports. Nothing on a console says that who was at its other end has gone
# and another has come, perhaps in the midst of a frame; so whoever comes says so (xen/console-session.ts):
#   host                                     guest
#   10 "S" token (16 hex)   ──────▶   what was before is over, a session begins      ◀──────   10 "S" token "\n"
#   10 10                   ──────▶   the byte 10
# A console that nobody has open yet echoes, edits and forgets: a beginning is said until it is answered, and said again with the same token it is
# only answered again.
my $console_max = 65536;

# Null where another process has it: a terminal does not say so by itself
sub console {
  my ($device) = @_;
  sysopen(my $console, $device, 0402) or return;    # O_RDWR, O_NOCTTY
  return flock($console, 6) && raw($console) ? $console : undef;    # LOCK_EX | LOCK_NB
}

# As a wire: no echo, no editing, no flow control (termios(3), cfmakeraw), by TCGETS and TCSETS
sub raw {
  my ($console) = @_;
  my $set = "\0" x 64;
  ioctl($console, 0x5401, $set) or return 0;
  my @of = unpack('L4 C20', $set);
  @of[0, 1, 3] = (0, 0, 0);
  @of[10, 11] = (0, 1);    # c_cc from 5 on: VTIME, VMIN
  return ioctl($console, 0x5402, pack('L4 C20', @of)) ? 1 : 0;
}

# What was said since, as [kind, bytes]; what is no whole word yet stays
sub words {
  my ($said) = @_;
  my @words;
  while ($$said ne '') {
    if ($$said =~ s/\A([^\x10]+)//) { push @words, ['bytes', $1] }
    elsif ($$said =~ s/\A\x10\x10//) { push @words, ['bytes', "\x10"] }
    elsif ($$said =~ s/\A\x10S([0-9a-f]{16})//) { push @words, ['begins', $1] }
    elsif ($$said =~ /\A\x10(?:S[0-9a-f]{0,15})?\z/) { last }
    else { substr($$said, 0, 1) = '' }    # cut off
  }
  return @words;
}

# Passes on what is said on a console to each session's socket and back, for ever. `begin` gets the socket of the session before, which is over, and
# gives the new one's; what it gives in a child of this process is returned there
sub sessions {
  my ($console, $begin) = @_;
  my ($parent, $said, $token, $far, $to, $from) = ($$, '', '', undef, '', '');
  $SIG{PIPE} = 'IGNORE';
  fcntl($console, 4, 04002);    # F_SETFL, O_NONBLOCK | O_RDWR
  while (1) {
    my ($r, $w) = ('', '');
    vec($r, fileno $console, 1) = 1 if length $to < $console_max;
    vec($w, fileno $console, 1) = 1 if $from ne '';
    if ($far) {
      vec($r, fileno $far, 1) = 1 if length $from < $console_max;
      vec($w, fileno $far, 1) = 1 if $to ne '';
    }
    select($r, $w, undef, undef) > 0 or next;
    if (vec($w, fileno $console, 1)) { my $n = syswrite($console, $from); substr($from, 0, $n) = '' if $n }
    if ($far && vec($w, fileno $far, 1)) { my $n = syswrite($far, $to); substr($to, 0, $n) = '' if $n }
    if ($far && vec($r, fileno $far, 1)) {
      my $n = sysread($far, $from, $console_max, length $from);
      ($far, $to) = (undef, '') if defined $n && $n == 0;
    }
    next unless vec($r, fileno $console, 1);
    my $n = sysread($console, $said, $console_max, length $said);
    exit 0 if defined $n ? $n == 0 : $! != 11;    # EAGAIN; else it was taken away
    for (words(\$said)) {
      my ($kind, $what) = @$_;
      if ($kind eq 'bytes') { $to .= $what if $far; next }
      if ($what ne $token) {
        ($token, $to, $from) = ($what, '', '');
        $far = $begin->($far);
        return $far if $$ != $parent;
        fcntl($far, 4, 04002) if $far;
      }
      $from .= "\x10S$token\n";
    }
  }
}
1;
