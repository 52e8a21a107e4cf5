import { setTimeout as delay } from 'node:timers/promises';
import { type OnTerminal, startOnTerminal } from '../../exec/pty.ts';
import { Fault } from '../../fault/fault.ts';

/** What the shell of a pod prints when it waits for a line. */
const PROMPT = /(^|\n)\/ # $/;
const BOUND_MS = 30_000;

/** A person at a terminal who runs kubectl, waits for the pod's prompt and types. */
export class Terminal {
  readonly #process: OnTerminal;
  #printed = '';
  #changed = Promise.withResolvers<void>();

  private constructor(process: OnTerminal) {
    this.#process = process;
    process.onData((bytes) => {
      this.#printed += bytes.toString('utf8').replaceAll('\r', '');
      this.#wake();
    });
    process.ended.then(() => this.#wake());
  }

  static open(file: string, args: readonly string[], env: Record<string, string>, cwd: string): Terminal {
    // A wide terminal, so that the shell does not fold what is typed.
    return new Terminal(startOnTerminal(file, args, { columns: 300, rows: 50, env, cwd }));
  }

  /** Waits for the prompt; gives what stood before it. Presses enter once if the prompt was printed before the attach. */
  async prompt(): Promise<string> {
    const nudge = setTimeout(() => this.#process.write('\n'), 3_000);
    try {
      return await this.#until(PROMPT, 'the prompt of the pod');
    } finally {
      clearTimeout(nudge);
    }
  }

  /** Types a line; gives what was printed between its echo and the next prompt. */
  async type(line: string): Promise<string> {
    this.#printed = '';
    this.#process.write(`${line}\n`);
    const printed = await this.#until(PROMPT, `an answer to '${line}'`);
    return printed.slice(printed.indexOf('\n') + 1);
  }

  /** Leaves the shell and gives kubectl's exit code. */
  async leave(): Promise<number> {
    this.#process.write('exit\n');
    const ending = await Promise.race([this.#process.ended, delay(BOUND_MS, undefined, { ref: false })]);
    if (ending === undefined) throw this.#late('kubectl to end');
    return ending.code ?? 255;
  }

  close(): void {
    this.#process.kill('SIGKILL');
  }

  async #until(pattern: RegExp, what: string): Promise<string> {
    const end = AbortSignal.timeout(BOUND_MS);
    while (!pattern.test(this.#printed)) {
      const state = await Promise.race([
        this.#changed.promise,
        this.#process.ended.then(() => 'ended' as const),
        delay(BOUND_MS, 'late' as const, { ref: false, signal: end }).catch(() => 'late' as const),
      ]);
      if (state !== undefined && !pattern.test(this.#printed)) throw this.#late(what);
    }
    return this.#printed.replace(PROMPT, '$1');
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #late(what: string): Fault {
    const shown = this.#printed.trim().split('\n').slice(-5).join('\n');
    return new Fault('FE003', `waited for ${what}; the terminal shows: ${shown}`, 'run the command by hand');
  }
}
