import { Fault } from '../../fault/fault.ts';
import { Addr, type Port, portOf } from '../../ip/ip.ts';
import { hostOf, type World } from '../../world/world.ts';
import type { Inside } from '../cage.ts';
import { CLOCK } from '../clock-in-perl.ts';
import { ENTER, SOCKETS } from '../namespaces-in-perl.ts';

/** Who asks whom: what a walk is asked too, but for SCTP, which no responder speaks. */
export interface Question {
  /** The client's host. */
  readonly from: string;
  readonly to: Addr;
  readonly port: Port;
  readonly protocol: 'TCP' | 'UDP';
  /** The client stays with the endpoint it was given first (session affinity). */
  readonly isSticky?: boolean;
}

/** `refused`: a RST, an ICMP error, or no way at all. `timeout`: silence, also after a connection stood. */
export type Answer =
  | { readonly verdict: 'refused' | 'timeout'; readonly clientPort: number }
  | {
      readonly verdict: 'reached';
      readonly clientPort: number;
      /** Where the answer was given. */
      readonly endpoint: { readonly host: string; readonly ip: Addr; readonly port: Port };
      /** The client's address as it was seen there. */
      readonly sourceSeen: Addr;
    };

/** A question and how often to ask it, each time by a new connection. */
export interface Dial {
  readonly question: Question;
  readonly times: number;
}

/** Connections under way at once: more of them make late what would come in time. */
const SIDE_BY_SIDE = 500;

/**
 * Asks all of it at once, from every client by one process, so that a matrix takes as long as its slowest cell. Gives the
 * answers to each question, in no order. `timeoutMs` bounds the connecting and the answering together; a lost SYN is sent
 * again after 1000. Throws {@link Fault} FE011 for a client that is not in the World.
 */
export async function dialAll(
  world: World,
  cage: Inside,
  dials: readonly Dial[],
  timeoutMs: number,
): Promise<Answer[][]> {
  const answers = dials.map((): Answer[] => []);
  if (dials.length === 0) return answers;
  const lines = dials.map(({ question: { from, to, port, protocol }, times }) => {
    const { netns } = hostOf(world, from);
    return `${netns} ${protocol} ${to} ${port} ${times}\n`;
  });
  const total = dials.reduce((sum, { times }) => sum + times, 0);
  const { stdout } = await cage.exec().run({
    file: 'perl',
    args: ['-e', `${ENTER}${SOCKETS}${CLOCK}${DIALER}`, String(timeoutMs / 1000), String(SIDE_BY_SIDE)],
    stdin: lines.join(''),
    timeoutMs: 30_000 + timeoutMs * Math.ceil(total / SIDE_BY_SIDE + 1),
  });
  for (const line of stdout.trim().split('\n')) {
    const [at, ...said] = line.split(' ');
    answers[Number(at)]?.push(readAnswer(said));
  }
  return answers;
}

function readAnswer(said: readonly string[]): Answer {
  const [verdict, clientPort, source, , host, ip, port] = said;
  if (verdict === 'refused' || verdict === 'timeout') return { verdict, clientPort: Number(clientPort) };
  if (verdict === 'reached' && source !== undefined && host !== undefined && ip !== undefined) {
    return {
      verdict,
      clientPort: Number(clientPort),
      endpoint: { host, ip: Addr.parse(ip), port: portOf(Number(port)) },
      sourceSeen: Addr.parse(source),
    };
  }
  throw new Fault('FE002', `a probe said '${said.join(' ')}'`, 'probe what startListeners has started');
}

/**
 * perl -e DIALER seconds limit: a line of input is a question; a line of output the question's number, the verdict, the
 * client's port and what the responder said.
 */
const DIALER = String.raw`
use strict; use IO::Handle; use IO::Select; use Errno; use Fcntl;
my ($seconds, $limit) = @ARGV;
my (@waiting, %open);
my $number = 0;
while (<STDIN>) { my ($netns, $protocol, $host, $port, $times) = split; push @waiting, [$number, $netns, $protocol, $host, $port] for 1 .. $times; $number++ }
@waiting = sort { $a->[1] cmp $b->[1] } @waiting;
my ($reading, $writing) = (IO::Select->new, IO::Select->new);
sub end {
  my ($s, $said) = @_;
  my $c = delete $open{fileno $s};
  my ($verdict, @rest) = split ' ', $said;
  print join(' ', $c->{number}, $verdict, $c->{port}, @rest), "\n";
  $reading->remove($s); $writing->remove($s); close $s;
}
sub begin {
  my ($number, $netns, $protocol, $host, $port) = @{$_[0]};
  my $tcp = $protocol eq 'TCP';
  enter($netns);
  socket(my $s, family($host), $tcp ? SOCK_STREAM : SOCK_DGRAM, 0) or die "socket: $!\n";
  fcntl($s, F_SETFL, O_NONBLOCK);
  my $done = connect $s, packed($host, $port);
  if (!$done && !$!{EINPROGRESS}) { print "$number refused 0\n"; return }
  my (undef, $own) = unpacked(getsockname $s);
  $open{fileno $s} = { number => $number, tcp => $tcp, until => now() + $seconds, got => '', s => $s, port => $own };
  if ($tcp) { $writing->add($s); return }
  if (!defined syswrite $s, '?') { end($s, 'refused'); return }
  $reading->add($s);
}
# An ICMP error that comes while connect still holds the socket is only noted there (sk_err_soft), and heeded when the SYN has been
# sent again.
sub unheeded {
  my ($c) = @_;
  return 0 unless $c->{tcp} && $writing->exists($c->{s});
  my $error = unpack 'i', getsockopt($c->{s}, SOL_SOCKET, SO_ERROR);
  $! = $error;
  $error && !$!{ETIMEDOUT};
}
sub told { my ($text) = @_; $text =~ s/^.*?\r\n\r\n//s; my @said = split ' ', $text; @said == 5 ? "reached @said" : 'refused' }
while (@waiting or %open) {
  # By pieces, so that answers are read while further questions are still asked.
  for (1 .. 50) { last if !@waiting or keys %open >= $limit; begin(shift @waiting) }
  next unless %open;
  my ($can_read, $can_write) = IO::Select::select($reading, $writing, undef, @waiting && keys %open < $limit ? 0 : 0.02);
  for my $s (@{$can_write || []}) {
    my $error = unpack 'i', getsockopt($s, SOL_SOCKET, SO_ERROR);
    if ($error) { $! = $error; end($s, $!{ETIMEDOUT} ? 'timeout' : 'refused'); next }
    syswrite $s, "GET / HTTP/1.0\r\n\r\n";
    $writing->remove($s); $reading->add($s);
  }
  for my $s (@{$can_read || []}) {
    my $c = $open{fileno $s};
    my $n = sysread $s, $c->{got}, 2048, length $c->{got};
    if (!defined $n) { end($s, $!{ETIMEDOUT} ? 'timeout' : 'refused') unless $!{EAGAIN}; next }
    next if $n and $c->{tcp};
    end($s, told($c->{got}));
  }
  my $now = now();
  for my $c (values %open) { end($c->{s}, unheeded($c) ? 'refused' : 'timeout') if $c->{until} < $now }
}`;
