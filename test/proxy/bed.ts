/**
 * A node, two pods of it, a pod elsewhere and an outside client, as network namespaces in a cage:
 *
 *   pod1 172.16.0.2 ─┐
 *   pod2 172.16.0.3 ─┤ n1 192.168.0.11 ── lan ──┬── n2 192.168.0.12 (pod3 172.16.1.2 answers here)
 *                    └                          └── client 192.168.0.100
 *
 * IPv6 mirrors it: fd00:192::/64 between the machines, fd00:172:16:N::/64 for pods. Every pod answers TCP and UDP on 8080
 * with its name and the address it sees.
 */
import { createInterface } from 'node:readline';
import type { Exec, Running } from '../../src/exec/exec.ts';
import { Addr, Prefix } from '../../src/ip/ip.ts';
import { type Cage, openCage } from '../../src/lab/cage.ts';
import type { NodeFacts } from '../../src/proxy/proxy.ts';

export const N1: NodeFacts = {
  name: 'n1',
  ips: [Addr.parse('192.168.0.11'), Addr.parse('fd00:192::11')],
  podCIDRs: [Prefix.parse('172.16.0.0/24'), Prefix.parse('fd00:172:16::/64')],
};

/** Where a dial can start. */
export type Caller = 'pod1' | 'pod2' | 'n1' | 'client' | 'n2';

export type Answer = { readonly pod: string; readonly saw: string } | 'refused' | 'timeout';

export class Bed {
  readonly cage: Cage;
  readonly node: Exec;
  readonly #running: Running[] = [];

  private constructor(cage: Cage) {
    this.cage = cage;
    this.node = cage.exec('n1');
  }

  /** @param cage where the namespaces stand: in one of this host unless said. */
  static async open(cage?: Cage): Promise<Bed> {
    const bed = new Bed(cage ?? (await openCage()));
    await bed.#wire();
    await Promise.all([
      bed.answer('pod1', 'pod1'),
      bed.answer('pod2', 'pod2'),
      bed.answer('n2', 'pod3', '172.16.1.2'),
      bed.answer('n2', 'pod3', 'fd00:172:16:1::2'),
    ]);
    return bed;
  }

  close(): Promise<void> {
    return this.cage.close();
  }

  /** Starts a responder and waits until it listens. */
  async answer(netns: string, name: string, host = '::', port = 8080): Promise<void> {
    const running = await this.cage.exec(netns).start('perl', ['-e', RESPONDER, name, host, String(port)], {
      stdout: 'pipe',
      stderr: this.#complaints,
    });
    this.#running.push(running);
    await firstLine(running);
  }

  /** Dials once for every answer wanted. UDP uses a new source port each time. */
  async dial(from: Caller, to: string, options: DialOptions = {}): Promise<Answer[]> {
    const { protocol = 'tcp', times = 1, timeoutMs = 400, source = '' } = options;
    const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(to) ?? [];
    const args = ['-e', DIALER, protocol, host, port, String(times), String(timeoutMs / 1000), source];
    const { stdout } = await this.cage.exec(from).run({ file: 'perl', args });
    return stdout.trim().split('\n').map(parseAnswer);
  }

