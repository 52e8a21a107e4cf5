/**
 * The only room that starts processes.
 *
 * Promises: argument arrays and standard input, never a shell string; a command that fails, is missing or runs past its
 * bound throws a {@link Fault} that names the place, the command and what it printed; a child ends with its caller's
 * `AbortSignal`.
 * Refuses: to guess. A process is ended by the id that was started, never by name.
 *
 * A {@link Place} says where a command runs: here, inside the lab's outer namespaces, or in one network namespace of it.
 *
 * @example await new Exec(HERE).run({ file: 'ip', args: ['-j', 'link', 'show', 'lo'] });
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { Fault } from '../fault/fault.ts';

/** Where commands run: `prefix` is what stands before every command (nsenter and its options), `name` is for messages. */
export interface Place {
  readonly name: string;
  readonly prefix: readonly string[];
  /** The prefix forks (nsenter --pid does), so the command is the only child of the process that was started. */
  readonly forks?: boolean;
}

export const HERE: Place = { name: 'this host', prefix: [] };

/** A named network namespace (see ip-netns(8)) as seen from `outer`, whose mounts hold /run/netns. */
export function insideNetns(netns: string, outer: Place = HERE): Place {
  return { ...outer, name: netns, prefix: [...outer.prefix, 'nsenter', `--net=/run/netns/${netns}`, '--'] };
}

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly stdin?: string | Uint8Array;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Bound on the run, in milliseconds; 30,000 unless said. */
  readonly timeoutMs?: number;
  /** Exit codes that are answers rather than failures; 0 unless said. */
  readonly accept?: readonly number[];
  readonly signal?: AbortSignal;
}

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a process ended: an exit code, or the signal that ended it. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** 'pipe' gives the caller the streams; a number is an open file descriptor. */
  readonly stdin?: 'pipe' | 'ignore' | 'inherit' | number;
  readonly stdout?: 'pipe' | 'ignore' | 'inherit' | number;
  readonly stderr?: 'pipe' | 'ignore' | 'inherit' | number;
  /** Opens file descriptor 3 as a pipe on which the command reports; see {@link Running.report}. */
  readonly report?: boolean;
  /** In a session of its own, so that it outlives this process. */
  readonly detached?: boolean;
}

/** A running process. Its pid is as this process sees it; where the place forks it is that of the fork's parent. */
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

export class Exec {
  readonly place: Place;

  constructor(place: Place = HERE) {
    this.place = place;
  }

  /** The same in another network namespace below this place. */
  inside(netns: string): Exec {
    return new Exec(insideNetns(netns, this.place));
  }

  /** Runs to its end. Throws {@link Fault} FE001 (tool missing), FE002 (exit code), FE003 (bound). */
  async run(command: Command): Promise<Output> {
    const child = this.#spawn(command.file, command.args, {
      env: command.env,
      cwd: command.cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const output = await collect(child, command, this.place);
    if (!(command.accept ?? [0]).includes(output.code)) throw this.#failed(command, output);
    return output;
  }

  /** Starts and returns at once, when the process exists. Throws {@link Fault} FE001 if the tool is missing. */
  async start(file: string, args: readonly string[], options: StartOptions = {}): Promise<Running> {
    const child = this.#spawn(file, args, {
      env: options.env,
      cwd: options.cwd,
      stdio: [
        options.stdin ?? 'ignore',
        options.stdout ?? 'ignore',
        options.stderr ?? 'ignore',
        options.report === true ? 'pipe' : 'ignore',
      ],
      detached: options.detached ?? false,
    });
    const ended = new Promise<Ending>((resolve) =>
      child.once('exit', (code, signal) => resolve({ code, signal })),
    );
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) => reject(missing(file, this.place, error)));
    });
    if (child.pid === undefined) throw new Fault('FE002', `${file} has no process id`, 'run it again');
    return {
      pid: child.pid,
      stdin: child.stdin,
      stdout: child.stdout,
      stderr: child.stderr,
      report: child.stdio[3] instanceof Readable ? child.stdio[3] : null,
      ended,
      kill: (signal) => {
        const command = this.place.forks === true ? onlyChild(child.pid) : undefined;
        if (command === undefined) child.kill(signal);
        else process.kill(command, signal);
      },
      unref: () => child.unref(),
    };
  }

  #spawn(file: string, args: readonly string[], options: SpawnShape): ChildProcess {
    const [first = file, ...rest] = [...this.place.prefix, file, ...args];
    return spawn(first, rest, {
      cwd: options.cwd,
      env: environment(options.env),
      stdio: options.stdio,
      detached: options.detached ?? false,
    });
  }

  #failed(command: Command, output: Output): Fault {
    const said = (output.stderr || output.stdout).trim();
    const line = [command.file, ...command.args].join(' ');
    // nsenter reports a tool it cannot find itself, with the codes of a shell.
    if (output.code === 127) return missing(command.file, this.place);
    return new Fault(
      'FE002',
      `${this.place.name}: '${line}' ended with ${output.code}: ${said}`,
      'see its message',
    );
  }
}

