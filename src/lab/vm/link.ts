import { Readable, Writable, type Writable as WritableStream } from 'node:stream';
import {
  type Frame,
  type FrameKind,
  FrameReader,
  type MessageKind,
  printFrame,
  type StreamKind,
} from './frames.ts';

/** How many bytes of one stream may be under way, so that a slow reader holds up its writer and nobody else. */
const WINDOW = 256 * 1024;

/** The largest payload: short frames let streams take turns. */
const PIECE = 32 * 1024;

type Write = (done?: Error | null) => void;

/** Gets each message as it comes; `id` is the process's number. */
export type OnMessage = (kind: MessageKind, id: number, fields: readonly string[]) => void;

/**
 * The opener's end of the channel to a guest's agent: messages about processes, and the processes' streams.
 *
 * Promises: messages and the bytes of a stream arrive in order; at most {@link WINDOW} bytes of a stream wait at its reader.
 * Like the pipes of a process, a stream whose other side is gone ends; only a write that waits fails, with EPIPE.
 */
export class Link {
  readonly #output: WritableStream;
  readonly #onMessage: OnMessage;
  readonly #readers = new Map<number, Reader>();
  readonly #writers = new Map<number, Writer>();
  #corked = false;

  constructor(input: Readable, output: WritableStream, onMessage: OnMessage) {
    this.#output = output;
    this.#onMessage = onMessage;
    const frames = new FrameReader();
    input.on('data', (bytes: Buffer) => {
      for (const frame of frames.read(bytes)) this.#take(frame);
    });
  }

  tell(kind: MessageKind, id: number, fields: readonly string[]): void {
    this.#send(kind, id, Buffer.from(fields.join('\0')));
  }

  /** What the other end writes into this stream. Ask for it before the other end can write. */
  reader(id: number): Readable {
    const reader = new Reader(
      (bytes) => this.#send('credit', id, uint32(bytes)),
      (whole) => {
        this.#readers.delete(id);
        if (!whole) this.#send('abandon', id, Buffer.alloc(0));
      },
    );
    this.#readers.set(id, reader);
    return reader;
  }

  /** Goes to the reader of that number at the other end. */
  writer(id: number): Writable {
    const writer = new Writer(
      (kind, payload) => this.#send(kind, id, payload),
      () => this.#writers.delete(id),
    );
    this.#writers.set(id, writer);
    return writer;
  }

  /** The other end is gone: what is open ends, as it does when processes are killed. */
  break(): void {
    for (const stream of [...this.#readers.values(), ...this.#writers.values()]) stream.break();
  }

  /** Frames of one turn of the event loop leave together. */
  #send(kind: FrameKind, id: number, payload: Uint8Array): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#output.cork();
      setImmediate(() => {
        this.#corked = false;
        this.#output.uncork();
      });
    }
    this.#output.write(printFrame(kind, id, payload));
  }

  #take({ kind, id, payload }: Frame): void {
    if (kind === 'data') this.#readers.get(id)?.receive(payload);
    else if (kind === 'end') this.#readers.get(id)?.receive(null);
    else if (kind === 'credit') this.#writers.get(id)?.credit(payload.readUInt32BE(0));
    else if (kind !== 'abandon') this.#onMessage(kind, id, payload.toString('utf8').split('\0'));
    else {
      this.#readers.get(id)?.break();
      this.#writers.get(id)?.break();
    }
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

class Reader extends Readable {
  readonly #grant: (bytes: number) => void;
  readonly #closed: (whole: boolean) => void;
  #whole = false;
  #owed = 0;

  constructor(grant: (bytes: number) => void, closed: (whole: boolean) => void) {
    super({ highWaterMark: PIECE });
    this.#grant = grant;
    this.#closed = closed;
  }

  receive(piece: Buffer | null): void {
    if (this.#whole) return;
    if (piece === null) this.#whole = true;
    else this.#owed += piece.length;
    if (this.push(piece)) this._read();
  }

  break(): void {
    this.receive(null);
  }

  /** The consumer has room: the writer may send on, told in steps that are worth a frame. */
  override _read(): void {
    if (this.#owed < WINDOW / 4) return;
    this.#grant(this.#owed);
    this.#owed = 0;
  }

  override _destroy(error: Error | null, done: Write): void {
    this.#closed(this.#whole);
    done(error);
  }
}

class Writer extends Writable {
  readonly #send: (kind: StreamKind, payload: Uint8Array) => void;
  readonly #closed: () => void;
  #credit = WINDOW;
  #waiting: (() => void) | undefined;
  #ended = false;

  constructor(send: (kind: StreamKind, payload: Uint8Array) => void, closed: () => void) {
    super({ highWaterMark: PIECE });
    this.#send = send;
    this.#closed = closed;
  }

  credit(bytes: number): void {
    this.#credit += bytes;
    const go = this.#waiting;
    this.#waiting = undefined;
    go?.();
  }

  break(): void {
    this.#ended = true;
    const waits = this.#waiting !== undefined;
    this.destroy(waits ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) : undefined);
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: Write): void {
    const size = Math.min(chunk.length, PIECE, this.#credit);
    if (size > 0) {
      this.#send('data', chunk.subarray(0, size));
      this.#credit -= size;
    }
    const rest = chunk.subarray(size);
    const go = () => this._write(rest, encoding, done);
    if (rest.length === 0) done();
    else if (this.#credit > 0) go();
    else this.#waiting = go;
  }

  override _final(done: Write): void {
    this.#ended = true;
    this.#send('end', Buffer.alloc(0));
    done();
  }

  override _destroy(error: Error | null, done: Write): void {
    if (!this.#ended) this.#send('abandon', Buffer.alloc(0));
    this.#closed();
    done(error);
  }
}
