/**
 * The only room that starts processes.
 *
 * Promises: argument arrays and standard input, never a shell string; a command that fails, is missing or runs past its
 * bound throws a {@link Fault} that names the place, the command and what it printed; a child ends with its caller's
 * `AbortSignal`.
 * Refuses: to guess. A process is ended by the id that was started, never by name.
 *
 * A {@link Place} says where a command runs: on this machine or in a guest, inside the lab's outer namespaces, or in one
 * network namespace of it. A guest is one more {@link Machine}: commands there are written, bounded and judged alike.
 *
 * @example await new Exec(HERE).run({ file: 'ip', args: ['-j', 'link', 'show', 'lo'] });
 */
import type { Readable } from 'node:stream';
import { Fault } from '../fault/fault.ts';
import { type Machine, type ProcessSpec, type Running, type Stdio, thisMachine } from './machine.ts';
import { packageOf } from './tools.ts';

export type { Ending, Machine, ProcessSpec, Running, Stdio } from './machine.ts';
export { environment, thisMachine } from './machine.ts';
export { requireTools } from './tools.ts';

/** Where commands run: `prefix` is what stands before every command (nsenter and its options), `name` is for messages. */
export interface Place {
  readonly name: string;
  readonly prefix: readonly string[];
  /** The prefix forks (nsenter --pid does), so the command is the only child of the process that was started. */
  readonly forks?: boolean;
  /** Whose processes they are; this machine's unless said. */
  readonly machine?: Machine;
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

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** 'ignore' unless said. A guest has no part in this process's descriptors: there it is 'pipe' or 'ignore'. */
  readonly stdin?: Stdio;
  readonly stdout?: Stdio;
  readonly stderr?: Stdio;
  /** Opens file descriptor 3 as a pipe on which the command reports; see {@link Running.report}. */
  readonly report?: boolean;
  /** In a session of its own, so that it outlives this process. */
  readonly detached?: boolean;
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
    const output = await this.#bounded(command, this.start(command.file, command.args, piped(command)));
    if (!(command.accept ?? [0]).includes(output.code)) throw this.#failed(command, output);
    return output;
  }

  /** Starts and returns at once, when the process exists. Throws {@link Fault} FE001 (tool missing), FE002. */
  async start(file: string, args: readonly string[], options: StartOptions = {}): Promise<Running> {
    const { prefix, machine = thisMachine, forks = false } = this.place;
    const spec: ProcessSpec = {
      argv: [...prefix, file, ...args],
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'ignore',
      report: false,
      detached: false,
      ...options,
      forks,
    };
    return await machine.spawn(spec).catch((error: unknown) => {
      throw error instanceof Error ? notStarted(file, this.place, error) : error;
    });
  }

  /** The output, unless the bound runs out or the caller's signal comes: then the process is killed. */
  async #bounded(command: Command, starting: Promise<Running>): Promise<Output> {
    const bound = command.timeoutMs ?? 30_000;
    // A process that could not be started is told by the wait below.
    const end = () =>
      void starting.then(
        (running) => running.kill('SIGKILL'),
        () => undefined,
      );
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      end();
      const message = `${this.place.name}: '${command.file}' ran longer than ${bound} ms`;
      late.reject(new Fault('FE003', message, 'run it by hand'));
    }, bound);
    command.signal?.addEventListener('abort', end, { once: true });
    if (command.signal?.aborted === true) end();
    try {
      const collected = starting.then((running) => collect(running, command.stdin ?? ''));
      return await Promise.race([collected, late.promise]);
    } finally {
      clearTimeout(timer);
      command.signal?.removeEventListener('abort', end);
    }
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

function notStarted(file: string, place: Place, error: Error): Error {
  if (error instanceof Fault) return error;
  if ('code' in error && error.code === 'ENOENT') return missing(file, place, error);
  const message = `${place.name}: '${file}' cannot be started: ${error.message}`;
  return new Fault('FE002', message, 'see its message', { cause: error });
}

function missing(file: string, place: Place, cause?: Error): Fault {
  const cure = `apt-get install ${packageOf(file)}`;
  const options = cause === undefined ? undefined : { cause };
  return new Fault('FE001', `${place.name}: the tool '${file}' is missing`, cure, options);
}

function piped({ env, cwd }: Command): StartOptions {
  return {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    ...(env === undefined ? {} : { env }),
    ...(cwd === undefined ? {} : { cwd }),
  };
}

async function collect(running: Running, input: string | Uint8Array): Promise<Output> {
  const { stdin, stdout, stderr, ended } = running;
  if (stdin === null || stdout === null || stderr === null) throw new Error('collect needs pipes');
  // A command that ends before it has read its input is judged by its exit code, not by the broken pipe.
  stdin.on('error', () => undefined);
  stdin.end(input);
  const [out, err, { code }] = await Promise.all([textOf(stdout), textOf(stderr), ended]);
  return { code: code ?? 137, stdout: out, stderr: err };
}

async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
