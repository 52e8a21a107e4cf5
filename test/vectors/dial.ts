/**
 * Real connections by the hundred from one namespace: a single process dials them all, so that a group of vectors takes as
 * long as its slowest one. The other end says its name and the address it sees.
 */
import { createInterface } from 'node:readline';
import type { Exec } from '../../src/exec/exec.ts';
import type { Protocol } from '../../src/ip/ip.ts';
import { CLOCK } from '../../src/lab/clock-in-perl.ts';

export interface Dial {
  /** By HTTP the answer is a status, a balancer's weight and a body: `200 1 {"localEndpoints":1}`. */
  readonly protocol: Protocol | 'HTTP';
  readonly address: string;
  readonly port: number;
  /** How many connections to make. */
  readonly times: number;
  /** The address to dial from; the kernel's choice unless said. */
  readonly source?: string;
}

/** `near 172.16.0.2`, `refused` or `silence`, one for each connection of a dial; `crowd` of them are open at once. */
export async function dialAll(
  exec: Exec,
  dials: readonly Dial[],
  { timeoutMs, crowd }: { readonly timeoutMs: number; readonly crowd: number },
): Promise<string[][]> {
  if (dials.length === 0) return [];
  const stdin = dials.map(
    ({ protocol, address, port, times, source = '' }) =>
      `${protocol} ${address} ${port} ${times} ${source}\n`,
  );
  const { stdout } = await exec.run({
    file: 'perl',
    args: ['-e', `${CLOCK}${DIALER}`, String(timeoutMs / 1000), String(crowd)],
    stdin: stdin.join(''),
    timeoutMs: 240_000,
  });
  const answers = dials.map((): string[] => []);
  for (const line of stdout.trim().split('\n')) {
    const [at, ...said] = line.split(' ');
    answers[Number(at)]?.push(said.join(' '));
  }
  return answers;
}

/**
 * Answers at `TCP/8080` or `UDP/192.168.0.11/8080`, and by SCTP where the kernel speaks it; returns when it listens, and runs
 * until its place is gone.
 */
export async function startResponder(exec: Exec, name: string, at: readonly string[]): Promise<void> {
  const { stdout, stderr, ended } = await exec.start('perl', ['-e', RESPONDER, name, ...at], {
    stdout: 'pipe',
    stderr: 'pipe',
  });
  if (stdout === null || stderr === null) throw new Error('pipes were asked for');
  const complaints: Buffer[] = [];
  stderr.on('data', (chunk: Buffer) => complaints.push(chunk));
  for await (const _ of createInterface(stdout)) return;
  await ended;
  throw new Error(`the responder of ${name} ended before it listened: ${Buffer.concat(complaints)}`);
}

