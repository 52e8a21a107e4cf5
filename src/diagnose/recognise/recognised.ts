import type { CauseCode } from '../causes/registry.ts';
import type { Situation } from './situation.ts';

/** A cause, and why it is this one: a sentence with the names of the case. */
export interface Recognised {
  readonly code: CauseCode;
  readonly because: string;
}

/** Says what it recognises, or nothing. */
export type Recogniser = (situation: Situation) => Recognised | undefined;

export const recognised = (code: CauseCode, because: string): Recognised => ({ code, because });

/** What the first of them recognises. */
export function firstOf(recognisers: readonly Recogniser[], situation: Situation): Recognised | undefined {
  for (const recognise of recognisers) {
    const found = recognise(situation);
    if (found !== undefined) return found;
  }
  return undefined;
}
