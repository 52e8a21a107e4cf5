/** The times of the loop, all in milliseconds. */
export interface SyncIntervals {
  /** How long changes are gathered before a transaction. */
  readonly gatherMs: number;
  /** From the begin of one transaction to the begin of the next at least: kube-proxy's minSyncPeriod. */
  readonly minMs: number;
  /** How often all rules are held against the kernel's, changed or not: kube-proxy's syncPeriod. */
  readonly fullMs: number;
  /** How often the kernel is asked whether our rules still stand. */
  readonly canaryMs: number;
  /** How long after a failed attempt the next one comes. */
  readonly retryMs: number;
  /** A change that is not in force by then makes the proxy unhealthy: with kube-proxy twice the syncPeriod. */
  readonly lateMs: number;
}

/** A change is so cheap that none needs to wait, and to compare everything so dear that an hour will do, as upstream's. */
export const DEFAULT_INTERVALS: SyncIntervals = {
  gatherMs: 1,
  minMs: 0,
  fullMs: 3_600_000,
  canaryMs: 10_000,
  retryMs: 1_000,
  lateMs: 60_000,
};

/** What is due although nothing has changed. */
export type Due = 'canary' | 'full';

/**
 * When the loop may act, and when it must: kube-proxy's bounded frequency runner. It knows no clock; every question
 * brings the time.
 *
 * @example
 * const schedule = new SyncSchedule({ ...DEFAULT_INTERVALS, minMs: 1000 }, 0);
 * schedule.began(5000, false);
 * schedule.untilChange(5400); // 600: a change may be programmed at 6000
 */
export class SyncSchedule {
  readonly #intervals: SyncIntervals;
  #begun = Number.NEGATIVE_INFINITY;
  #whole: number;
  #looked: number;

  /** @param now milliseconds since 1970, as everywhere here */
  constructor(intervals: SyncIntervals, now: number) {
    this.#intervals = intervals;
    this.#whole = now;
    this.#looked = now;
  }

  /** A transaction begins; `whole` if it holds everything against the kernel's rules. */
  began(now: number, whole: boolean): void {
    this.#begun = now;
    if (whole) this.#whole = this.#looked = now;
  }

  /** The kernel is asked whether our rules still stand. */
  looked(now: number): void {
    this.#looked = now;
  }

  /** How long a change that came now has to wait for others. */
  untilChange(now: number): number {
    const { gatherMs, minMs } = this.#intervals;
    return Math.max(gatherMs, this.#begun + minMs - now);
  }

  /** What comes next if nothing changes, and in how many milliseconds. */
  next(now: number): { readonly due: Due; readonly ms: number } {
    const { canaryMs, fullMs } = this.#intervals;
    const canary = this.#looked + canaryMs;
    const full = this.#whole + fullMs;
    return { due: full <= canary ? 'full' : 'canary', ms: Math.max(0, Math.min(full, canary) - now) };
  }
}
