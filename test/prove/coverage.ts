import { causeOf } from '../../src/diagnose/cause-of.ts';
import type { Scenario } from './scenario.ts';
import { traitsOf } from './traits.ts';
import type { Trial } from './try-scenario.ts';

/** What was met in the course of a hunt, and how often: agreement says little if all of it was of one kind. */
export class Coverage {
  /** Cases by what was foretold: reached, refused, timeout, mixed where chance decides between them, unknown. */
  readonly verdicts = new Tally();
  /** Cases by why a walk of them ended as it did. */
  readonly reasons = new Tally();
  /** Cases by the causes that diagnosis gives them. */
  readonly causes = new Tally();
  /** Worlds by what they are made of. */
  readonly traits = new Tally();

  add(scenario: Scenario, { cluster, agreements, mismatches, unknowns }: Trial): void {
    for (const trait of traitsOf(scenario)) this.traits.count(trait);
    for (const { question, outcomes } of [...agreements, ...mismatches, ...unknowns]) {
      const [verdict = 'unknown', ...more] = new Set(outcomes.map((one) => one.verdict));
      this.verdicts.count(more.length === 0 ? verdict : 'mixed');
      for (const reason of new Set(outcomes.map((one) => one.reason))) this.reasons.count(reason);
      const causes = outcomes.flatMap((outcome) => causeOf(cluster, question, outcome)?.code ?? []);
      for (const cause of new Set(causes)) this.causes.count(cause);
    }
  }
}

export class Tally {
  readonly #counts = new Map<string, number>();

  count(what: string): void {
    this.#counts.set(what, this.of(what) + 1);
  }

  of(what: string): number {
    return this.#counts.get(what) ?? 0;
  }

  get size(): number {
    return this.#counts.size;
  }

  /** The most frequent first. */
  get sorted(): readonly (readonly [string, number])[] {
    return [...this.#counts].sort(([a, m], [b, n]) => n - m || a.localeCompare(b));
  }

  toJSON(): object {
    return Object.fromEntries(this.sorted);
  }

  toString(): string {
    return this.sorted.map(([what, count]) => `${what} ${count}`).join(', ');
  }
}
