/** Crash-loop back-off as upstream's: none before the first restart, then 10 s doubling up to 5 min. */
const BASE_MS = 10_000;
const MAX_MS = 300_000;
/** A container that ran this long starts over. */
const RESET_MS = 600_000;

/** An attempt to run a container, as far as the wait for the next one depends on it. */
export interface EndedAttempt {
  /** How often the container had been restarted when this attempt began. */
  readonly attempt: number;
  /** The wait before this attempt. */
  readonly backoffMs: number;
  readonly startedAt: number;
  readonly finishedAt: number;
}

/** Milliseconds from the end of this attempt to the start of the next. */
export function nextBackoffMs(ended: EndedAttempt): number {
  if (ended.finishedAt - ended.startedAt >= RESET_MS || ended.attempt === 0) return 0;
  return ended.backoffMs === 0 ? BASE_MS : Math.min(ended.backoffMs * 2, MAX_MS);
}
