import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { Readable, type Writable } from 'node:stream';

/** How a process ended: an exit code, or the signal that ended it. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** 'pipe' gives the caller the stream; a number is an open file descriptor of this process. */
export type Stdio = 'pipe' | 'ignore' | 'inherit' | number;

/** A process to be. */
export interface ProcessSpec {
  readonly argv: readonly string[];
  /** Added to the environment that the machine gives. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin: Stdio;
  readonly stdout: Stdio;
  readonly stderr: Stdio;
  /** Opens file descriptor 3 as a pipe on which the command reports; see {@link Running.report}. */
  readonly report: boolean;
  /** In a session of its own. */
  readonly detached: boolean;
  /** The first command forks the real one and waits for it; signals are for the real one. */
  readonly forks: boolean;
}

/** A running process. Its pid is as its machine sees it; where the place forks it is that of the fork's parent. */
export interface Running {
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** What the command writes to file descriptor 3, if it was asked for. */
  readonly report: Readable | null;
  readonly ended: Promise<Ending>;
  /** Signals the command itself, also behind a place that forks. Nothing happens once it has ended. */
  kill(signal: NodeJS.Signals): void;
  /** Lets this process end while the child runs on. */
  unref(): void;
}

/** A kernel on which processes are started: the one we run on, or that of a guest. */
export interface Machine {
  /** Resolves when the process exists; rejects with what the system said if it cannot, `code` ENOENT for a missing program. */
  spawn(spec: ProcessSpec): Promise<Running>;
}

export const thisMachine: Machine = {
  async spawn(spec) {
    const [file = '', ...args] = spec.argv;
    const child = spawn(file, args, {
      cwd: spec.cwd,
      env: environment(spec.env),
      stdio: [spec.stdin, spec.stdout, spec.stderr, spec.report ? 'pipe' : 'ignore'],
      detached: spec.detached,
    });
    const ended = new Promise<Ending>((resolve) =>
      child.once('exit', (code, signal) => resolve({ code, signal })),
    );
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    return running(child, ended, spec.forks);
  },
};

/** This process's environment, where the system's own tools are found too: a user's PATH leaves out sbin on Debian. */
export function environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`, ...more };
}

function running(child: ChildProcess, ended: Promise<Ending>, forks: boolean): Running {
  const { pid, stdin, stdout, stderr } = child;
  if (pid === undefined) throw new Error(`${child.spawnfile} was spawned without a process id`);
  return {
    pid,
    stdin,
    stdout,
    stderr,
    report: child.stdio[3] instanceof Readable ? child.stdio[3] : null,
    ended,
    kill: (signal) => {
      const command = forks ? onlyChild(pid) : undefined;
      if (command === undefined) child.kill(signal);
      else process.kill(command, signal);
    },
    unref: () => child.unref(),
  };
}

/** The one child of a process (proc(5), task/[tid]/children), or undefined if it has none or is gone. */
function onlyChild(pid: number): number | undefined {
  const file = `/proc/${pid}/task/${pid}/children`;
  const child = existsSync(file) ? Number.parseInt(readFileSync(file, 'utf8'), 10) : Number.NaN;
  return Number.isNaN(child) ? undefined : child;
}
