import { createInterface } from 'node:readline';
import type { Running } from '../../exec/exec.ts';
import { Fault } from '../../fault/fault.ts';
import { type Host, hasIpv6, type World } from '../../world/world.ts';
import type { Cage } from '../cage.ts';
import { ENTER, SOCKETS } from '../namespaces-in-perl.ts';

/**
 * Starts what listens in the World, all of it one process: to whoever asks it says as whom it sees him, the host's name and
 * the address at which it was asked, over TCP as an HTTP answer; SCTP it does not speak. Returns when it listens; it runs as
 * long as the cage. Throws {@link Fault} FE005 for a port that is taken.
 */
export async function startListeners(world: World, cage: Cage): Promise<Running | undefined> {
  const lines = [...world.hosts.values()].flatMap(listenerLines);
  if (lines.length === 0) return undefined;
  const exec = cage.exec();
  const pipes = { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' } as const;
  const running = await exec.start('perl', ['-e', `${ENTER}${SOCKETS}${RESPONDER}`], pipes);
  const { stdin, stdout, stderr } = running;
  if (stdin === null || stdout === null || stderr === null) throw new Error('a responder needs pipes');
  const complaints: Buffer[] = [];
  stderr.on('data', (chunk: Buffer) => complaints.push(chunk));
  // That it ended before it read all is told by its complaints.
  stdin.on('error', () => undefined);
  stdin.end(`${lines.join('\n')}\n`);
  for await (const line of createInterface(stdout)) if (line === 'listening') return running;
  await running.ended;
  const said = Buffer.concat(complaints).toString('utf8').trim();
  throw new Fault('FE005', `the responders cannot listen: ${said}`, 'free the port');
}

/** `namespace name protocol address port`, once for each listener and, with UDP, for each address of the host. */
function listenerLines(host: Host): string[] {
  const own = host.interfaces.flatMap(({ addresses }) => addresses.map(({ addr }) => addr.text));
  const isOfIpv6 = hasIpv6(host);
  const loopback = isOfIpv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
  const lines = host.listeners.flatMap(({ protocol, port, addr }) => {
    if (protocol === 'SCTP') return [];
    // Asked at one of several addresses, a datagram socket without one would answer from whichever the route suggests.
    const everywhere =
      protocol === 'UDP' ? [...loopback, ...own] : isOfIpv6 ? ['0.0.0.0', '::'] : ['0.0.0.0'];
    const addresses = addr === undefined ? everywhere : [addr.text];
    return addresses.map((at) => `${host.netns} ${host.name} ${protocol} ${at} ${port}`);
  });
  return [...new Set(lines)];
}

const RESPONDER = String.raw`
use strict; use IO::Handle; use IO::Select; use Fcntl; use Errno;
$| = 1; $SIG{PIPE} = 'IGNORE';
my $all = IO::Select->new;
my (%name, %datagrams, %asked);
while (<STDIN>) {
  my ($netns, $name, $protocol, $addr, $port) = split;
  enter($netns);
  my $tcp = $protocol eq 'TCP';
  socket(my $socket, family($addr), $tcp ? SOCK_STREAM : SOCK_DGRAM, 0) or die "socket: $!\n";
  setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) if $tcp;
  setsockopt($socket, IPPROTO_IPV6, IPV6_V6ONLY, 1) if $addr =~ /:/;
  setsockopt($socket, SOL_SOCKET, SO_RCVBUF, 1 << 20);
  bind($socket, packed($addr, $port)) or die "$name: $protocol $addr:$port: $!\n";
  if ($tcp) { listen($socket, 1024) or die "$name: $!\n" } else { $datagrams{fileno $socket} = 1 }
  fcntl($socket, F_SETFL, O_NONBLOCK);
  $name{fileno $socket} = $name;
  $all->add($socket);
}
print "listening\n";
sub at { join ' ', unpacked($_[0]) }
sub line { my ($peer, $name, $socket) = @_; at($peer) . " $name " . at(getsockname $socket) . "\n" }
sub end { my ($socket) = @_; $all->remove($socket); delete $asked{fileno $socket}; close $socket }
while (1) {
  for my $socket ($all->can_read) {
    my $number = fileno $socket;
    if (my $client = $asked{$number}) {
      # The question is read to its end before the answer: closing with unread bytes would send a RST.
      my $read = sysread $socket, $client->{got}, 2048, length $client->{got};
      if (!defined $read) { end($socket) unless $!{EAGAIN}; next }
      if (!$read) { end($socket); next }
      next unless $client->{got} =~ /\r?\n\r?\n/;
      my $body = line($client->{peer}, $client->{name}, $socket);
      my $head = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " . length($body) . "\r\n\r\n";
      syswrite $socket, $head . $body;
      end($socket);
    } elsif ($datagrams{$number}) {
      while (defined(my $peer = recv $socket, my $question, 2048, 0)) {
        send $socket, line($peer, $name{$number}, $socket), 0, $peer;
      }
    } else {
      while (my $peer = accept my $client, $socket) {
        fcntl($client, F_SETFL, O_NONBLOCK);
        $asked{fileno $client} = { peer => $peer, name => $name{$number}, got => '' };
        $all->add($client);
      }
    }
  }
}`;
