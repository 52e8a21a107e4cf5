/**
 * Tries random clusters on the kernel and holds the walk against it.
 *
 * @example
 * const { cases, found } = await hunt({ seed: 1, worlds: 20, modes: ['nftables'] });
 */
import fc from 'fast-check';
import { type Mode, scenarios } from './arbitrary.ts';
import { Coverage } from './coverage.ts';
import type { Scenario } from './scenario.ts';
import { type TrialOptions, told, tryScenario } from './try-scenario.ts';

export interface HuntOptions extends TrialOptions {
  readonly seed: number;
  readonly worlds: number;
  readonly modes: readonly Mode[];
  /** The first of the seed's Worlds to try; the first of all unless said. */
  readonly from?: number;
  /** Worlds under way at once; most of their time is waiting. */
  readonly sideBySide?: number;
  /** No World is begun after so many milliseconds. */
  readonly withinMs?: number;
}

export interface Bag {
  readonly worlds: number;
  /** Questions: a client, an address, a protocol. */
  readonly cases: number;
  /** Connections made. */
  readonly probes: number;
  readonly agreed: number;
  readonly unknown: number;
  readonly found: readonly Find[];
  readonly coverage: Coverage;
}

/** A World on which the walk and the kernel differ, or that could not be built. */
export interface Find {
  /** Which of the seed's Worlds it is. */
  readonly at: number;
  readonly scenario: Scenario;
  readonly differences: readonly string[];
}

export async function hunt(options: HuntOptions): Promise<Bag> {
  const { seed, worlds, modes, from = 0, sideBySide = 3, withinMs = Number.POSITIVE_INFINITY } = options;
  const began = performance.now();
  const drawn = fc.sample(scenarios(modes), { seed, numRuns: from + worlds });
  const next = [...drawn.entries()].slice(from).values();
  const found: Find[] = [];
  const coverage = new Coverage();
  const sum = { worlds: 0, cases: 0, probes: 0, agreed: 0, unknown: 0 };
  const work = async () => {
    for (const [at, scenario] of next) {
      if (performance.now() - began > withinMs) return;
      sum.worlds += 1;
      try {
        const trial = await tryScenario(scenario, options);
        const { agreements, mismatches, unknowns } = trial;
        coverage.add(scenario, trial);
        const all = [...agreements, ...mismatches, ...unknowns];
        sum.cases += all.length;
        sum.probes += all.reduce((count, { answers }) => count + answers.length, 0);
        sum.agreed += agreements.length;
        sum.unknown += unknowns.length;
        if (mismatches.length > 0) found.push({ at, scenario, differences: mismatches.map(told) });
      } catch (error) {
        found.push({ at, scenario, differences: [String(error)] });
      }
    }
  };
  await Promise.all(Array.from({ length: sideBySide }, work));
  return { ...sum, found, coverage };
}

/** The smallest World that differs as well, as far as it is found within the time. */
export async function shrink(
  options: HuntOptions,
  { at, scenario }: Find,
  withinMs: number,
): Promise<Scenario> {
  const agrees = async (one: Scenario) => {
    const { mismatches } = await tryScenario(one, options);
    return mismatches.length === 0;
  };
  const { seed, modes } = options;
  const { counterexample } = await fc.check(fc.asyncProperty(scenarios(modes), agrees), {
    seed,
    path: String(at),
    numRuns: 1,
    interruptAfterTimeLimit: withinMs,
  });
  return counterexample?.[0] ?? scenario;
}
