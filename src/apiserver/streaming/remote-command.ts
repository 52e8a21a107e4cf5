/**
 * Exec and attach: the client's end over SPDY, one stream a purpose, and over a WebSocket, one channel a purpose.
 */
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Status } from '../../kube/objects.ts';
import { CHANNEL, ChannelSocket } from './channels.ts';
import { acceptSpdy, acceptWebSocket, protocolOf, type Upgrade, wireOf } from './handshake.ts';
import { dialKubelet } from './kubelet.ts';
import { type ClientEnd, relay } from './relay.ts';
import { SpdyConnection, type SpdyStream } from './spdy/connection.ts';
import type { Streams } from './target.ts';

const V5 = 'v5.channel.k8s.io';
const V4 = 'v4.channel.k8s.io';
const V3 = 'v3.channel.k8s.io';
const V2 = 'v2.channel.k8s.io';
/** As upstream gives a client for opening its streams. */
const STREAMS_MS = 30_000;

type Purpose = 'error' | 'stdin' | 'stdout' | 'stderr' | 'resize';

/** Serves one session. Throws StatusError before anything has been written to the socket. */
export async function serveRemoteCommand(
  upgrade: Upgrade,
  kubeletSocket: string,
  path: string,
  streams: Streams,
): Promise<void> {
  const wire = wireOf(upgrade.request);
  const served = wire === 'spdy' ? [V5, V4, V3, V2] : [V5, V4];
  const protocol = protocolOf(upgrade.request, wire, served);
  // The kubelet first: what it refuses can still be answered with a Status.
  const kubelet = await dialKubelet(kubeletSocket, path);
  if (upgrade.socket.destroyed) {
    kubelet.terminate();
    return;
  }
  if (wire === 'websocket') {
    acceptWebSocket(upgrade, protocol, (socket) => {
      void relay(webSocketEnd(new ChannelSocket(socket, 'client'), streams), kubelet);
    });
    return;
  }
  const connection = acceptSpdy(upgrade, protocol);
  const client = await spdyEnd(connection, protocol, streams);
  if (client === undefined) kubelet.terminate();
  else void relay(client, kubelet);
}

function webSocketEnd(socket: ChannelSocket, streams: Streams): ClientEnd {
  const wanted = clientChannels(socket, streams);
  socket.ignore(CHANNEL.stdout, CHANNEL.stderr, CHANNEL.error);
  if (wanted.stdin === undefined) socket.ignore(CHANNEL.stdin);
  if (wanted.resize === undefined) socket.ignore(CHANNEL.resize);
  // As upstream: an empty message tells clients without a handshake of their own that the session stands.
  socket.greet(streams.stdout ? CHANNEL.stdout : streams.stderr ? CHANNEL.stderr : CHANNEL.error);
  return {
    ...wanted,
    finish(outcome) {
      socket.channel(CHANNEL.error).end(JSON.stringify(outcome), () => socket.close());
    },
    closed: socket.closed,
  };
}

function clientChannels(socket: ChannelSocket, streams: Streams) {
  return {
    ...(streams.stdin && { stdin: socket.channel(CHANNEL.stdin) }),
    ...(streams.stdout && { stdout: socket.channel(CHANNEL.stdout) }),
    ...(streams.stderr && { stderr: socket.channel(CHANNEL.stderr) }),
    ...(streams.tty && { resize: socket.channel(CHANNEL.resize) }),
  };
}

/** Waits for the streams that the request announced. Undefined: the client went, or never opened them. */
async function spdyEnd(carrier: Duplex, protocol: string, streams: Streams): Promise<ClientEnd | undefined> {
  const missing = new Set(purposes(protocol, streams));
  const opened = new Map<Purpose, SpdyStream>();
  const complete = Promise.withResolvers<true>();
  const connection = new SpdyConnection(carrier, (stream) => {
    const purpose = purposeOf(stream);
    if (purpose === undefined || !missing.delete(purpose)) {
      stream.destroy();
      return;
    }
    opened.set(purpose, stream);
    if (missing.size === 0) complete.resolve(true);
  });
  const waiting = new AbortController();
  const bound = delay(STREAMS_MS, undefined, { signal: waiting.signal, ref: false }).catch(() => undefined);
  const there = await Promise.race([complete.promise, connection.closed.then(() => undefined), bound]);
  waiting.abort();
  if (there === undefined) {
    connection.destroy();
    return undefined;
  }
  return clientEndOf(connection, opened, protocol);
}

/** v2 knows no resize stream; v3 added it. */
function purposes(protocol: string, streams: Streams): Purpose[] {
  const wanted: Record<Purpose, boolean> = {
    error: true,
    stdin: streams.stdin,
    stdout: streams.stdout,
    stderr: streams.stderr,
    resize: streams.tty && protocol !== V2,
  };
  return (Object.keys(wanted) as Purpose[]).filter((purpose) => wanted[purpose]);
}

function purposeOf(stream: SpdyStream): Purpose | undefined {
  const type = stream.header('streamtype');
  return type === 'error' || type === 'stdin' || type === 'stdout' || type === 'stderr' || type === 'resize'
    ? type
    : undefined;
}

function clientEndOf(
  connection: SpdyConnection,
  opened: ReadonlyMap<Purpose, SpdyStream>,
  protocol: string,
): ClientEnd {
  // What a client sends where it should only listen is read and dropped: unread, it would stop the connection.
  for (const purpose of ['error', 'stdout', 'stderr'] as const) opened.get(purpose)?.resume();
  const of = <K extends Purpose>(purpose: K) => {
    const stream = opened.get(purpose);
    return stream === undefined ? {} : ({ [purpose]: stream } as Record<K, SpdyStream>);
  };
  return {
    ...of('stdin'),
    ...of('stdout'),
    ...of('stderr'),
    ...of('resize'),
    finish(outcome) {
      opened.get('stdin')?.end();
      opened.get('resize')?.end();
      opened.get('error')?.end(spokenIn(protocol, outcome), () => connection.close());
    },
    closed: connection.closed,
  };
}

/** Up to v3 the error stream carries text, and nothing when all went well; from v4 a Status either way. */
function spokenIn(protocol: string, outcome: Status): string {
  if (protocol === V4 || protocol === V5) return JSON.stringify(outcome);
  return outcome.status === 'Success' ? '' : (outcome.message ?? outcome.reason ?? 'the command failed');
}