  /** Opens a connection that stays, of one socket also with UDP, and asks through it. */
  async hold(from: Caller, to: string, protocol: 'tcp' | 'udp' = 'tcp'): Promise<HeldConnection> {
    const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(to) ?? [];
    const running = await this.cage.exec(from).start('perl', ['-e', HOLDER, host, port, protocol], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: this.#complaints,
    });
    this.#running.push(running);
    return new HeldConnection(running);
  }

  /** A guest's processes have no part in this one's terminal. */
  get #complaints(): 'inherit' | 'ignore' {
    return this.node.place.machine === undefined ? 'inherit' : 'ignore';
  }

  async #wire(): Promise<void> {
    const run = (netns: string | undefined, lines: readonly string[]) =>
      this.cage.exec(netns).run({ file: 'ip', args: ['-batch', '-'], stdin: `${lines.join('\n')}\n` });
    const machines = { n1: 11, n2: 12, client: 100 } as const;
    const pods = { pod1: 2, pod2: 3 } as const;
    const all = ['lan', ...Object.keys(machines), ...Object.keys(pods)];
    await run(
      undefined,
      all.map((name) => `netns add ${name}`),
    );
    await run('lan', [
      'link add br0 type bridge',
      'link set br0 up',
      ...Object.keys(machines).flatMap((name) => [
        `link add ${name} type veth peer name eth0 netns ${name}`,
        `link set ${name} master br0 up`,
      ]),
    ]);
    for (const [name, host] of Object.entries(machines)) {
      await run(name, [
        'link set lo up',
        `addr add 192.168.0.${host}/24 dev eth0`,
        `addr add fd00:192::${host}/64 dev eth0 nodad`,
        'link set eth0 up',
      ]);
    }
    const sysctls = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', ...EVERY_REFUSAL];
    await this.node.run({ file: 'sysctl', args: ['-qw', ...sysctls] });
    for (const [name, host] of Object.entries(pods)) {
      await run('n1', [
        `link add v${name} type veth peer name eth0 netns ${name}`,
        `link set v${name} up`,
        `addr add 172.16.0.1/32 dev v${name}`,
        `addr add fd00:172:16::1/128 dev v${name} nodad`,
        `route add 172.16.0.${host} dev v${name}`,
        `route add fd00:172:16::${host} dev v${name}`,
      ]);
      await run(name, [
        'link set lo up',
        'link set eth0 up',
        `addr add 172.16.0.${host}/32 dev eth0`,
        `addr add fd00:172:16::${host}/128 dev eth0 nodad`,
        'route add 172.16.0.1 dev eth0',
        'route add default via 172.16.0.1',
        'route add fd00:172:16::1 dev eth0',
        'route add default via fd00:172:16::1',
      ]);
    }
    await run('n1', [
      'route add 172.16.1.0/24 via 192.168.0.12',
      'route add fd00:172:16:1::/64 via fd00:192::12',
    ]);
    await run('n2', [
      'addr add 172.16.1.2/32 dev lo',
      'addr add fd00:172:16:1::2/128 dev lo',
      'route add default via 192.168.0.11',
      'route add default via fd00:192::11',
    ]);
    await run('client', ['route add default via 192.168.0.11', 'route add default via fd00:192::11']);
    // What no rule takes leaves for n2, which forwards nothing.
    await run('n1', ['route add default via 192.168.0.12', 'route add default via fd00:192::12']);
  }
}

/** The kernel allows a client few ICMP errors, refusals among them, and redirects would use them up. */
const EVERY_REFUSAL = [
  'net.ipv4.icmp_ratelimit=0',
  ...['all', 'default', 'eth0'].map((name) => `net.ipv4.conf.${name}.send_redirects=0`),
];

export interface DialOptions {
  readonly protocol?: 'tcp' | 'udp';
  readonly times?: number;
  readonly timeoutMs?: number;
  /** The address to dial from; the kernel's choice unless said. */
  readonly source?: string;
}

/** A connection to a responder, which answers every line. */
export class HeldConnection {
  readonly #running: Running;
  readonly #lines: AsyncIterator<string>;

  constructor(running: Running) {
    if (running.stdout === null) throw new Error('a held connection needs its output');
    this.#running = running;
    this.#lines = createInterface(running.stdout)[Symbol.asyncIterator]();
  }

  /** The pod's answer to one more line; undefined if the connection has ended. */
  async ask(): Promise<Answer | undefined> {
    this.#running.stdin?.write('still there?\n');
    const { value, done } = await this.#lines.next();
    return done === true ? undefined : parseAnswer(value);
  }

  /** Ends the connection; one of TCP by a reset, which whoever counts connections forgets soonest. */
  async end(): Promise<void> {
    this.#running.stdin?.end();
    await this.#running.ended;
  }
}

