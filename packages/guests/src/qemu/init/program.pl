# How this process becomes a program as container engines start one: of an image (container.pl), and what a customer runs beside it or in any other guest
# (shell.pl).

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
