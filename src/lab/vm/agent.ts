/** The name of the port between the guest and its opener, in /sys/class/virtio-ports/PORT/name. */
export const PORT_NAME = 'fairlead';

/**
 * The guest's agent: starts processes for the guest's opener and carries their streams (see {@link Frame} for what is said).
 * It is one loop around select(2). When the port closes, it ends and the guest with it.
 *
 * In Perl, which Debian's base system has, because the guest's processor is translated: a Node that has done nothing yet
 * takes 4 s to start there, and 60 ms for each process it forks, for its size. A fifth of that is Perl's.
 */
export const AGENT = String.raw`
use strict; use warnings; use Fcntl; use POSIX ();
use constant { WINDOW => 256 * 1024, PIECE => 32 * 1024 };
my @KINDS = qw(hello start started refused signal ended data end credit abandon);
my %KIND = map { $KINDS[$_] => $_ } 0 .. $#KINDS;

sub contents { open my $file, '<', $_[0] or return ''; local $/; <$file> // '' }
my ($name) = grep { contents("/sys/class/virtio-ports/$_/name") eq "${PORT_NAME}\n" }
  map { m{([^/]+)$} } glob '/sys/class/virtio-ports/*';
sysopen my $port, "/dev/$name", O_RDWR | O_NONBLOCK or die "/dev/$name: $!\n";
open my $null, '+<', '/dev/null' or die "/dev/null: $!\n";
# A handler does not outlive an exec; what is ignored would be ignored by every child.
pipe(my $woken, my $wake) or die "pipe: $!\n";
fcntl $_, F_SETFL, O_NONBLOCK for $woken, $wake;
$SIG{CHLD} = sub { syswrite $wake, '.' };
$SIG{PIPE} = sub { };

my ($heard, $unsaid) = ('', '');
my (%process, %of);     # number -> pid and whether it forks; pid -> number
my (%source, %sink);    # stream -> what a process gives, what it takes

sub say_ { my ($kind, $id, $payload) = @_; $unsaid .= pack('NCN', length $payload, $KIND{$kind}, $id) . $payload }
sub tell_ { my ($kind, $id, @fields) = @_; say_($kind, $id, join "\0", @fields) }

# What stands before a command inside a cage is built in, for each program costs 30 ms here: nsenter(1) for mounts, network
# and processes, and setpriv --pdeathsig. Takes them off the command, and off one that has other options nothing.
sub entries {
  my ($command) = @_;
  my @entries;
  while ($command->[0] eq 'nsenter') {
    my ($at, $target, $net, %entry) = (1, 'self');
    for (; $at < @$command && $command->[$at] ne '--'; $at++) {
      my $option = $command->[$at];
      if ($option eq '--target') { $target = $command->[++$at] }
      elsif ($option =~ /^--net(?:=(.*))?$/) { $net = $1 // ''; $entry{net} = 1 }
      elsif ($option eq '--mount') { $entry{mnt} = 1 }
      elsif ($option eq '--pid') { $entry{pid} = 1 }
      else { return @entries }
    }
    return @entries if $entry{pid} && @entries;
    my @files = map { $_ eq 'net' && $net ne '' ? $net : "/proc/$target/ns/$_" } grep { $entry{$_} } qw(net mnt);
    splice @$command, 0, $at + 1;
    my $mortal = join(' ', grep { defined } @$command[0 .. 3]) eq 'setpriv --pdeathsig KILL --';
    splice @$command, 0, 4 if $mortal;
    push @entries, { files => \@files, processes => $entry{pid} ? "/proc/$target/ns/pid" : undef, mortal => $mortal };
  }
  return @entries;
}

# By file name, or by an open file. The numbers are those of x86-64.
use constant { SETNS => 308, PRCTL => 157, PR_SET_PDEATHSIG => 1 };
sub enter {
  my ($file) = @_;
  return syscall(SETNS, fileno $file, 0) == 0 if ref $file;
  open my $open, '<', $file or return 0;
  return enter($open);
}

# All files are opened before any namespace is entered, as nsenter does.
sub take {
  my ($entry) = @_;
  my @open = map { open my $file, '<', $_ or fail("nsenter: cannot open $_: $!"); $file } @{ $entry->{files} };
  enter($_) or fail("nsenter: reassociate to namespaces failed: $!") for @open;
  syscall(PRCTL, PR_SET_PDEATHSIG, 9) if $entry->{mortal};
}
sub fail { syswrite STDERR, "$_[0]\n"; POSIX::_exit(1) }

# Fields: letters of what is piped (0 to 3), d for a session of its own, f for a fork before the command; the folder; the
# number of arguments; the arguments; the variables of the environment.
sub start {
  my ($id, $how, $folder, $count, @rest) = @_;
  my @command = splice @rest, 0, $count;
  my %variables = map { split /=/, $_, 2 } @rest;
  my @entries = entries(\@command);
  my (@theirs, @ours);
  for my $at (0 .. 3) {
    if ($how !~ /$at/) { $theirs[$at] = $at < 3 ? $null : undef; next }
    pipe(my $read, my $write) or return tell_('refused', $id, "pipe: $!");
    ($theirs[$at], $ours[$at]) = $at == 0 ? ($read, $write) : ($write, $read);
  }
  pipe(my $failed, my $fail) or return tell_('refused', $id, "pipe: $!");
  my ($space) = grep { defined } map { $_->{processes} } @entries;
  my $entered = !$space || enter($space);
  my $pid = fork // return tell_('refused', $id, "fork: $!");
  enter('/proc/self/ns/pid') if $space && $pid;
  if ($pid == 0) {
    POSIX::setsid() if $how =~ /d/;
    POSIX::dup2(fileno $theirs[$_], $_) for grep { defined $theirs[$_] } 0 .. 3;
    @ENV{keys %variables} = values %variables;
    no warnings 'exec';
    chdir $folder or do { syswrite $fail, "$folder: $!"; POSIX::_exit(127) };
    $entered or fail("nsenter: cannot open $space");
    take($_) for @entries;
    exec { $command[0] } @command;
    if (@entries) { syswrite STDERR, "nsenter: failed to execute $command[0]: $!\n" }
    else { syswrite $fail, "$command[0]: $!\0" . ($!{ENOENT} ? 'ENOENT' : '') }
    POSIX::_exit(127);
  }
  close $fail; close $_ for grep { defined } map { $ours[$_] ? $theirs[$_] : undef } 0 .. 3;
  # The end of this pipe is the exec.
  my $why = do { local $/; <$failed> };
  if (length($why // '')) { waitpid $pid, 0; return tell_('refused', $id, split /\0/, $why) }
  $process{$id} = { pid => $pid, forks => $how =~ /f/ && !$space }; $of{$pid} = $id;
  if ($ours[0]) {
    fcntl $ours[0], F_SETFL, O_NONBLOCK;
    $sink{$id * 4} = { file => $ours[0], data => '', owed => 0, ended => 0 };
  }
  $source{$id * 4 + $_} = { file => $ours[$_], credit => WINDOW } for grep { $ours[$_] } 1 .. 3;
  tell_('started', $id, $pid);
}

sub signal_ {
  my ($id, $signal) = @_;
  my $process = $process{$id} or return;
  my $pid = $process->{pid};
  my ($child) = $process->{forks} ? contents("/proc/$pid/task/$pid/children") =~ /(\d+)/ : ();
  kill $signal =~ s/^SIG//r, $child // $pid;
}

sub reap {
  while ((my $pid = waitpid -1, POSIX::WNOHANG) > 0) {
    my $id = delete $of{$pid} // next;
    delete $process{$id};
    say_('abandon', $id * 4, '') if delete $sink{$id * 4};
    tell_('ended', $id, $? & 127 ? ('', $? & 127) : ($? >> 8, ''));
  }
}

sub hear {
  my ($kind, $id, $payload) = @_;
  if ($kind eq 'data') { $sink{$id}{data} .= $payload if $sink{$id} }
  elsif ($kind eq 'end') { if ($sink{$id}) { $sink{$id}{ended} = 1; delete $sink{$id} if $sink{$id}{data} eq '' } }
  elsif ($kind eq 'credit') { $source{$id}{credit} += unpack 'N', $payload if $source{$id} }
  elsif ($kind eq 'abandon') { delete $sink{$id}; delete $source{$id} }
  elsif ($kind eq 'start') { start($id, split /\0/, $payload, -1) }
  elsif ($kind eq 'signal') { signal_($id, $payload) }
}

sub drain {
  my ($id) = @_;
  my $sink = $sink{$id};
  my $wrote = syswrite $sink->{file}, $sink->{data};
  if (!defined $wrote) {
    return if $!{EAGAIN} || $!{EINTR};
    delete $sink{$id};
    return say_('abandon', $id, '');
  }
  substr $sink->{data}, 0, $wrote, '';
  $sink->{owed} += $wrote;
  if ($sink->{owed} >= WINDOW / 4) { say_('credit', $id, pack 'N', $sink->{owed}); $sink->{owed} = 0 }
  delete $sink{$id} if $sink->{ended} && $sink->{data} eq '';
}

sub fill {
  my ($id) = @_;
  my $source = $source{$id};
  my $most = $source->{credit} < PIECE ? $source->{credit} : PIECE;
  my $read = sysread $source->{file}, (my $bytes), $most;
  return if !defined $read && $!{EINTR};
  if (!$read) { delete $source{$id}; return say_('end', $id, '') }
  $source->{credit} -= $read;
  say_('data', $id, $bytes);
}

sub listen_ {
  my $read = sysread $port, $heard, 2 * PIECE, length $heard;
  return if !defined $read && ($!{EAGAIN} || $!{EINTR});
  exit 0 if !$read;
  while (length $heard >= 9) {
    my ($length, $kind, $id) = unpack 'NCN', $heard;
    last if length $heard < 9 + $length;
    my $payload = substr $heard, 9, $length;
    substr $heard, 0, 9 + $length, '';
    hear($KINDS[$kind], $id, $payload);
  }
}

sub speak {
  my $wrote = syswrite $port, $unsaid, PIECE;
  die "the port: $!\n" if !defined $wrote && !$!{EAGAIN} && !$!{EINTR};
  substr $unsaid, 0, $wrote // 0, '';
}

my ($up) = contents('/proc/uptime') =~ /^(\S+)/;
tell_('hello', 0, (POSIX::uname())[2], $up);
while (1) {
  my ($in, $out) = ('', '');
  vec($in, fileno $_, 1) = 1 for $port, $woken, map { $_->{file} } grep { $_->{credit} > 0 } values %source;
  vec($out, fileno $_, 1) = 1 for map { $_->{file} } grep { $_->{data} ne '' } values %sink;
  vec($out, fileno $port, 1) = 1 if $unsaid ne '';
  next if select($in, $out, undef, undef) < 0;
  if (vec $in, fileno $woken, 1) { sysread $woken, (my $dots), 4096; reap() }
  for my $id (grep { vec $in, fileno $source{$_}{file}, 1 } keys %source) { fill($id) }
  for my $id (grep { vec $out, fileno $sink{$_}{file}, 1 } keys %sink) { drain($id) }
  listen_() if vec $in, fileno $port, 1;
  speak() if $unsaid ne '';
}
`;
