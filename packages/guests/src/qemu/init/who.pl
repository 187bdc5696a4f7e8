# Who a user is, by the guest's own files, as container engines read them (OCI image spec, config.User): of an image's program
# (container.pl) and of what its customer runs beside it (shell.pl).
my $users_bytes_max = 1 << 22;

sub rows {
  my ($file) = @_;
  return unless -f $file && open(my $h, '<', $file);
  read($h, my $text, $users_bytes_max);
  return map { [split /:/] } split /[\r\n]+/, $text;
}

# A number is one whatever is called so, with a sign or zeros before it; undef of a name
sub number { my ($text) = @_; return $text =~ /^[+-]?\d+$/ ? $text =~ s/^\+?0*(?=\d)//r : undef }

# `spec`: USER, USER:GROUP or nothing, each by name or number; what stands behind a second colon says nothing; `whose`: whose files these
# are, in words
sub named {
  my ($spec, $whose) = @_;
  my ($name, $group) = split /:/, $spec, -1;
  $name = '0' if ($name // '') eq '';
  my $uid = number($name);
  my %who = (uid => $uid // '', gid => 0, home => '/', shell => '', groups => '', problem => '');
  my $known;
  for (rows('/etc/passwd')) {
    next unless defined $uid ? ($_->[2] // '') eq $uid : $_->[0] eq $name;
    ($known, @who{qw(uid gid home shell)}) = (@$_[0, 2], ($_->[3] // '') eq '' ? 0 : $_->[3], $_->[5] // '/', $_->[6] // '');
    last;
  }
  my @groups = rows('/etc/group');
  if (($group // '') ne '') {
    my ($found) = grep { $_->[0] eq $group } @groups;
    $who{gid} = number($group) // ($found ? $found->[2] : $group);
  }
  elsif (defined $known && !defined $group) {
    $who{groups} = join ' ', map { $_->[2] } grep { my $one = $_; ($one->[2] // '') =~ /^\d{1,10}$/ && grep { $_ eq $known } split /,/, $one->[3] // '' } @groups;
  }
  $who{problem} = "group $who{gid} is not in $whose/etc/group" unless ($who{gid} // '') =~ /^\d{1,10}$/;
  $who{problem} = "user $name is not in $whose/etc/passwd" unless ($who{uid} // '') =~ /^\d{1,10}$/;
  # the kernel takes the last number for "none", and the rest of a larger one
  $who{problem} ||= "$_ is no number of a user or group" for grep { /^\d{1,10}$/ && $_ >= 4294967295 } @who{qw(uid gid)};
  return %who;
}

# takes it, and all groups; false where it cannot
sub taken {
  my (%who) = @_;
  $) = join ' ', $who{gid}, $who{gid}, $who{groups};
  $( = $who{gid}; $< = $who{uid}; $> = $who{uid};
  return $> == $who{uid};
}
1;
