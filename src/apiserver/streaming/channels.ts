/**
 * The channels of v4 and v5.channel.k8s.io: streams over one WebSocket, each message led by a byte that names its stream.
 *
 * v5 (KEP-4006) adds message 255, whose second byte names the stream that ends. Only clients and kubelets send it: kubectl
 * takes a 255 from the server for a broken connection.
 */
import { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';

export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;
/** Port-forward's only stream of bytes. */
export const DATA_CHANNEL = 0;
const CLOSE = 255;
const CHANNEL_BUFFER_BYTES = 256 * 1024;
const NORMAL_CLOSURE = 1000;

/** Who is at the other end. A kubelet understands 255, and its Status on the error channel is the last it says. */
export type Side = 'client' | 'kubelet';

interface Wire {
  send(channel: number, data: Uint8Array, sent: () => void): void;
  tellEnd(channel: number, sent: () => void): void;
  release(stream: ChannelStream): void;
}

/** One channel: what the other side sends is read, what is written goes there, a message a chunk. */
export class ChannelStream extends Duplex {
  readonly channel: number;
  readonly #wire: Wire;
  #remoteEnded = false;

  constructor(wire: Wire, channel: number) {
    super({ allowHalfOpen: true, highWaterMark: CHANNEL_BUFFER_BYTES });
    this.#wire = wire;
    this.channel = channel;
  }

  /** What came from the other side. False: the reader is behind. */
  received(data: Uint8Array): boolean {
    return this.#remoteEnded || this.destroyed || this.push(data);
  }

  /** The other side sends nothing more. */
  receivedEnd(): void {
    if (this.#remoteEnded) return;
    this.#remoteEnded = true;
    this.push(null);
  }

  override _read(): void {
    this.#wire.release(this);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, sent: (error?: Error | null) => void): void {
    this.#wire.send(this.channel, chunk, sent);
  }

  override _final(sent: (error?: Error | null) => void): void {
    this.#wire.tellEnd(this.channel, sent);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#wire.release(this);
    done(error);
  }
}

export class ChannelSocket {
  /** Resolves when the WebSocket is over, whoever ended it. */
  readonly closed: Promise<void>;
  readonly #socket: WebSocket;
  readonly #side: Side;
  readonly #channels: readonly ChannelStream[];
  /** Channels whose reader is behind; while there is one, the WebSocket is not read. */
  readonly #full = new Set<ChannelStream>();

  /** Takes the messages over at once, so it is made in the turn in which the socket opened. */
  constructor(socket: WebSocket, side: Side) {
    this.#socket = socket;
    this.#side = side;
    const wire: Wire = {
      send: (channel, data, sent) => this.#send(channel, data, sent),
      tellEnd: (channel, sent) => this.#tellEnd(channel, sent),
      release: (stream) => this.#release(stream),
    };
    this.#channels = Object.values(CHANNEL).map((channel) => new ChannelStream(wire, channel));
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('message', (message) => this.#received(bytesOf(message)));
    socket.once('close', () => this.#end());
    // A broken connection ends in 'close' as well; what was on its way is lost either way.
    socket.on('error', () => socket.terminate());
  }

  channel(number: number): ChannelStream {
    const stream = this.#channels[number];
    if (stream === undefined) throw new RangeError(`channel ${number} is none of v5.channel.k8s.io`);
    return stream;
  }

  /** Reads and drops what comes on these channels: a channel nobody reads would stop the others. */
  ignore(...channels: readonly number[]): void {
    for (const channel of channels) this.channel(channel).resume();
  }

  /** Sends an empty message on a channel. */
  greet(channel: number): void {
    this.#socket.send(Uint8Array.of(channel));
  }

  /** Closes as both protocols end a session that went well. */
  close(): void {
    this.#socket.close(NORMAL_CLOSURE);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #received(message: Buffer): void {
    const [first, second] = message;
    if (first === CLOSE) {
      if (second !== undefined) this.#channels[second]?.receivedEnd();
      return;
    }
    const stream = first === undefined ? undefined : this.#channels[first];
    // Clients open a channel with an empty message; unknown channels are dropped, as upstream does.
    if (stream === undefined || message.length === 1) return;
    if (!stream.received(message.subarray(1))) {
      this.#full.add(stream);
      this.#socket.pause();
    }
    // The closing handshake may take its time after that, and nobody need wait for it.
    if (first === CHANNEL.error && this.#side === 'kubelet') this.#end();
  }

  #end(): void {
    for (const stream of this.#channels) stream.receivedEnd();
  }

  #release(stream: ChannelStream): void {
    if (this.#full.delete(stream) && this.#full.size === 0) this.#socket.resume();
  }

  #send(channel: number, data: Uint8Array, sent: () => void): void {
    if (this.#socket.readyState !== this.#socket.OPEN) {
      // What comes after the end is dropped: a command that has ended reads no more input.
      sent();
      return;
    }
    // A message that cannot be sent breaks the connection, which its 'close' tells.
    this.#socket.send(Buffer.concat([Uint8Array.of(channel), data]), () => sent());
  }

  #tellEnd(channel: number, sent: () => void): void {
    if (this.#side === 'kubelet' && this.#socket.readyState === this.#socket.OPEN) {
      this.#socket.send(Uint8Array.of(CLOSE, channel), () => sent());
    } else sent();
  }
}

function bytesOf(message: RawData): Buffer {
  if (Array.isArray(message)) return Buffer.concat(message);
  return Buffer.isBuffer(message) ? message : Buffer.from(message);
}