/** perl -e DIALER seconds crowd: a line of input is a dial, a line of output the number of a dial and what became of it. */
const DIALER = String.raw`
use strict; use Socket qw(:all); use IO::Select; use Errno; use Fcntl;
my ($seconds, $crowd) = @ARGV;
my (@waiting, %open);
my $at = -1;
while (<STDIN>) { my ($protocol, $host, $port, $times, $from) = split; $at++; push @waiting, [$at, $protocol, $host, $port, $from] for 1 .. $times }
my ($reading, $writing) = (IO::Select->new, IO::Select->new);
sub place { my ($host, $port) = @_; $host =~ /:/ ? sockaddr_in6($port, inet_pton(AF_INET6, $host)) : sockaddr_in($port, inet_pton(AF_INET, $host)) }
sub end { my ($s, $said) = @_; my $c = delete $open{fileno $s}; print "$c->{at} $said\n"; $reading->remove($s); $writing->remove($s); close $s }
my %type = (TCP => [SOCK_STREAM, 6], HTTP => [SOCK_STREAM, 6], SCTP => [SOCK_STREAM, 132], UDP => [SOCK_DGRAM, 17]);
# SCTP takes an ICMP error for a hint and goes on unless IP_RECVERR or IPV6_RECVERR is set; with V6ONLY it offers no IPv4 besides.
sub heed { my ($s, $v6) = @_; setsockopt($s, 41, $_, 1) for $v6 ? (25, 26) : (); setsockopt($s, 0, 11, 1) unless $v6 }
sub begin {
  my ($at, $protocol, $host, $port, $from) = @{$_[0]};
  my ($tcp, $v6) = ($protocol ne 'UDP', $host =~ /:/);
  socket(my $s, $v6 ? PF_INET6 : PF_INET, $type{$protocol}[0], $type{$protocol}[1]) or die "socket: $!";
  fcntl($s, F_SETFL, O_NONBLOCK);
  heed($s, $v6) if $protocol eq 'SCTP';
  if ($from) { bind($s, place($from, 0)) or die "bind $from: $!" }
  my $done = connect($s, place($host, $port));
  if (!$done && !$!{EINPROGRESS}) { print "$at ", ($!{ECONNREFUSED} ? 'refused' : $!{EPERM} ? 'silence' : "error $!"), "\n"; return }
  my %is = (at => $at, tcp => $tcp, http => $protocol eq 'HTTP', said => '', s => $s);
  $open{fileno $s} = { %is, until => now() + $seconds, again => now() + $seconds / 3 };
  if ($tcp) { $writing->add($s); return }
  # EPERM: a rule of this host has dropped it. A rule that rejects it says so besides, by the error that comes next.
  if (!defined syswrite $s, "?\n" and !$!{EPERM}) { end($s, $!{ECONNREFUSED} ? 'refused' : "error $!"); return }
  $reading->add($s);
}
sub judged {
  my ($head, $body) = split /\r\n\r\n/, $_[0], 2;
  my ($status) = $head =~ /^HTTP\S+ (\d+)/;
  my ($weight) = $head =~ /^X-Load-Balancing-Endpoint-Weight: *(\S+)/im;
  return join ' ', $status // 'no status', $weight // 'no weight', $body // 'no body';
}
while (@waiting or %open) {
  begin(shift @waiting) while @waiting and keys %open < $crowd;
  last unless %open or @waiting;
  my ($can_read, $can_write) = IO::Select::select($reading, $writing, undef, 0.02);
  for my $s (@{$can_write || []}) {
    my $error = unpack 'i', getsockopt($s, SOL_SOCKET, SO_ERROR);
    if ($error) { $! = $error; end($s, $!{ECONNREFUSED} || $!{EACCES} ? 'refused' : $!{ETIMEDOUT} ? 'silence' : "error $!"); next }
    $writing->remove($s); $reading->add($s);
    syswrite $s, "GET / HTTP/1.0\r\n\r\n" if $open{fileno $s}{http};
  }
  for my $s (@{$can_read || []}) {
    my $n = sysread $s, my $line, 512;
    if (!defined $n) { end($s, $!{ECONNREFUSED} || $!{EACCES} ? 'refused' : "error $!") unless $!{EAGAIN}; next }
    my $c = $open{fileno $s};
    if ($c->{http}) { if ($n) { $c->{said} .= $line } else { end($s, judged($c->{said})) } next }
    chomp $line;
    end($s, $n ? $line : 'cut');
  }
  my $now = now();
  for my $c (values %open) {
    if ($c->{until} < $now) { end($c->{s}, 'silence'); next }
    # A crowd of datagrams fills the other end's buffer, and nobody but the sender makes up for one that was lost.
    if (!$c->{tcp} and $c->{again} < $now) { syswrite $c->{s}, "?\n"; $c->{again} += $seconds / 3 }
  }
}`;

/** perl -e RESPONDER name protocol/port or protocol/address/port…: to whoever comes, the name and his address. */
const RESPONDER = String.raw`
use strict; use Socket qw(:all); use IO::Select; $| = 1;
my ($name, @at) = @ARGV;
my $select = IO::Select->new;
my %type = (TCP => [SOCK_STREAM, 6], SCTP => [SOCK_STREAM, 132], UDP => [SOCK_DGRAM, 17]);
my %stream;
for (@at) {
  my ($protocol, @place) = split '/';
  my ($port, $host) = (pop @place, $place[0] // '::');
  my $v6 = $host =~ /:/;
  my $made = socket my $s, $v6 ? PF_INET6 : PF_INET, $type{$protocol}[0], $type{$protocol}[1];
  next if !$made and $protocol eq 'SCTP';
  setsockopt $s, SOL_SOCKET, SO_REUSEADDR, 1;
  setsockopt $s, 41, 26, 0 if $v6;
  bind($s, $v6 ? sockaddr_in6($port, inet_pton(AF_INET6, $host)) : sockaddr_in($port, inet_aton($host))) or die "$_: $!";
  if ($protocol ne 'UDP') { listen($s, 512) or die "$_: $!"; $stream{fileno $s} = 1 }
  $select->add($s);
}
print "listening\n";
sub seen { my ($e, $host) = getnameinfo($_[0], NI_NUMERICHOST | NI_NUMERICSERV); $host =~ s/^::ffff://; return "$name $host\n" }
while (my @ready = $select->can_read) {
  for my $s (@ready) {
    if ($stream{fileno $s}) { my $from = accept(my $c, $s) or next; syswrite $c, seen($from); close $c; next }
    my $from = recv $s, my $text, 512, 0 or next;
    send $s, seen($from), 0, $from;
  }
}`;
