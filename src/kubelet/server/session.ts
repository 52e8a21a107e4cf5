import { PassThrough, type Readable } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import type { Status } from '../../kube/objects.ts';

/** The channels of v5.channel.k8s.io (KEP-4006): the first byte of every message. */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
export type OutputChannel = 'stdin' | 'stdout' | 'stderr';

export interface TerminalSize {
  readonly Width: number;
  readonly Height: number;
}

/** One exec, attach or forwarded connection: a WebSocket as streams, with back-pressure both ways. */
export class Session {
  /** What the client sends on channel 0; ends when the client ends it or goes. */
  readonly input = new PassThrough();
  /** Aborts when the client has gone. */
  readonly gone: AbortSignal;
  readonly #socket: WebSocket;
  #size: TerminalSize | undefined;
  #isOver = false;
  #resized: ((size: TerminalSize) => void) | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    const gone = new AbortController();
    this.gone = gone.signal;
    socket.on('message', (data) => this.#take(data));
    socket.on('close', () => {
      gone.abort();
      this.input.end();
    });
    // A broken connection shows as close, which follows.
    socket.on('error', () => socket.terminate());
    this.input.on('drain', () => socket.resume());
  }

  /** The size of the client's terminal, which clients send first; undefined if it does not come in time. */
  firstSize(boundMs: number): Promise<TerminalSize | undefined> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(this.#size), boundMs);
      this.onResize((size) => {
        clearTimeout(timer);
        resolve(size);
      });
    });
  }

  /** Told of every size of the client's terminal; of the last one at once, if it has come already. */
  onResize(resized: (size: TerminalSize) => void): void {
    this.#resized = resized;
    if (this.#size !== undefined) resized(this.#size);
  }

  /** Resolves when the bytes have left, or the client has. */
  send(channel: OutputChannel, bytes: Uint8Array): Promise<void> {
    return this.#send(CHANNEL[channel], bytes);
  }

  /** Sends all of a stream and resolves at its end. */
  async pump(channel: OutputChannel, source: Readable): Promise<void> {
    for await (const chunk of source) await this.send(channel, chunk as Buffer);
  }

  /** No more will come on a channel. */
  end(channel: OutputChannel): Promise<void> {
    return this.#send(CHANNEL.close, Buffer.of(CHANNEL[channel]));
  }

  /** Tells how it ended, and closes. */
  async finish(status: Status): Promise<void> {
    // What the client still sends has no reader; its closing has to be read all the same.
    this.#isOver = true;
    this.#socket.resume();
    await this.#send(CHANNEL.error, Buffer.from(JSON.stringify(status)));
    this.#socket.close(1000);
  }

  #send(channel: number, bytes: Uint8Array): Promise<void> {
    if (this.#socket.readyState !== this.#socket.OPEN) return Promise.resolve();
    const message = Buffer.concat([Buffer.of(channel), bytes]);
    return new Promise((resolve) => this.#socket.send(message, () => resolve()));
  }

  #take(data: RawData): void {
    const message = bytesOf(data);
    const body = message.subarray(1);
    switch (message[0]) {
      case CHANNEL.stdin:
        if (!this.#isOver && !this.input.writableEnded && !this.input.write(body)) this.#socket.pause();
        return;
      case CHANNEL.resize:
        this.#resize(body.toString('utf8'));
        return;
      case CHANNEL.close:
        if (body[0] !== CHANNEL.stdin) return;
        this.input.end();
        // A stream that has ended does not drain any more.
        this.#socket.resume();
        return;
      default:
        this.#socket.close(1002, `channel ${message[0]} is not the client's to write`);
    }
  }

  #resize(text: string): void {
    const found = /"Width":\s*(\d+)/i.exec(text);
    const height = /"Height":\s*(\d+)/i.exec(text);
    if (found === null || height === null) return;
    this.#size = { Width: Number(found[1]), Height: Number(height[1]) };
    this.#resized?.(this.#size);
  }
}

function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}

export const SUCCESS: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' };

export const failure = (message: string): Status => ({
  ...SUCCESS,
  status: 'Failure',
  message,
  reason: 'InternalError',
  code: 500,
});

/** How a command ended, as k8s.io/apiserver/pkg/util/remotecommand tells it. */
export function exitStatus(code: number): Status {
  if (code === 0) return SUCCESS;
  return {
    ...SUCCESS,
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: error executing command, exit code ${code}`,
    details: { causes: [{ reason: 'ExitCode', message: String(code), field: '' }] },
  };
}
