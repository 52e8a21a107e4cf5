import type { Exec, Running } from '../../exec/exec.ts';
import { hostOf, type World } from '../../world/world.ts';
import type { Inside } from '../cage.ts';
import { ENTER, SOCKETS } from '../namespaces-in-perl.ts';
import { type Answer, dialAll, type Question } from './dial.ts';
import type { Expectation } from './expectation.ts';

/** What one connection was seen to do. */
export interface Evidence {
  readonly answer: Answer | undefined;
  /** Every packet on every link of these hosts, in order. */
  readonly packets: readonly SeenPacket[];
  /** By host: what its connection table holds of the connection, as conntrack(8) prints it. */
  readonly connections: ReadonlyMap<string, readonly string[]>;
  /** By host: the rules whose counters the connection has moved, as their tools print them. */
  readonly rules: ReadonlyMap<string, readonly string[]>;
}

export interface SeenPacket {
  readonly host: string;
  readonly interface: string;
  readonly direction: 'in' | 'out';
  /** `tcp SYN 172.16.1.11:40000 > 10.247.0.10:80` */
  readonly text: string;
}

/** Past the second SYN. */
const TIMEOUT = 1500;

/** Asks the question once more, and watches the hosts that it was foretold to visit, and those it reached. */
export async function gatherEvidence(
  world: World,
  cage: Inside,
  expectation: Expectation,
): Promise<Evidence> {
  const { question, outcomes } = expectation;
  const visited = outcomes.flatMap(({ hops, endpoint }) => [
    ...hops.map(({ host }) => host),
    ...(endpoint === undefined ? [] : [endpoint.host]),
  ]);
  const hosts = [...new Set([question.from, ...visited])];
  const before = await eachHost(world, cage, hosts, counters);
  const { answer, packets } = await watched(world, cage, hosts, question);
  const after = await eachHost(world, cage, hosts, counters);
  const table = await eachHost(world, cage, hosts, connectionTable);
  const isOfIt = (line: string) => new RegExp(`[ds]port=${answer?.clientPort}\\b`).test(line);
  return {
    answer,
    packets,
    connections: filtered(table, (line) => isOfIt(line)),
    rules: filtered(after, (line, host) => before.get(host)?.includes(line) === false),
  };
}

type Lines = ReadonlyMap<string, readonly string[]>;

/** Hosts of which nothing is left are left out. */
function filtered(lines: Lines, keep: (line: string, host: string) => boolean): Lines {
  const kept = [...lines].map(([host, all]) => [host, all.filter((line) => keep(line, host))] as const);
  return new Map(kept.filter(([, some]) => some.length > 0));
}

async function eachHost(
  world: World,
  cage: Inside,
  hosts: readonly string[],
  read: (exec: Exec) => Promise<readonly string[]>,
): Promise<Lines> {
  const lines = hosts.map(async (host) => [host, await read(cage.exec(hostOf(world, host).netns))] as const);
  return new Map(await Promise.all(lines));
}

/** The rules that count, and where they stand. */
async function counters(exec: Exec): Promise<string[]> {
  const [nft, iptables, ip6tables] = await Promise.all([
    exec.run({ file: 'nft', args: ['list', 'ruleset'] }),
    exec.run({ file: 'iptables-save', args: ['-c'] }),
    exec.run({ file: 'ip6tables-save', args: ['-c'] }),
  ]);
  return [
    ...countingNft(nft.stdout),
    ...countingIptables('iptables', iptables.stdout),
    ...countingIptables('ip6tables', ip6tables.stdout),
  ];
}

