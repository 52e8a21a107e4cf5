import type { Answer } from './dial.ts';
import { enoughFor, textOf } from './expectation.ts';
import type { Observation } from './observe.ts';

/** What was foretold, held against what came. */
export interface Comparison {
  readonly agreements: readonly Observation[];
  readonly mismatches: readonly Mismatch[];
  /** Where the walk says itself that it does not know. */
  readonly unknowns: readonly Observation[];
}

export interface Mismatch extends Observation {
  /** Answers that nobody foretold. */
  readonly unexpected: readonly Answer[];
  /** Foretold answers that never came, although they were waited for long enough; see {@link textOf}. */
  readonly missing: readonly string[];
}

export function compare(observations: readonly Observation[]): Comparison {
  const agreements: Observation[] = [];
  const mismatches: Mismatch[] = [];
  const unknowns: Observation[] = [];
  for (const one of observations) {
    const unexpected = one.answers.filter((answer) => !one.chances.has(textOf(answer)));
    const missing = missingFrom(one);
    if (one.isUnknown) unknowns.push(one);
    else if (unexpected.length + missing.length === 0) agreements.push(one);
    else mismatches.push({ ...one, unexpected, missing });
  }
  return { agreements, mismatches, unknowns };
}

function missingFrom({ question, chances, answers }: Observation): string[] {
  // A server that remembers its clients gives each the same answer.
  if (question.isSticky === true && answers.length > 0) return [];
  const given = new Set(answers.map(textOf));
  return [...chances].flatMap(([text, chance]) =>
    given.has(text) || answers.length < enoughFor(chance) ? [] : [text],
  );
}
