import { closeSync, existsSync, fstatSync, openSync, readSync, statSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** A piece of what a container printed: a line, or a part of one that was printed without its end. */
export interface LogEntry {
  /** RFC 3339 with nanoseconds, UTC as `Z`. */
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  /** With its newline, if it had one. */
  readonly content: Buffer;
}

const NEWLINE = 0x0a;
const SPACE = 0x20;

/** One line of the CRI log format: `<time> <stdout|stderr> <F|P> <content>`. Undefined for anything else. */
export function parseLogLine(line: Buffer): LogEntry | undefined {
  const first = line.indexOf(SPACE);
  const second = line.indexOf(SPACE, first + 1);
  const third = line.indexOf(SPACE, second + 1);
  if (first < 0 || second < 0 || third < 0) return undefined;
  const stream = line.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const isFull = line[second + 1] === 0x46;
  const content = line.subarray(third + 1);
  return {
    // conmon writes UTC as an offset; a kubelet prints it as Go does.
    time: line.toString('latin1', 0, first).replace(/\+00:00$/, 'Z'),
    stream,
    content: isFull ? Buffer.concat([content, Buffer.of(NEWLINE)]) : Buffer.from(content),
  };
}

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Tells when the container has ended: what is in the file then is all there will be. */
  readonly hasEnded: () => boolean;
  /** Calls back when that may have changed; returns what ends the subscription. */
  readonly onEnd: (listener: () => void) => () => void;
}

/** What is in a container's log now: the rotated file, then the current one. */
export function* readLog(file: string): Generator<LogEntry> {
  for (const path of [`${file}.1`, file]) {
    if (!existsSync(path)) continue;
    const reader = new LogReader(path);
    try {
      yield* reader.read();
    } finally {
      reader.close();
    }
  }
}

/** As {@link readLog}, and then what is printed until the container ends or the signal aborts; goes along with rotation. */
export async function* followLog(file: string, options: FollowOptions): AsyncGenerator<LogEntry> {
  const bell = new Bell();
  const watcher = watch(dirname(file), (_event, name) => {
    if (name === basename(file)) bell.ring();
  });
  const unsubscribe = options.onEnd(() => bell.ring());
  const stop = () => bell.ring();
  options.signal.addEventListener('abort', stop);
  if (existsSync(`${file}.1`)) yield* once(`${file}.1`);
  let reader: LogReader | undefined;
  try {
    while (!options.signal.aborted) {
      const hadEnded = options.hasEnded();
      reader ??= existsSync(file) ? new LogReader(file) : undefined;
      if (reader !== undefined) {
        yield* reader.read();
        if (reader.isReplaced()) {
          // What was written between the last read and the rotation is still behind this descriptor.
          yield* reader.read();
          reader.close();
          reader = undefined;
          continue;
        }
      }
      if (hadEnded) return;
      await bell.next();
    }
  } finally {
    reader?.close();
    watcher.close();
    unsubscribe();
    options.signal.removeEventListener('abort', stop);
  }
}

function* once(path: string): Generator<LogEntry> {
  const reader = new LogReader(path);
  try {
    yield* reader.read();
  } finally {
    reader.close();
  }
}

/** Reads whole lines from one file, on from where it stopped. */
class LogReader {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #chunk = Buffer.alloc(64 * 1024);
  #rest: Buffer = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
    this.#descriptor = openSync(path, 'r');
  }

  *read(): Generator<LogEntry> {
    for (;;) {
      const count = readSync(this.#descriptor, this.#chunk, 0, this.#chunk.length, null);
      if (count === 0) return;
      const bytes = Buffer.concat([this.#rest, this.#chunk.subarray(0, count)]);
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        const entry = parseLogLine(bytes.subarray(start, end));
        start = end + 1;
        if (entry !== undefined) yield entry;
      }
      this.#rest = bytes.subarray(start);
    }
  }

  /** Another file has the name by now. */
  isReplaced(): boolean {
    const now = statSync(this.#path, { throwIfNoEntry: false });
    return now !== undefined && now.ino !== fstatSync(this.#descriptor).ino;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** Wakes one waiter; a ring while nobody waits is kept. */
class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  async next(): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#wake = undefined;
    this.#rung = false;
  }
}
