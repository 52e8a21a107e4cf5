import type { Clock } from './clock.ts';

/** A clock that stands still until it is told to go on; timers run in the order of their times. */
export class ManualClock implements Clock {
  #now: number;
  readonly #timers = new Map<symbol, { readonly at: number; readonly run: () => void }>();

  constructor(now: number = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = Symbol('timer');
    this.#timers.set(timer, { at: this.#now + ms, run });
    return () => this.#timers.delete(timer);
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end);
      const [next] = due.toSorted(([, a], [, b]) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next[0]);
      this.#now = next[1].at;
      next[1].run();
    }
    this.#now = end;
  }
}
