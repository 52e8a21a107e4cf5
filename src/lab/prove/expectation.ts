import { type Outcome, walk } from '../../trace/trace.ts';
import type { World } from '../../world/world.ts';
import type { Answer, Question } from './dial.ts';

/** What the walk foretells of a question. */
export interface Expectation {
  readonly question: Question;
  readonly outcomes: readonly Outcome[];
  /** How likely each answer is, by {@link textOf}. */
  readonly chances: ReadonlyMap<string, number>;
  /** The walk meets something it does not model. */
  readonly isUnknown: boolean;
}

export function expect(world: World, question: Question): Expectation {
  const outcomes = walk(world, question);
  const chances = new Map<string, number>();
  for (const outcome of outcomes) {
    const text = textOf(outcome);
    chances.set(text, (chances.get(text) ?? 0) + outcome.probability);
  }
  return { question, outcomes, chances, isUnknown: outcomes.some(({ verdict }) => verdict === 'unknown') };
}

/** Everything of an answer that a walk foretells: `reached n1 at 192.168.0.11:80 as 192.168.0.12`, `refused`, `timeout`. */
export function textOf(answer: Answer | Outcome): string {
  if (answer.verdict !== 'reached') return answer.verdict;
  const { endpoint, sourceSeen } = answer;
  return `reached ${endpoint?.host} at ${endpoint?.ip}:${endpoint?.port} as ${sourceSeen}`;
}

/**
 * A foretold answer that stays away so often that chance would do it once in a thousand million cases is not there: a run of
 * many Worlds tries hundreds of thousands.
 */
const CHANCE = 1e-9;

/** How many answers have to be looked at before one of this chance counts as missing. */
export function enoughFor(chance: number): number {
  return chance >= 1 ? 1 : Math.ceil(Math.log(CHANCE) / Math.log(1 - chance));
}