export const pods = (answers: readonly Answer[]): string[] =>
  [...new Set(answers.map((one) => (typeof one === 'string' ? one : one.pod)))].sort();

export const saw = (answers: readonly Answer[]): string[] =>
  [...new Set(answers.map((one) => (typeof one === 'string' ? one : one.saw)))].sort();

function parseAnswer(line: string): Answer {
  if (line === 'refused' || line === 'timeout') return line;
  const [pod, address] = line.split(' ');
  if (pod === undefined || address === undefined) throw new Error(`no answer in '${line}'`);
  return { pod, saw: address };
}

async function firstLine(running: Running): Promise<string> {
  if (running.stdout === null) throw new Error('no output to wait for');
  for await (const line of createInterface(running.stdout)) return line;
  throw new Error('the responder ended before it listened');
}

/** perl -e RESPONDER name host port */
const RESPONDER = `
use strict; use IO::Socket::IP; use IO::Select; $| = 1;
my ($name, $host, $port) = @ARGV;
my %at = (LocalHost => $host, LocalPort => $port, V6Only => 0);
my $tcp = IO::Socket::IP->new(%at, Proto => 'tcp', Listen => 64, ReuseAddr => 1) or die "tcp: $@";
my $udp = IO::Socket::IP->new(%at, Proto => 'udp') or die "udp: $@";
my $select = IO::Select->new($tcp, $udp);
print "listening\\n";
sub seen { my $a = shift; $a =~ s/^::ffff://; return $a }
while (my @ready = $select->can_read) {
  for my $s (@ready) {
    if ($s == $tcp) { my $c = $tcp->accept or next; syswrite $c, "$name " . seen($c->peerhost) . "\\n"; $select->add($c) }
    elsif ($s == $udp) {
      my $from = $udp->recv(my $text, 512) or next;
      my ($e, $host) = Socket::getnameinfo($from, Socket::NI_NUMERICHOST() | Socket::NI_NUMERICSERV());
      $udp->send("$name " . seen($host) . "\\n", 0, $from);
    } else {
      my $n = sysread $s, my $text, 512;
      if (!$n) { $select->remove($s); close $s } else { syswrite $s, "$name " . seen($s->peerhost) . "\\n" }
    }
  }
}`;

/** perl -e DIALER protocol host port times seconds source */
const DIALER = `
use strict; use IO::Socket::IP; use IO::Select; use Errno;
my ($protocol, $host, $port, $times, $seconds, $source) = @ARGV;
my %from = $source ? (LocalHost => $source) : ();
for (1 .. $times) {
  $! = 0;
  my $s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Proto => $protocol, Timeout => $seconds, %from);
  if (!$s) { print +($!{ETIMEDOUT} || $!{EINPROGRESS} || $!{EAGAIN}) ? "timeout\\n" : "refused\\n"; next }
  $s->send("hello\\n") if $protocol eq 'udp';
  my $line;
  if (!IO::Select->new($s)->can_read($seconds)) { print "timeout\\n"; next }
  my $n = sysread $s, $line, 512;
  print $n ? $line : "refused\\n";
}`;

/** perl -e HOLDER host port protocol: prints an answer for every line it is given. */
const HOLDER = `
use strict; use IO::Socket::IP; use IO::Select; $| = 1;
my ($host, $port, $protocol) = @ARGV;
my $s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Proto => $protocol, Timeout => 2) or die "hold: $@";
my $tcp = $protocol eq 'tcp';
my $greeting = <$s> if $tcp;
while (my $line = <STDIN>) {
  syswrite $s, $line;
  if (!IO::Select->new($s)->can_read(1)) { print "timeout\\n"; next }
  my $n = sysread $s, my $answer, 512;
  if (!$n && $tcp) { exit 1 }
  print $n ? $answer : "refused\\n";
}
setsockopt $s, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack('ii', 1, 0) if $tcp;
close $s;`;
