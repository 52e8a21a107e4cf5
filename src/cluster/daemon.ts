import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Ending, Exec, Running } from '../exec/exec.ts';
import { Fault } from '../fault/fault.ts';
import type { Log } from '../fault/log.ts';

/** The line a daemon prints on standard output once it serves. */
export const READY_LINE = 'ready';

/** Where this very program starts; the daemons are its subcommands. */
const MAIN = new URL(
  import.meta.filename.endsWith('.ts') ? '../cli/main.ts' : '../cli/main.js',
  import.meta.url,
).pathname;

export interface DaemonSpec {
  readonly name: string;
  /** Where it runs. */
  readonly exec: Exec;
  /** The subcommand and its options. */
  readonly args: readonly string[];
  /** File descriptor for what it says on standard error. */
  readonly log: number;
  readonly env?: Readonly<Record<string, string>>;
  /** It says `ready`; a kubelet does not, its Node's condition does. */
  readonly announces: boolean;
}

/** First and longest pause before a daemon that ended is started again, in milliseconds. */
const RESTART_PAUSE = { first: 100, longest: 5_000 };
/** Ends so often before it serves: it is not worth waiting for. */
const FALSE_STARTS = 4;

/**
 * One daemon and its restarts: a process of ours at a place in the cage, started again whenever it ends before
 * {@link stop}. Its readiness is its own word, the line `ready` on standard output.
 */
export class Daemon {
  readonly name: string;
  readonly #spec: DaemonSpec;
  readonly #log: Log;
  readonly #stopped = new AbortController();
  #running: Running | undefined;
  #ready = awaited();
  #serves = false;
  #falseStarts = 0;
  #restarts = 0;
  readonly #done: Promise<void>;

  private constructor(spec: DaemonSpec, log: Log) {
    this.name = spec.name;
    this.#spec = spec;
    this.#log = log;
    this.#done = this.#supervise();
  }

  static start(spec: DaemonSpec, log: Log): Daemon {
    return new Daemon(spec, log);
  }

  get pid(): number | undefined {
    return this.#running?.pid;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Waits for its word that it serves. Throws {@link Fault} FE003 past the bound, or when it ends again and again. */
  async ready(boundMs: number): Promise<void> {
    if (!this.#spec.announces) return;
    const late = delay(boundMs, 'late', { ref: false });
    if ((await Promise.race([this.#ready.promise, late])) === 'late') {
      throw this.#notReady(`was not ready within ${boundMs} ms`);
    }
  }

  #notReady(what: string): Fault {
    return new Fault('FE003', `${this.name} ${what}`, 'its log in the data folder says why');
  }

  signal(signal: NodeJS.Signals): void {
    this.#running?.kill(signal);
  }

  /** Asks it to end and waits; after `graceMs` it is killed. */
  async stop(graceMs = 3_000): Promise<void> {
    this.#stopped.abort();
    const running = this.#running;
    if (running !== undefined) {
      running.kill('SIGTERM');
      const ended = await Promise.race([running.ended, delay(graceMs, undefined, { ref: false })]);
      if (ended === undefined) running.kill('SIGKILL');
    }
    await this.#done;
  }

  async #supervise(): Promise<void> {
    let pause = RESTART_PAUSE.first;
    while (!this.#stopped.signal.aborted) {
      const began = performance.now();
      const ending = await this.#once().catch((error: unknown) => this.#failed(error));
      if (ending === undefined) return;
      if (this.#stopped.signal.aborted) return;
      // A run that held for a while has earned a quick restart.
      pause =
        performance.now() - began > 10_000 ? RESTART_PAUSE.first : Math.min(pause * 2, RESTART_PAUSE.longest);
      this.#restarts++;
      this.#log.warn('daemon ended, starting it again', {
        daemon: this.name,
        code: ending.code ?? undefined,
        signal: ending.signal ?? undefined,
        pauseMs: pause,
      });
      await delay(pause, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
    }
  }

  /** It could not even be started, so starting it again would not help. */
  #failed(error: unknown): undefined {
    this.#log.error('daemon cannot be started', { daemon: this.name, error: String(error) });
    this.#ready.reject(error);
  }

  async #once(): Promise<Ending> {
    const running = await this.#spec.exec.start(process.execPath, [MAIN, ...this.#spec.args], {
      stdout: 'pipe',
      stderr: this.#spec.log,
      // Out of the terminal's foreground group: ctrl-C is for the supervisor, who then ends each daemon in turn.
      detached: true,
      ...(this.#spec.env === undefined ? {} : { env: this.#spec.env }),
    });
    this.#running = running;
    if (this.#stopped.signal.aborted) running.kill('SIGTERM');
    if (running.stdout !== null) {
      createInterface(running.stdout).on('line', (line) => {
        if (line !== READY_LINE) return;
        this.#serves = true;
        this.#ready.resolve();
      });
    }
    const ending = await running.ended;
    this.#running = undefined;
    this.#hasEnded(ending);
    return ending;
  }

  #hasEnded({ code, signal }: Ending): void {
    if (this.#serves) {
      this.#serves = false;
      this.#ready = awaited();
      this.#falseStarts = 0;
      return;
    }
    this.#falseStarts++;
    if (this.#falseStarts < FALSE_STARTS) return;
    const ends = `ended ${this.#falseStarts} times before it served, the last time with ${code ?? signal}`;
    this.#ready.reject(this.#notReady(ends));
  }
}

/** A promise that may be broken before anybody waits for it. */
function awaited(): PromiseWithResolvers<void> {
  const made = Promise.withResolvers<void>();
  made.promise.catch(() => undefined);
  return made;
}
