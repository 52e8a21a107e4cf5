/** Time as the daemons see it, passed in so that tests decide when a minute has gone by. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs once, `ms` from now, unless the returned function is called before. */
  after(ms: number, run: () => void): () => void;
}

export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves `ms` from now, or at once when the signal aborts: the caller looks at the signal, not at an exception. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal?.addEventListener('abort', end, { once: true });
  });
}

/** Resolves when the signal has aborted: what a daemon waits for once it serves. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** meta/v1 Time: RFC 3339 in whole seconds. */
export const timeOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** meta/v1 MicroTime: RFC 3339 with microseconds. */
export const microTimeOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 23)}000Z`;
