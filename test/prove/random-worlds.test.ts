/**
 * Random clusters, walked and built: `npm run -s bench -- accuracy` tries more of them. A difference is shrunk to a small
 * World; store it as regressions/NAME.json once it is understood.
 */
import { describe, expect, it } from 'vitest';
import { hunt, shrink } from './hunt.ts';
import { regressionsFor } from './regressions.ts';
import { told, tryScenario } from './try-scenario.ts';

/** Of the same Worlds in every run; another seed by FAIRLEAD_SEED. */
const SEED = Number(process.env.FAIRLEAD_SEED ?? 20260101);
const WITHIN = 40_000;

it('agree with the kernel, whatever they are', async () => {
  const options = { seed: SEED, worlds: 40, modes: ['nftables', 'iptables'], withinMs: WITHIN } as const;
  const { worlds, cases, agreed, unknown, found } = await hunt(options);
  const [first] = found;
  if (first !== undefined) {
    const smallest = await shrink(options, first, 30_000);
    const lines = first.differences.slice(0, 5).join('\n');
    expect.fail(`seed ${SEED}, World ${first.at}:\n${lines}\nshrunk: ${JSON.stringify(smallest)}`);
  }
  // A machine that is slow tries fewer; one that tries none is broken.
  expect(worlds).toBeGreaterThan(3);
  expect(agreed + unknown).toBe(cases);
  expect(unknown / cases).toBeLessThan(0.01);
});

describe('what differed once', () => {
  it.each(regressionsFor('host'))('%s', async (_, scenario) => {
    const { mismatches, agreements } = await tryScenario(scenario);
    expect(mismatches.map(told)).toEqual([]);
    expect(agreements.length).toBeGreaterThan(0);
  });
});
