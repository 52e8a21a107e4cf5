import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until the answer fits, for at most `ms`; the last answer is given so that a failure shows it. */
export async function eventually<T>(
  ask: () => Promise<T>,
  fits: (answer: T) => boolean,
  ms = 15_000,
): Promise<T> {
  const until = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (fits(answer) || Date.now() > until) return answer;
    await sleep(20);
  }
}
