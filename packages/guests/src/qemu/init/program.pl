# How this process becomes a program as container engines start one: of an image (container.pl), and what a customer runs beside it or in any other guest
# (shell.pl).

# The folder that `path` leads to in `root`, made with those above it where there is none; links lead where they do inside of the image, also one
# to nothing. It and whether it was made; or undef, and in words what stands in the way
sub place {
  my ($root, $path) = @_;
  my @left = grep { $_ ne '' && $_ ne '.' } split m{/}, $path;
  my ($made, @at) = (0);
  for (my $links = 0; @left;) {
    my $part = shift @left;
    if ($part eq '..') { pop @at; $made = 0; next }
    my $within = join('/', '', @at, $part);
    my $full = "$root$within";
    if (-l $full) {
      return (undef, 'in the image it leads from link to link without end') if ++$links > 40;
      my $target = readlink $full;
      @at = () if $target =~ m{^/};
      unshift @left, grep { $_ ne '' && $_ ne '.' } split m{/}, $target;
      next;
    }
    if (-e _) { return (undef, "$within in the image is no folder") unless -d _; $made = 0 }
    else { mkdir $full, 0755 or return (undef, "$within: $!"); $made = 1 }
    push @at, $part;
  }
  return (@at || $root ne '' ? join('/', $root, @at) : '/', $made);
}

# What Perl, its `system` or whoever started it ignores would stay ignored: a program has every signal as the kernel gives it. `say` takes exit
# code and words, and ends this process
sub begin {
  my ($args, $env, $say) = @_;
  $SIG{$_} = 'DEFAULT' for grep { !/^__/ } keys %SIG;
  my $program = $args->[0];
  if ($program !~ m{/}) {
    my ($found) = grep { -f $_ && -x _ } map { ($_ eq '' ? '.' : $_) . "/$program" } split /:/, $env->{PATH};
    $program = $found // $say->(127, "$program: not found in \$PATH");
  }
  # execve itself: Perl's exec gives to a shell what is no program
  my @pairs = map { "$_=$env->{$_}" } keys %$env;
  my ($argv, $environ) = map { pack('p*', @$_) . pack('Q', 0) } ($args, \@pairs);
  syscall(59, $program, $argv, $environ);
  $say->($! == 2 || $! == 20 ? 127 : 126, "$args->[0]: $!");    # ENOENT, ENOTDIR
}
1;
