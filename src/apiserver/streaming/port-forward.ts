/**
 * Port-forward: pairs of SPDY streams, error and data, one pair a connection, each relayed to a WebSocket of the kubelet.
 * kubectl 1.31 and later carries the same SPDY inside a WebSocket.
 */

import { type Duplex, finished } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Pod } from '../../kube/objects.ts';
import { CHANNEL, type ChannelSocket, DATA_CHANNEL } from './channels.ts';
import { acceptSpdy, acceptWebSocket, bytesOver, protocolOf, type Upgrade, wireOf } from './handshake.ts';
import { dialKubelet, probeKubelet, statusIn } from './kubelet.ts';
import { statusOf } from './refusal.ts';
import { feed } from './relay.ts';
import { SpdyConnection, type SpdyStream } from './spdy/connection.ts';
import { portForwardTarget } from './target.ts';

const PROTOCOL = 'portforward.k8s.io';
const TUNNEL = `SPDY/3.1+${PROTOCOL}`;

/** Serves one session of many connections. Throws StatusError before anything has been written to the socket. */
export async function servePortForward(upgrade: Upgrade, kubeletSocket: string, pod: Pod): Promise<void> {
  const forward = (port: number) => dialKubelet(kubeletSocket, portForwardTarget(pod, port).path);
  const wire = wireOf(upgrade.request);
  const served = wire === 'spdy' ? PROTOCOL : TUNNEL;
  const protocol = protocolOf(upgrade.request, wire, [served], wire === 'spdy' ? PROTOCOL : undefined);
  await probeKubelet(kubeletSocket);
  if (upgrade.socket.destroyed) return;
  if (wire === 'spdy') new Forwarder(forward).serve(acceptSpdy(upgrade, protocol));
  else acceptWebSocket(upgrade, protocol, (socket) => new Forwarder(forward).serve(bytesOver(socket)));
}

/** Opens a connection to a port of the pod. Throws StatusError. */
type Forward = (port: number) => Promise<ChannelSocket>;

/** The two streams of one connection, as far as the client has opened them. */
interface Pair {
  readonly error?: SpdyStream;
  readonly data?: SpdyStream;
}

class Forwarder {
  readonly #forward: Forward;
  /** Pairs that are not complete, by the client's requestID. */
  readonly #pairs = new Map<string, Pair>();

  constructor(forward: Forward) {
    this.#forward = forward;
  }

  serve(carrier: Duplex): void {
    new SpdyConnection(carrier, (stream) => this.#opened(stream));
  }

  #opened(stream: SpdyStream): void {
    const type = stream.header('streamtype');
    const request = stream.header('requestid');
    const port = Number(stream.header('port'));
    const isKnown = type === 'error' || type === 'data';
    const pair: Pair = { ...this.#pairs.get(request ?? ''), ...(isKnown && { [type]: stream }) };
    if (!isKnown || request === undefined || !Number.isInteger(port) || port < 1 || port > 65535) {
      stream.destroy();
      return;
    }
    if (pair.data === undefined || pair.error === undefined) {
      this.#pairs.set(request, pair);
      // A client that gives up before the second stream resets the first.
      stream.once('close', () => this.#pairs.delete(request));
      return;
    }
    this.#pairs.delete(request);
    void connect(pair.data, pair.error, port, this.#forward);
  }
}

/** One connection: kubectl waits for the end of the error stream, so it ends in every case. */
async function connect(data: SpdyStream, error: SpdyStream, port: number, forward: Forward): Promise<void> {
  error.resume();
  let kubelet: ChannelSocket;
  try {
    kubelet = await forward(port);
  } catch (refusal) {
    error.end(statusOf(refusal).message ?? `port ${port} cannot be reached`);
    data.end();
    return;
  }
  // Both ends of the data stream are done, or the client reset it: the kubelet's connection has no one left.
  finished(data, () => kubelet.close());
  void feed(data, kubelet.channel(DATA_CHANNEL));
  kubelet.ignore(CHANNEL.stdout, CHANNEL.stderr, CHANNEL.resize);
  const [outcome] = await Promise.all([
    text(kubelet.channel(CHANNEL.error)),
    feed(kubelet.channel(DATA_CHANNEL), data),
  ]);
  const status = statusIn(outcome);
  error.end(status?.status === 'Failure' ? status.message : undefined);
}
