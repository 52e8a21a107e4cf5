/**
 * The frames between the opener of a guest and its agent, the same both ways.
 *
 *     length of the payload (32 bits, big-endian) | kind (8) | id (32) | payload
 *
 * A process has a number that the opener gave; that is the id of what is said about it, in fields that are parted by zero
 * bytes. A stream's id is the process's number times four plus the file descriptor it has there.
 *
 * | kind | from | says |
 * |---|---|---|
 * | hello | agent | first of all: release of the kernel, seconds since power-on |
 * | start | opener | what {@link printStart} prints |
 * | started | agent | the process id |
 * | refused | agent | why there is no process; ENOENT if that is the reason |
 * | signal | opener | a signal's name |
 * | ended | agent | exit code, number of the signal; one of them is empty |
 * | data, end | both | bytes of a stream, and that there are no more |
 * | credit | the reader | how many bytes more it takes (32 bits) |
 * | abandon | both | the sender's end of the stream is gone |
 */
import type { ProcessSpec, Stdio } from '../../exec/exec.ts';

const KINDS = [
  'hello',
  'start',
  'started',
  'refused',
  'signal',
  'ended',
  'data',
  'end',
  'credit',
  'abandon',
] as const;
const HEAD = 9;

export type FrameKind = (typeof KINDS)[number];
export type StreamKind = 'data' | 'end' | 'credit' | 'abandon';
export type MessageKind = Exclude<FrameKind, StreamKind>;

export interface Frame {
  readonly kind: FrameKind;
  readonly id: number;
  readonly payload: Buffer;
}

export function printFrame(kind: FrameKind, id: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEAD + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.writeUInt8(KINDS.indexOf(kind), 4);
  frame.writeUInt32BE(id, 5);
  frame.set(payload, HEAD);
  return frame;
}

/** Takes bytes as they come and gives the frames that are complete. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** Throws an Error for a kind that does not exist: then the two sides are not of one version. */
  *read(bytes: Buffer): Iterable<Frame> {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= HEAD) {
      const end = HEAD + this.#rest.readUInt32BE(0);
      if (this.#rest.length < end) return;
      const kind = KINDS[this.#rest.readUInt8(4)];
      if (kind === undefined) throw new Error(`a frame of kind ${this.#rest.readUInt8(4)}`);
      yield { kind, id: this.#rest.readUInt32BE(5), payload: this.#rest.subarray(HEAD, end) };
      this.#rest = this.#rest.subarray(end);
    }
  }
}

/**
 * Throws an Error for what cannot be said: a zero byte, which no argument can hold, or a descriptor of this process, in
 * which a guest has no part.
 */
export function printStart(spec: ProcessSpec): readonly string[] {
  const { argv, env = {}, cwd = '/' } = spec;
  const flags = [isPiped(spec.stdin), isPiped(spec.stdout), isPiped(spec.stderr), spec.report];
  const pipes = flags.flatMap((piped, at) => (piped ? [at] : [])).join('');
  const how = `${pipes}${spec.detached ? 'd' : ''}${spec.forks ? 'f' : ''}`;
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const fields = [how, cwd, String(argv.length), ...argv, ...variables];
  if (fields.some((field) => field.includes('\0'))) throw new Error('a zero byte in an argument');
  return fields;
}

/** Reads what {@link printStart} prints. Throws an Error for what it does not print. */
export function parseStart([how = '', cwd = '/', count = '', ...rest]: readonly string[]): ProcessSpec {
  const size = Number(count);
  if (!(size > 0) || rest.length < size) throw new Error('a command without words');
  const variables = rest.slice(size).map((text) => {
    const at = text.indexOf('=');
    return [text.slice(0, at), text.slice(at + 1)] as const;
  });
  const stdio = (at: number): Stdio => (how.includes(String(at)) ? 'pipe' : 'ignore');
  return {
    argv: rest.slice(0, size),
    env: Object.fromEntries(variables),
    cwd,
    stdin: stdio(0),
    stdout: stdio(1),
    stderr: stdio(2),
    report: how.includes('3'),
    detached: how.includes('d'),
    forks: how.includes('f'),
  };
}

export function isPiped(stdio: Stdio): boolean {
  if (stdio === 'pipe' || stdio === 'ignore') return stdio === 'pipe';
  throw new Error(`a guest's process cannot have '${stdio}' of this one; take 'pipe' or 'ignore'`);
}