/** nft shows what iptables-nft has made as well; that is left to iptables-save. */
function countingNft(text: string): string[] {
  let [table, chain] = ['', ''];
  return text.split('\n').flatMap((line) => {
    const trimmed = line.trim();
    if (trimmed.startsWith('table ')) table = trimmed.replace(/ \{$/, '');
    if (trimmed.startsWith('chain ')) chain = trimmed.replace(/ \{$/, '');
    const isForeign = /^table ip6? (raw|mangle|nat|filter|security)$/.test(table);
    return !isForeign && /\bcounter packets [1-9]/.test(trimmed) ? [`${table} ${chain}: ${trimmed}`] : [];
  });
}

function countingIptables(tool: string, text: string): string[] {
  let table = '';
  return text.split('\n').flatMap((line) => {
    if (line.startsWith('*')) table = line.slice(1);
    return /^\[[1-9]\d*:\d+\] -A/.test(line) ? [`${tool} ${table}: ${line}`] : [];
  });
}

async function connectionTable(exec: Exec): Promise<string[]> {
  const shown = await Promise.all(
    ['ipv4', 'ipv6'].map((family) => exec.run({ file: 'conntrack', args: ['-L', '-f', family] })),
  );
  return shown.flatMap(({ stdout }) => stdout.split('\n').filter((line) => line !== ''));
}

async function watched(
  world: World,
  cage: Inside,
  hosts: readonly string[],
  question: Question,
): Promise<Pick<Evidence, 'answer' | 'packets'>> {
  const names = hosts.map((host) => hostOf(world, host).netns);
  const pipes = { stdin: 'pipe', stdout: 'pipe' } as const;
  const watcher = await cage.exec().start('perl', ['-e', `${ENTER}${SOCKETS}${WATCHER}`, ...names], pipes);
  const said = new Transcript(watcher);
  await said.ready;
  const [answers = []] = await dialAll(world, cage, [{ question, times: 1 }], TIMEOUT);
  watcher.stdin?.end();
  const hostOfNetns = new Map(hosts.map((host) => [hostOf(world, host).netns, host]));
  const packets = (await said.lines()).flatMap((line): SeenPacket[] => {
    const [, netns, name, way, text] = /^(\S+) (\S+) (\S+) (.*)$/.exec(line) ?? [];
    const host = hostOfNetns.get(netns ?? '');
    if (host === undefined || name === undefined || text === undefined) return [];
    return [{ host, interface: name, direction: way === 'out' ? 'out' : 'in', text }];
  });
  return { answer: answers[0], packets };
}

/** What a process prints: a first line once it is ready, and more when it ends. */
class Transcript {
  readonly ready: Promise<void>;
  readonly #whole: Promise<string>;

  constructor({ stdout, ended }: Running) {
    if (stdout === null) throw new Error('a watcher needs pipes');
    let text = '';
    const isReady = Promise.withResolvers<void>();
    stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
      if (text.includes('\n')) isReady.resolve();
    });
    this.ready = Promise.race([isReady.promise, ended.then(() => undefined)]);
    this.#whole = new Promise((resolve) => stdout.once('close', () => resolve(text)));
  }

  /** Those after the first. */
  async lines(): Promise<string[]> {
    return (await this.#whole).trimEnd().split('\n').slice(1);
  }
}

/**
 * perl -e WATCHER namespace…: prints `watching`, and at the end of its input the packets of IP that passed the links of the
 * namespaces meanwhile (packet(7)), by the kernel's time stamps (SIOCGSTAMPNS); not what links of IPv6 say of themselves.
 */
const WATCHER = String.raw`
use strict; use IO::Handle; use IO::Select; use Fcntl;
$| = 1;
my ($PACKET, $ALL, $STAMP, $NAME) = (17, 0x0003, 0x8907, 0x8910);
my $select = IO::Select->new(\*STDIN);
my (%netns, @seen, %names);
for my $netns (@ARGV) {
  enter($netns);
  socket(my $s, $PACKET, SOCK_DGRAM, unpack 'n', pack 'S', $ALL) or die "packet socket: $!\n";
  fcntl($s, F_SETFL, O_NONBLOCK);
  my $stamp = "\0" x 16; ioctl $s, $STAMP, $stamp;
  $netns{fileno $s} = $netns;
  $select->add($s);
}
print "watching\n";
sub name {
  my ($s, $index) = @_;
  return $names{fileno $s}{$index} //= do { my $request = pack 'a16 i x20', '', $index; ioctl $s, $NAME, $request; unpack 'Z16', $request };
}
sub flags { my ($bits) = @_; my @names = ([2, 'SYN'], [16, 'ACK'], [1, 'FIN'], [4, 'RST']); join '+', map { $bits & $_->[0] ? $_->[1] : () } @names }
sub end { my ($addr, $port) = @_; my $text = inet_ntop(length $addr == 16 ? AF_INET6 : AF_INET, $addr); defined $port ? length $addr == 16 ? "[$text]:$port" : "$text:$port" : $text }
sub text {
  my ($p) = @_;
  my ($first) = unpack 'C', $p;
  my ($protocol, $from, $to, $body);
  if ($first >> 4 == 6) { ($protocol, $from, $to) = unpack 'x6 C x a16 a16', $p; $body = substr $p, 40 }
  else { ($protocol, $from, $to) = unpack 'x9 C x2 a4 a4', $p; $body = substr $p, 4 * ($first & 15) }
  if ($protocol == 6 or $protocol == 17) {
    my ($sport, $dport) = unpack 'n2', $body;
    my $what = $protocol == 6 ? 'tcp ' . flags(unpack 'x13 C', $body) : $dport == 8472 ? 'vxlan' : 'udp';
    return "$what " . end($from, $sport) . ' > ' . end($to, $dport);
  }
  my ($source, $destination) = (end($from), end($to));
  my ($type, $code) = unpack 'C2', $body;
  return "icmp type $type code $code $source > $destination" if $protocol == 1;
  # Listeners to groups are told of behind a header of hop-by-hop options (RFC 3810), neighbours by types 133 to 137.
  return undef if $protocol == 0 || $protocol == 58 && $type >= 128;
  return "icmpv6 type $type code $code $source > $destination" if $protocol == 58;
  return "protocol $protocol $source > $destination";
}
my $done = 0;
until ($done) {
  for my $s ($select->can_read) {
    if ($s == \*STDIN) { $done = 1 if !sysread STDIN, my $nothing, 1024; next }
    while (defined(my $at = recv $s, my $packet, 128, 0)) {
      my ($kind, $index, $way) = unpack 'x2 n i x2 C', $at;
      my $stamp = "\0" x 16; ioctl $s, $STAMP, $stamp;
      my ($seconds, $nanoseconds) = unpack 'q2', $stamp;
      next unless $kind == 0x0800 || $kind == 0x86dd;
      next unless defined(my $text = text($packet));
      push @seen, [$seconds, $nanoseconds, "$netns{fileno $s} " . name($s, $index) . ($way == 4 ? ' out ' : ' in ') . $text];
    }
  }
}
print "$_->[2]\n" for sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] } @seen;`;
