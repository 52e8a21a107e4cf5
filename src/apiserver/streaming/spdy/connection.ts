/**
 * The server's side of a SPDY/3.1 connection, as kubectl's moby/spdystream speaks it: the client opens the streams, the
 * server accepts them, each is a Duplex that can be closed one way at a time.
 *
 * Flow control: spdystream neither sends nor heeds WINDOW_UPDATE, so there are no windows to keep. As there, a stream whose
 * reader is behind stops the whole connection from being read, and TCP tells the sender.
 */
import { Duplex } from 'node:stream';
import { AWAY, emit, type Frame, FrameParser, RESET } from './frame.ts';
import { type HeaderBlock, HeaderCompressor, HeaderDecompressor } from './headers.ts';

/** What a stream holds before the connection is told to wait. */
const STREAM_BUFFER_BYTES = 256 * 1024;
const DATA_BYTES = 256 * 1024;
/** How long a client may keep the connection that has said all. */
const LINGER_MS = 10_000;

/** What a stream asks of its connection. */
interface Wire {
  readonly open: boolean;
  send(frame: Frame, sent?: () => void): void;
  wanted(stream: SpdyStream): void;
  gone(stream: SpdyStream): void;
}

/** One stream. Destroying it before both sides have ended resets it. */
export class SpdyStream extends Duplex {
  readonly id: number;
  readonly headers: HeaderBlock;
  readonly #wire: Wire;
  #remoteEnded = false;
  #localEnded = false;

  constructor(wire: Wire, id: number, headers: HeaderBlock) {
    super({ allowHalfOpen: true, highWaterMark: STREAM_BUFFER_BYTES });
    this.#wire = wire;
    this.id = id;
    this.headers = headers;
  }

  /** The first value of a header, by its lower-case name. */
  header(name: string): string | undefined {
    return this.headers.get(name)?.[0];
  }

  /** What came from the client. False: the reader is behind. */
  received(data: Uint8Array, fin: boolean): boolean {
    if (this.#remoteEnded || this.destroyed) return true;
    const room = data.length === 0 || this.push(data);
    if (fin) {
      this.#remoteEnded = true;
      this.push(null);
    }
    return room;
  }

  /** The client reset the stream, or the connection ended under it. */
  wasReset(): void {
    this.#remoteEnded = true;
    this.#localEnded = true;
    this.push(null);
    this.destroy();
  }

  override _read(): void {
    this.#wire.wanted(this);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, sent: (error?: Error | null) => void): void {
    let at = 0;
    for (; at + DATA_BYTES < chunk.length; at += DATA_BYTES) {
      this.#data(chunk.subarray(at, at + DATA_BYTES), false);
    }
    this.#data(chunk.subarray(at), false, sent);
  }

  override _final(sent: (error?: Error | null) => void): void {
    this.#localEnded = true;
    this.#data(new Uint8Array(), true, sent);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!(this.#remoteEnded && this.#localEnded) && this.#wire.open) {
      this.#wire.send({ type: 'RST_STREAM', streamId: this.id, status: RESET.cancel });
    }
    this.#wire.gone(this);
    done(error);
  }

  #data(data: Uint8Array, fin: boolean, sent?: () => void): void {
    this.#wire.send({ type: 'DATA', streamId: this.id, fin, data }, sent);
  }
}

export class SpdyConnection {
  /** Resolves when the connection is over, whoever ended it; with the error if it broke. */
  readonly closed: Promise<Error | undefined>;
  readonly #carrier: Duplex;
  readonly #accept: (stream: SpdyStream) => void;
  readonly #parser = new FrameParser();
  readonly #compressor = new HeaderCompressor();
  readonly #decompressor = new HeaderDecompressor();
  readonly #streams = new Map<number, SpdyStream>();
  /** Streams whose reader is behind; while there is one, the carrier is not read. */
  readonly #full = new Set<SpdyStream>();
  readonly #wire: Wire;
  #open = true;
  #lastStreamId = 0;

