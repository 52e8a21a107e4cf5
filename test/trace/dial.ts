/**
 * Many real connections at once from one namespace: a single process dials them all, so that a whole matrix takes as long
 * as its slowest cell.
 */
import type { Exec } from '../../src/exec/exec.ts';

export interface Target {
  readonly protocol: 'TCP' | 'UDP';
  readonly address: string;
  readonly port: number;
  /** How many connections to make. */
  readonly times: number;
}

/** `reached HOST SOURCE`, `refused` or `timeout`, one for each connection to a target. */
export async function dialAll(
  exec: Exec,
  targets: readonly Target[],
  timeoutMs: number,
): Promise<string[][]> {
  if (targets.length === 0) return [];
  const stdin = targets.map(
    ({ protocol, address, port, times }) => `${protocol} ${address} ${port} ${times}\n`,
  );
  const args = ['-e', DIALER, String(timeoutMs / 1000)];
  const { stdout } = await exec.run({
    file: 'perl',
    args,
    stdin: stdin.join(''),
    timeoutMs: timeoutMs * 3 + 30_000,
  });
  const answers = targets.map((): string[] => []);
  for (const line of stdout.trim().split('\n')) {
    const [at, ...said] = line.split(' ');
    answers[Number(at)]?.push(said.join(' '));
  }
  return answers;
}

/** perl -e DIALER seconds: a line of input is a target, a line of output the number of a target and what became of it. */
const DIALER = String.raw`
use strict; use Socket; use IO::Socket::INET; use IO::Select; use Errno; use Time::HiRes 'time'; use Fcntl;
my ($seconds) = @ARGV;
my (@waiting, %open);
my $at = -1;
while (<STDIN>) { my ($protocol, $host, $port, $times) = split; $at++; push @waiting, [$at, $protocol, $host, $port] for 1 .. $times }
my ($reading, $writing) = (IO::Select->new, IO::Select->new);
sub end { my ($s, $said) = @_; my $c = delete $open{fileno $s}; print "$c->{at} $said\n"; $reading->remove($s); $writing->remove($s); close $s }
sub begin {
  my ($at, $protocol, $host, $port) = @{$_[0]};
  my $tcp = $protocol eq 'TCP';
  socket(my $s, PF_INET, $tcp ? SOCK_STREAM : SOCK_DGRAM, 0) or die "socket: $!";
  fcntl($s, F_SETFL, O_NONBLOCK);
  my $done = connect($s, sockaddr_in($port, inet_aton($host)));
  if (!$done && !$!{EINPROGRESS}) { print "$at refused\n"; return }
  $open{fileno $s} = { at => $at, tcp => $tcp, until => time + $seconds, got => '', s => $s };
  if ($tcp) { $writing->add($s); return }
  if (!defined syswrite $s, '?') { end($s, 'refused'); return }
  $reading->add($s);
}
sub told { my ($text) = @_; $text =~ s/^.*?\r\n\r\n//s; my ($from, $port, $name) = split ' ', $text; defined $name ? "reached $name $from" : 'cut' }
while (@waiting or %open) {
  begin(shift @waiting) while @waiting and keys %open < 100;
  last unless %open or @waiting;
  my ($can_read, $can_write) = IO::Select::select($reading, $writing, undef, 0.02);
  for my $s (@{$can_write || []}) {
    my $error = unpack 'i', getsockopt($s, SOL_SOCKET, SO_ERROR);
    if ($error) { $! = $error; end($s, $!{ETIMEDOUT} ? 'timeout' : 'refused'); next }
    syswrite $s, "GET / HTTP/1.0\r\n\r\n";
    $writing->remove($s); $reading->add($s);
  }
  for my $s (@{$can_read || []}) {
    my $c = $open{fileno $s};
    my $n = sysread $s, $c->{got}, 2048, length $c->{got};
    if (!defined $n) { end($s, 'refused') unless $!{EAGAIN}; next }
    next if $n and $c->{tcp};
    end($s, told($c->{got}));
  }
  my $now = time;
  for my $c (values %open) { end($c->{s}, 'timeout') if $c->{until} < $now }
}`;
