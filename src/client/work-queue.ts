import { errorFields, type Log } from '../fault/log.ts';
import { type BackoffOptions, backoffMs } from './backoff.ts';
import { ApiError } from './client.ts';
import { type Clock, SYSTEM_CLOCK } from './clock.ts';

export interface WorkQueueOptions {
  /** For messages, e.g. `deployment`. */
  readonly name: string;
  /** Brings what the key names to its wanted state. A rejection is logged and the key comes back after a pause. */
  readonly sync: (key: string) => Promise<void>;
  readonly log: Log;
  readonly signal?: AbortSignal;
  /** Keys worked on at the same time; 4 unless said. */
  readonly concurrency?: number;
  readonly backoff?: BackoffOptions;
  readonly clock?: Clock;
}

const BACKOFF: BackoffOptions = { baseMs: 5, maxMs: 30_000 };

/**
 * The queue of a controller, with the promises of client-go's workqueue: a key added many times before it is worked on is
 * worked on once; a key is never worked on twice at the same time; a key added while it is worked on is worked on again.
 * Work starts in the microtask after add(), so nothing is batched and nothing waits.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #clock: Clock;
  readonly #waiting = new Set<string>();
  readonly #working = new Set<string>();
  /** Keys added while they were worked on. */
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #later = new Map<string, { readonly at: number; readonly cancel: () => void }>();
  #idle: (() => void)[] = [];
  #starting = false;
  #stopped = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    if (options.signal?.aborted) this.stop();
    else options.signal?.addEventListener('abort', () => this.stop(), { once: true });
  }

  add(key: string): void {
    if (this.#stopped) return;
    if (this.#working.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#start();
  }

  /** Adds the key `ms` from now; of several times the earliest counts. */
  addAfter(key: string, ms: number): void {
    if (this.#stopped) return;
    const at = this.#clock.now() + ms;
    const planned = this.#later.get(key);
    if (planned !== undefined && planned.at <= at) return;
    planned?.cancel();
    const cancel = this.#clock.after(ms, () => {
      this.#later.delete(key);
      this.add(key);
    });
    this.#later.set(key, { at, cancel });
  }

  /** Resolves when no key waits or is worked on; keys planned for later do not count. */
  idle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** No further key is begun. */
  stop(): void {
    this.#stopped = true;
    for (const { cancel } of this.#later.values()) cancel();
    this.#later.clear();
    this.#waiting.clear();
    this.#again.clear();
    this.#settle();
  }

  #start(): void {
    if (this.#starting) return;
    this.#starting = true;
    queueMicrotask(() => {
      this.#starting = false;
      this.#fill();
    });
  }

  #fill(): void {
    const most = this.#options.concurrency ?? 4;
    for (const key of this.#waiting) {
      if (this.#working.size >= most) return;
      this.#waiting.delete(key);
      this.#working.add(key);
      void this.#work(key);
    }
  }

  async #work(key: string): Promise<void> {
    try {
      await this.#options.sync(key);
      this.#failures.delete(key);
    } catch (error) {
      this.#failed(key, error);
    }
    this.#working.delete(key);
    if (this.#again.delete(key)) this.#waiting.add(key);
    this.#fill();
    this.#settle();
  }

  #failed(key: string, error: unknown): void {
    if (this.#stopped) return;
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const ms = Math.round(backoffMs(failures, this.#options.backoff ?? BACKOFF));
    const message = `${this.#options.name} ${key}: sync failed, again in ${ms} ms`;
    // Two writers met and one of them was told: part of optimistic concurrency, not a defect.
    if (ApiError.is(error, 'Conflict') && failures < 5) this.#options.log.info(message, errorFields(error));
    else this.#options.log.error(message, errorFields(error));
    this.addAfter(key, ms);
  }

  #isIdle(): boolean {
    return this.#waiting.size === 0 && this.#working.size === 0;
  }

  #settle(): void {
    if (!this.#isIdle()) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}
