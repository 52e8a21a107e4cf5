export interface SyncIntervals {
  /** How long changes are gathered before a transaction. */
  readonly gatherMs: number;
  /** How often the kernel is asked whether our rules still stand. */
  readonly canaryMs: number;
  /** How long after a failed attempt the next one comes. */
  readonly retryMs: number;
}

export const DEFAULT_INTERVALS: SyncIntervals = { gatherMs: 1, canaryMs: 10_000, retryMs: 1_000 };
