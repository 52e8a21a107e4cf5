/**
 * Probes: does a connection get through, and whom does the other side take us for? Both ends are small real programs in the
 * namespaces, written in Perl because Debian's base system has it and it starts in a few milliseconds.
 *
 * @example
 * const responder = await startResponder(cage.exec('default_web'), 'web', [{ protocol: 'TCP', port: portOf(80) }]);
 * await probe(cage.exec('n1'), { protocol: 'TCP', target: Endpoint.parse('172.16.1.10:80') });
 * // { verdict: 'reached', sourceSeen: '192.168.0.11', answeredBy: 'web' }
 */
import type { EventEmitter } from 'node:events';
import { createInterface } from 'node:readline';
import type { Exec, Running } from '../exec/exec.ts';
import { Fault } from '../fault/fault.ts';
import { Addr, type Endpoint, type Port } from '../ip/ip.ts';

/**
 * `reached`: an answer came. `refused`: a RST, an ICMP error, or no route at all. `timeout`: silence.
 */
export type Verdict = 'reached' | 'refused' | 'timeout';

export type ProbeProtocol = 'TCP' | 'UDP';

export interface ProbeRequest {
  readonly protocol: ProbeProtocol;
  readonly target: Endpoint;
  /** Bound on connecting and on each answer, in milliseconds; 1000 unless said. A lost SYN is sent again after 1000. */
  readonly timeoutMs?: number;
}

export interface ProbeAnswer {
  readonly verdict: Verdict;
  /** The client's address as the other side saw it. */
  readonly sourceSeen?: Addr;
  /** The name of the responder. */
  readonly answeredBy?: string;
}

export interface ResponderPort {
  readonly protocol: ProbeProtocol;
  readonly port: Port;
  /** Every IPv4 address unless said. */
  readonly addr?: Addr;
}

/**
 * Starts a process that tells each client its address and port and the given name; over TCP as an HTTP answer. Returns when
 * it listens; it runs until its place is gone. Throws {@link Fault} FE005 for a port that is taken.
 */
export async function startResponder(
  exec: Exec,
  name: string,
  ports: readonly ResponderPort[],
): Promise<Running> {
  const wanted = ports.map(({ protocol, port, addr }) => `${protocol}/${addr ?? '0.0.0.0'}/${port}`);
  const running = await exec.start('perl', ['-e', RESPONDER, name, ...wanted], {
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const { stdout, stderr } = running;
  if (stdout === null || stderr === null) throw new Error('a responder needs pipes');
  const complaints: Buffer[] = [];
  stderr.on('data', (chunk: Buffer) => complaints.push(chunk));
  if ((await firstLine(createInterface(stdout))) === 'listening') return running;
  await running.ended;
  const said = Buffer.concat(complaints).toString('utf8').trim();
  throw new Fault(
    'FE005',
    `${exec.place.name}: the responder '${name}' cannot listen: ${said}`,
    'free the port',
  );
}

export async function probe(
  exec: Exec,
  { protocol, target, timeoutMs = 1000 }: ProbeRequest,
): Promise<ProbeAnswer> {
  const args = ['-e', PROBE, protocol, target.addr.text, String(target.port), String(timeoutMs / 1000)];
  const { stdout } = await exec.run({ file: 'perl', args, timeoutMs: timeoutMs * 3 + 10_000 });
  const [verdict, source, , answeredBy] = stdout.trim().split(' ');
  if (verdict === 'refused' || verdict === 'timeout') return { verdict };
  if (verdict === 'reached' && source !== undefined && answeredBy !== undefined) {
    return { verdict, sourceSeen: Addr.parse(source), answeredBy };
  }
  throw new Fault(
    'FE002',
    `${exec.place.name}: the probe of ${target} said '${stdout.trim()}'`,
    'probe a responder',
  );
}

function firstLine(lines: EventEmitter): Promise<unknown> {
  return new Promise((resolve) => {
    lines.once('line', resolve);
    lines.once('close', () => resolve(undefined));
  });
}

const RESPONDER = String.raw`
use strict; use IO::Socket::INET; use IO::Select; use Socket;
my ($name, @ports) = @ARGV;
$SIG{CHLD} = 'IGNORE'; $| = 1;
my $all = IO::Select->new;
for (@ports) {
  my ($protocol, $addr, $port) = split m{/};
  my @how = $protocol eq 'TCP' ? (Listen => 128, ReuseAddr => 1) : ();
  my $socket = IO::Socket::INET->new(Proto => lc $protocol, LocalAddr => $addr, LocalPort => $port, @how);
  die "$protocol port $port: $!\n" unless $socket;
  $all->add($socket);
}
print "listening\n";
sub line { my ($port, $addr) = sockaddr_in($_[0]); inet_ntoa($addr) . " $port $name\n" }
while (1) {
  for my $socket ($all->can_read) {
    if ($socket->socktype == SOCK_DGRAM) {
      my $peer = $socket->recv(my $asked, 2048);
      $socket->send(line($peer), 0, $peer) if defined $peer;
      next;
    }
    my $client = $socket->accept or next;
    next if fork;
    my $body = line($client->peername);
    # The question is read to its end before the answer: closing with unread bytes would send a RST.
    alarm 5; while (my $head = <$client>) { last if $head =~ /^\r?\n/ }
    print $client "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ", length $body, "\r\n\r\n", $body;
    exit;
  }
}`;

/** Prints the verdict and, if reached, the line of the responder. */
const PROBE = String.raw`
use strict; use IO::Socket::INET; use IO::Select; use Errno;
my ($protocol, $addr, $port, $bound) = @ARGV;
sub end { print "$_[0]\n"; exit }
sub silent { $!{ETIMEDOUT} || $!{EWOULDBLOCK} || $!{EINPROGRESS} }
my $socket = IO::Socket::INET->new(Proto => lc $protocol, PeerAddr => $addr, PeerPort => $port, Timeout => $bound);
end(silent() ? 'timeout' : 'refused') unless $socket;
$socket->blocking(1);
my $sent = $socket->syswrite($protocol eq 'TCP' ? "GET / HTTP/1.0\r\n\r\n" : "?");
end('refused') unless $sent;
my $answer = '';
my $wait = IO::Select->new($socket);
while (1) {
  end('timeout') unless $wait->can_read($bound);
  my $read = $socket->sysread($answer, 2048, length $answer);
  end('refused') unless defined $read;
  last if $read == 0 || $protocol eq 'UDP';
}
$answer =~ s/^.*?\r\n\r\n//s if $protocol eq 'TCP';
end("reached $answer");`;