  /** `accept` is given each stream the client opens; it consumes the stream or destroys it. */
  constructor(carrier: Duplex, accept: (stream: SpdyStream) => void) {
    this.#carrier = carrier;
    this.#accept = accept;
    this.#wire = this.#wireOf();
    this.closed = new Promise((resolve) => {
      let broken: Error | undefined;
      carrier.on('error', (error) => {
        broken ??= error;
      });
      carrier.once('close', () => {
        this.#over();
        resolve(broken);
      });
    });
    carrier.on('data', (chunk: Buffer) => this.#read(chunk));
    carrier.once('end', () => carrier.end());
  }

  /**
   * Ends when the client does, who alone knows when it has read all: spdystream drops the data that it has not handled yet
   * when a GOAWAY or the connection's end comes in. One that stays longer than `lingerMs` is told goodbye.
   */
  close(lingerMs = LINGER_MS): void {
    if (!this.#open) return;
    this.#open = false;
    const linger = setTimeout(() => {
      this.#send({ type: 'GOAWAY', lastStreamId: this.#lastStreamId, status: AWAY.ok });
      this.#carrier.end(() => this.#carrier.destroy());
    }, lingerMs);
    this.#carrier.once('close', () => clearTimeout(linger));
  }

  destroy(): void {
    this.#carrier.destroy();
  }

  #wireOf(): Wire {
    const isOpen = () => this.#open;
    return {
      get open() {
        return isOpen();
      },
      send: (frame, sent) => this.#send(frame, sent),
      wanted: (stream) => this.#release(stream),
      gone: (stream) => {
        this.#streams.delete(stream.id);
        this.#release(stream);
      },
    };
  }

  #send(frame: Frame, sent: () => void = () => undefined): void {
    // A frame that cannot be written ends in the carrier's 'close', which ends every stream.
    if (this.#carrier.writable) this.#carrier.write(emit(frame), () => sent());
    else sent();
  }

  #read(chunk: Buffer): void {
    try {
      for (const frame of this.#parser.push(chunk)) this.#take(frame);
    } catch (error) {
      this.#send({ type: 'GOAWAY', lastStreamId: this.#lastStreamId, status: AWAY.protocolError });
      this.#carrier.destroy(error instanceof Error ? error : new Error(String(error)));
    }
    if (this.#full.size > 0) this.#carrier.pause();
  }

  #take(frame: Frame): void {
    switch (frame.type) {
      case 'SYN_STREAM':
        this.#opened(frame);
        break;
      case 'DATA':
        this.#data(frame);
        break;
      case 'RST_STREAM':
        this.#streams.get(frame.streamId)?.wasReset();
        break;
      case 'PING':
        // Odd ids are the client's (section 2.6.5); an even one would be the answer to a ping we never send.
        if (frame.id % 2 === 1) this.#send(frame);
        break;
      case 'SYN_REPLY':
      case 'HEADERS':
        // Nothing here needs them, yet they move the compression on.
        this.#decompressor.decompress(frame.headers);
        break;
      case 'SETTINGS':
      case 'GOAWAY':
      case 'WINDOW_UPDATE':
        break;
    }
  }

  #opened(frame: Extract<Frame, { type: 'SYN_STREAM' }>): void {
    const { streamId } = frame;
    const headers = this.#decompressor.decompress(frame.headers);
    if (streamId <= this.#lastStreamId || streamId % 2 === 0) {
      this.#send({ type: 'RST_STREAM', streamId, status: RESET.protocolError });
      return;
    }
    this.#lastStreamId = streamId;
    const stream = new SpdyStream(this.#wire, streamId, headers);
    this.#streams.set(streamId, stream);
    this.#send({ type: 'SYN_REPLY', streamId, fin: false, headers: this.#compressor.compress(new Map()) });
    this.#accept(stream);
    if (frame.fin) stream.received(new Uint8Array(), true);
  }

  #data(frame: Extract<Frame, { type: 'DATA' }>): void {
    const stream = this.#streams.get(frame.streamId);
    if (stream === undefined) {
      // Data that crossed our reset is not worth an answer; data for a stream that never was is.
      if (frame.streamId > this.#lastStreamId) {
        this.#send({ type: 'RST_STREAM', streamId: frame.streamId, status: RESET.invalidStream });
      }
      return;
    }
    if (!stream.received(frame.data, frame.fin) && !stream.destroyed) this.#full.add(stream);
  }

  #release(stream: SpdyStream): void {
    if (this.#full.delete(stream) && this.#full.size === 0) this.#carrier.resume();
  }

  #over(): void {
    this.#open = false;
    for (const stream of [...this.#streams.values()]) stream.wasReset();
  }
}