/** This process's environment, where the system's own tools are found too: a user's PATH leaves out sbin on Debian. */
export function environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`, ...more };
}

/** The one child of a process (proc(5), task/[tid]/children), or undefined if it has none or is gone. */
function onlyChild(pid: number | undefined): number | undefined {
  const file = `/proc/${pid}/task/${pid}/children`;
  const child = existsSync(file) ? Number.parseInt(readFileSync(file, 'utf8'), 10) : Number.NaN;
  return Number.isNaN(child) ? undefined : child;
}

interface SpawnShape {
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  readonly stdio: StdioShape[];
  readonly detached?: boolean;
}
type StdioShape = 'pipe' | 'ignore' | 'inherit' | number;

/**
 * Throws {@link Fault} FE001 that names every one of these tools that cannot be run here, so that they are installed in one
 * go, before anything is begun.
 */
export function requireTools(tools: readonly string[]): void {
  const absent = tools.filter((tool) => !isProgram(tool));
  if (absent.length === 0) return;
  const packages = [...new Set(absent.map(packageOf))].join(' ');
  const named = absent.map((tool) => `'${tool}'`).join(', ');
  const what = absent.length === 1 ? `the tool ${named} is missing` : `the tools ${named} are missing`;
  throw new Fault('FE001', `${HERE.name}: ${what}`, `apt-get install ${packages}`);
}

function isProgram(tool: string): boolean {
  return (environment().PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      // Not there, or not ours to run: the next folder may have it.
      return false;
    }
  });
}

const packageOf = (tool: string): string => PACKAGES[tool] ?? tool;

/** The Debian packages of the tools Fairlead runs, for the cure of a missing one. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  bridge: 'iproute2',
  ss: 'iproute2',
  nft: 'nftables',
  'iptables-restore': 'iptables',
  'iptables-save': 'iptables',
  sysctl: 'procps',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  perl: 'perl-base',
  nslookup: 'bind9-dnsutils',
  crun: 'crun',
  conmon: 'conmon',
};

function missing(file: string, place: Place, cause?: Error): Fault {
  const cure = `apt-get install ${packageOf(file)}`;
  const options = cause === undefined ? undefined : { cause };
  return new Fault('FE001', `${place.name}: the tool '${file}' is missing`, cure, options);
}

function collect(child: ChildProcess, command: Command, place: Place): Promise<Output> {
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null) throw new Error('collect needs pipes');
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  stdout.on('data', (chunk: Buffer) => out.push(chunk));
  stderr.on('data', (chunk: Buffer) => err.push(chunk));
  // A command that ends before it has read its input is judged by its exit code, not by the broken pipe.
  stdin.on('error', () => undefined);
  stdin.end(command.stdin ?? '');
  const bound = command.timeoutMs ?? 30_000;
  return new Promise((resolve, reject) => {
    const end = () => child.kill('SIGKILL');
    const timer = setTimeout(() => {
      end();
      reject(
        new Fault('FE003', `${place.name}: '${command.file}' ran longer than ${bound} ms`, 'run it by hand'),
      );
    }, bound);
    command.signal?.addEventListener('abort', end, { once: true });
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(missing(command.file, place, error));
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      command.signal?.removeEventListener('abort', end);
      const text = (some: Buffer[]) => Buffer.concat(some).toString('utf8');
      resolve({ code: code ?? 137, stdout: text(out), stderr: text(err) });
    });
  });
}
