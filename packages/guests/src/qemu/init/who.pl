# Who a user is, by the guest's own files, as container engines read them (OCI image spec, config.User): of an image's program
# (container.pl) and of what its customer runs beside it (shell.pl).
my $users_bytes_max = 1 << 22;

sub rows {
  my ($file) = @_;
  return unless -f $file && open(my $h, '<', $file);
  read($h, my $text, $users_bytes_max);
  return map { [split /:/] } split /\n/, $text;
}

# `spec`: USER, USER:GROUP or nothing, each by name or number; `whose`: whose files these are, in words
sub named {
  my ($spec, $whose) = @_;
  my ($name, $group) = split /:/, ($spec eq '' ? '0' : $spec), 2;
  $name = '0' if $name eq '';
  my %who = (uid => $name =~ /^\d+$/ ? $name : '', gid => 0, home => '/', shell => '', groups => '', problem => '');
  my $known;
  for (rows('/etc/passwd')) {
    next unless $_->[0] eq $name || ($who{uid} ne '' && ($_->[2] // '') eq $who{uid});
    ($known, @who{qw(uid gid home shell)}) = (@$_[0, 2, 3], $_->[5] // '/', $_->[6] // '');
    last;
  }
  my @groups = rows('/etc/group');
  if (($group // '') ne '') {
    my ($found) = grep { $_->[0] eq $group || ($_->[2] // '') eq $group } @groups;
    $who{gid} = $found ? $found->[2] : $group;
  }
  elsif (defined $known) {
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
