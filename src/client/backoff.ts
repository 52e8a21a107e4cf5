/** Exponential back-off with jitter. The jitter keeps a hundred daemons from coming back in the same instant. */
export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

/** The wait before attempt `failures + 1`, between half and the whole of base * 2^(failures - 1), bounded. */
export function backoffMs(failures: number, options: BackoffOptions): number {
  const whole = Math.min(options.maxMs, options.baseMs * 2 ** Math.max(0, failures - 1));
  const random = options.random ?? Math.random;
  return whole / 2 + (whole / 2) * random();
}
