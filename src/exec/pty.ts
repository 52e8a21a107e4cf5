import { constants } from 'node:os';
import { spawn as spawnPty } from '@lydell/node-pty';
import { Fault } from '../fault/fault.ts';
import type { Ending, Place } from './exec.ts';
import { environment, HERE } from './exec.ts';

export interface PtyOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A process on a pseudo-terminal of its own (pty(7)); what it prints comes as bytes. */
export interface OnTerminal {
  readonly pid: number;
  readonly ended: Promise<Ending>;
  write(bytes: Uint8Array | string): void;
  onData(listener: (bytes: Buffer) => void): void;
  resize(columns: number, rows: number): void;
  /** Stops reading, so that the terminal's buffer fills and the process waits. */
  pause(): void;
  resume(): void;
  kill(signal: NodeJS.Signals): void;
}

/** Starts a command at a place, on a new terminal. Throws {@link Fault} FE014 for a guest, which has none to give. */
export function startOnTerminal(
  file: string,
  args: readonly string[],
  options: PtyOptions = {},
  place: Place = HERE,
): OnTerminal {
  if (place.machine !== undefined) {
    throw new Fault('FE014', `${place.name}: a guest has no terminals`, 'run the command without one');
  }
  const [first = file, ...rest] = [...place.prefix, file, ...args];
  const pty = spawnPty(first, rest, {
    name: 'xterm',
    cols: options.columns ?? 80,
    rows: options.rows ?? 24,
    env: environment(options.env),
    encoding: null,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  // Without an encoding the package takes and gives buffers, though its types say strings.
  const raw = pty as unknown as RawPty;
  const ended = new Promise<Ending>((resolve) =>
    pty.onExit(({ exitCode, signal }) =>
      resolve(signal ? { code: null, signal: nameOf(signal) } : { code: exitCode, signal: null }),
    ),
  );
  return {
    pid: pty.pid,
    ended,
    write: (bytes) => raw.write(typeof bytes === 'string' ? bytes : Buffer.from(bytes)),
    onData: (listener) => void raw.onData(listener),
    resize: (columns, rows) => pty.resize(columns, rows),
    pause: () => pty.pause(),
    resume: () => pty.resume(),
    kill: (signal) => pty.kill(signal),
  };
}

interface RawPty {
  write(data: string | Buffer): void;
  onData(listener: (data: Buffer) => void): unknown;
}

function nameOf(signal: number): NodeJS.Signals {
  const found = Object.entries(constants.signals).find(([, number]) => number === signal);
  return (found?.[0] ?? 'SIGKILL') as NodeJS.Signals;
}
