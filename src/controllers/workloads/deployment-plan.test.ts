import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Bounds,
  boundsOf,
  recreate,
  resolvePercent,
  rollingUpdate,
  type SetState,
  scaleProportionally,
} from './deployment-plan.ts';

const set = (name: string, replicas: number, available = replicas): SetState => ({
  name,
  replicas,
  available,
});

describe('percentages', () => {
  it.each([
    ['25%', 3, 'up', 1],
    ['25%', 3, 'down', 0],
    ['50%', 5, 'up', 3],
    ['50%', 5, 'down', 2],
    [2, 100, 'up', 2],
    ['0%', 7, 'up', 0],
  ] as const)('%s of %i rounded %s is %i', (value, total, round, expected) => {
    expect(resolvePercent(value, total, round)).toBe(expected);
  });

  it('never let both bounds be 0', () => {
    expect(boundsOf(3, 0, 0)).toEqual({ desired: 3, maxSurge: 0, maxUnavailable: 1 });
    expect(boundsOf(3)).toEqual({ desired: 3, maxSurge: 1, maxUnavailable: 0 });
    expect(boundsOf(10)).toEqual({ desired: 10, maxSurge: 3, maxUnavailable: 2 });
  });
});

describe('a rolling update', () => {
  const bounds = boundsOf(3, 1, 0);

  it.each<[string, SetState, SetState[], Bounds, [string, number][]]>([
    ['grows the new set by the surge', set('new', 0), [set('old', 3)], bounds, [['new', 1]]],
    ['waits for the new pod', set('new', 1, 0), [set('old', 3)], bounds, []],
    ['then takes an old one', set('new', 1), [set('old', 3)], bounds, [['old', 2]]],
    [
      'takes what serves nobody first, then the oldest',
      set('new', 1, 0),
      [set('a', 2), set('b', 2, 1)],
      boundsOf(3, 1, 1),
      [
        ['a', 1],
        ['b', 1],
      ],
    ],
    ['is done', set('new', 3), [set('old', 0)], bounds, []],
    ['shrinks a new set that is too large', set('new', 5), [], bounds, [['new', 3]]],
  ])('%s', (_name, current, old, limits, expected) => {
    expect([...rollingUpdate(current, old, limits)]).toEqual(expected);
  });

  const step = fc.record({
    /** How many pods of each set become available, or fail, before the next look. */
    available: fc.array(fc.nat(4), { minLength: 4, maxLength: 4 }),
    lost: fc.array(fc.nat(1), { minLength: 4, maxLength: 4 }),
  });

  it('keeps its bounds at every step and ends', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 12 }),
        fc.oneof(fc.nat(4), fc.constantFrom('0%', '25%', '100%')),
        fc.oneof(fc.nat(4), fc.constantFrom('0%', '25%', '100%')),
        fc.array(fc.nat(6), { minLength: 1, maxLength: 3 }),
        fc.array(step, { maxLength: 15 }),
        (desired, surge, absent, sizes, steps) => {
          const limits = boundsOf(desired, surge, absent);
          let sets = [...sizes.map((size, at) => set(`old${at}`, size)), set('new', 0)];
          const most = Math.max(wanted(sets), desired + limits.maxSurge);
          for (let turn = 0; turn < 200; turn++) {
            const noise = steps[turn];
            sets = sets.map((one, at) => happen(one, noise?.available[at] ?? 99, noise?.lost[at] ?? 0));
            const before = available(sets);
            sets = applyPlan(sets, rollingUpdate(newOf(sets), sets.slice(0, -1), limits));
            expect(wanted(sets)).toBeLessThanOrEqual(most);
            // What the update takes away is never what the minimum needs.
            expect(available(sets)).toBeGreaterThanOrEqual(Math.min(before, desired - limits.maxUnavailable));
          }
          expect(sets.map(({ replicas }) => replicas)).toEqual([...sizes.map(() => 0), desired]);
        },
      ),
      { numRuns: 300 },
    );
  });
});

const wanted = (sets: readonly SetState[]): number => sets.reduce((sum, { replicas }) => sum + replicas, 0);
const available = (sets: readonly SetState[]): number => sets.reduce((sum, one) => sum + one.available, 0);

function newOf(sets: readonly SetState[]): SetState {
  const last = sets.at(-1);
  if (last === undefined) throw new Error('no set');
  return last;
}

function happen(one: SetState, gained: number, lost: number): SetState {
  const up = Math.min(one.replicas, one.available + gained);
  return { ...one, available: Math.max(0, up - lost) };
}

/** A ReplicaSet takes pods that are not available first. */
const applyPlan = (sets: readonly SetState[], plan: ReadonlyMap<string, number>): SetState[] =>
  sets.map((one) => {
    const replicas = plan.get(one.name) ?? one.replicas;
    return { ...one, replicas, available: Math.min(one.available, replicas) };
  });

describe('recreate', () => {
  it('empties the old sets, waits for their pods, then starts the new one', () => {
    expect([...recreate(set('new', 0), [set('a', 2), set('b', 0)], 3, true)]).toEqual([['a', 0]]);
    expect([...recreate(set('new', 0), [set('a', 0)], 3, true)]).toEqual([]);
    expect([...recreate(set('new', 0), [set('a', 0)], 3, false)]).toEqual([['new', 3]]);
  });
});

describe('scaling', () => {
  it('gives a single active set the whole count', () => {
    expect([...scaleProportionally(set('new', 3), [set('old', 0)], boundsOf(5), true)]).toEqual([['new', 5]]);
    expect([...scaleProportionally(undefined, [set('old', 3)], boundsOf(0), true)]).toEqual([['old', 0]]);
  });

  it('keeps the proportion of a rollout under way', () => {
    // Upstream's example: 10 desired, surge 3, 5 old and 8 new, scaled to 15 with surge 3.
    const sets = {
      old: { ...set('old', 8), maxReplicas: 13 },
      current: { ...set('new', 5), maxReplicas: 13 },
    };
    const plan = scaleProportionally(sets.current, [sets.old], boundsOf(15, 3, 2), true);
    expect(Object.fromEntries(plan)).toEqual({ old: 11, new: 7 });
  });

  it('takes down what is old when the new set is whole', () => {
    expect([...scaleProportionally(set('new', 3), [set('old', 1)], boundsOf(3), true)]).toEqual([['old', 0]]);
  });

  it('hands out exactly what the bounds allow', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 5 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(5),
        (sizes, desired, surge) => {
          const all = sizes.map((size, at) => ({
            ...set(`s${at}`, size, 0),
            maxReplicas: wanted(sizes.map((n) => set('', n))),
          }));
          const plan = scaleProportionally(newOf(all), all.slice(0, -1), boundsOf(desired, surge, 1), true);
          expect(wanted(applyPlan(all, plan))).toBe(desired + surge);
          for (const size of plan.values()) expect(size).toBeGreaterThanOrEqual(0);
        },
      ),
    );
  });
});
