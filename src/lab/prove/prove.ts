/**
 * Holds the walk against a kernel: every question is answered twice, by `trace` and by real connections in the World that
 * `realise` has built, and the answers are compared: the verdict, the endpoint, and the source it saw.
 *
 * Promises: nothing is counted as agreed that was not asked for real. Where balancing is random, connections are made until
 * every foretold endpoint has answered, or has stayed away so often that it cannot be chance.
 * Refuses: to judge what the walk calls unknown; that is counted apart.
 *
 * @example
 * const lab = await openLab(world);
 * const { agreements, mismatches, unknowns } = await prove(world, lab.cage, questions);
 * await lab.close();
 */
import type { World } from '../../world/world.ts';
import type { Inside } from '../cage.ts';
import { type Comparison, compare } from './compare.ts';
import type { Question } from './dial.ts';
import { expect } from './expectation.ts';
import { observe } from './observe.ts';

export type { Comparison, Mismatch } from './compare.ts';
export type { Answer, Question } from './dial.ts';
export { type Evidence, gatherEvidence } from './evidence.ts';
export { evidenceText } from './evidence-text.ts';
export { type Expectation, expect, textOf } from './expectation.ts';
export { startListeners } from './listeners.ts';
export { type Observation, observe } from './observe.ts';
export { type Lab, type LabOptions, openLab } from './open-lab.ts';
export { compare };

export async function prove(world: World, cage: Inside, questions: readonly Question[]): Promise<Comparison> {
  return compare(
    await observe(
      world,
      cage,
      questions.map((question) => expect(world, question)),
    ),
  );
}
