import type { World } from '../../world/world.ts';
import type { Inside } from '../cage.ts';
import { type Answer, type Dial, dialAll } from './dial.ts';
import { type Expectation, enoughFor, textOf } from './expectation.ts';

export interface Observation extends Expectation {
  /** Each by a connection of its own. */
  readonly answers: readonly Answer[];
}

/** Long enough for any answer in namespaces of one machine; what then seems lost is asked again without the crowd. */
const FIRST_TIMEOUT = 600;
/** Past the second SYN and a second more; then, for a machine that is too busy to answer, so long that nobody waits on. */
const PATIENT_TIMEOUTS = [3000, 12_000];
/** More connections than that to one address, and what was not seen stays unseen. */
const MOST_TIMES = 250;
const ROUNDS = 6;

/**
 * Asks the kernel what was foretold. Where chance decides, it asks until every foretold answer has been given or has stayed
 * away too often to be chance. A silence that nobody foretold is asked again, patiently: on a busy machine an answer may
 * be late.
 */
export async function observe(
  world: World,
  cage: Inside,
  expectations: readonly Expectation[],
): Promise<readonly Observation[]> {
  const answers = expectations.map((): Answer[] => []);
  const ask = async (
    wanted: readonly { readonly at: number; readonly times: number }[],
    timeoutMs: number,
  ) => {
    const dials = wanted.flatMap(({ at, times }): Dial[] => {
      const question = expectations[at]?.question;
      return question === undefined ? [] : [{ question, times }];
    });
    const given = await dialAll(world, cage, dials, timeoutMs);
    for (const [index, { at }] of wanted.entries()) answers[at]?.push(...(given[index] ?? []));
  };

  const all = expectations.map(({ chances }, at) => ({
    at,
    times: chances.size === 1 ? 1 : 2 * chances.size,
  }));
  await ask(all, FIRST_TIMEOUT);
  for (let round = 0; round < ROUNDS; round += 1) {
    const more = expectations.flatMap((one, at) => {
      const times = stillToAsk(one, answers[at] ?? []);
      return times > 0 ? [{ at, times }] : [];
    });
    if (more.length === 0) break;
    await ask(more, FIRST_TIMEOUT);
  }
  for (const patience of PATIENT_TIMEOUTS) {
    const late = expectations.flatMap(({ chances }, at) => {
      const own = answers[at] ?? [];
      if (chances.has('timeout') || !own.some(isSilence)) return [];
      answers[at] = own.filter((answer) => !isSilence(answer));
      return [{ at, times: Math.min(own.length, 5) }];
    });
    await ask(late, patience);
  }
  return expectations.map((one, at) => ({ ...one, answers: answers[at] ?? [] }));
}

const isSilence = ({ verdict }: Answer): boolean => verdict === 'timeout';

/** Doubles what was asked as long as a foretold answer is missing that should have come. */
function stillToAsk(expectation: Expectation, answers: readonly Answer[]): number {
  const missing = missingOf(expectation, answers);
  if (missing === 0 || expectation.question.isSticky === true) return 0;
  return Math.max(
    0,
    Math.min(answers.length, enoughFor(missing) - answers.length, MOST_TIMES - answers.length),
  );
}

/** The chance of the least likely foretold answer that was not given; 0 if all were. */
function missingOf({ chances }: Expectation, answers: readonly Answer[]): number {
  const given = new Set(answers.map(textOf));
  const missing = [...chances].flatMap(([text, chance]) => (given.has(text) ? [] : [chance]));
  return missing.length === 0 ? 0 : Math.min(...missing);
}
