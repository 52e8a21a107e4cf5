import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planStatefulSet, type Replica, type StatefulSetGoal } from './stateful-set-plan.ts';

const goal = (more: Partial<StatefulSetGoal> = {}): StatefulSetGoal => ({
  start: 0,
  replicas: 3,
  parallel: false,
  updateRevision: 'new',
  partition: 0,
  ...more,
});

const pod = (ordinal: number, more: Partial<Replica> = {}): Replica => ({
  ordinal,
  revision: 'new',
  terminating: false,
  finished: false,
  available: true,
  ...more,
});

const old = (ordinal: number, more: Partial<Replica> = {}) => pod(ordinal, { revision: 'old', ...more });

describe('a StatefulSet', () => {
  it.each<[string, StatefulSetGoal, Replica[], { create?: number[]; remove?: number[] }]>([
    ['begins with the first', goal(), [], { create: [0] }],
    ['begins where it is told', goal({ start: 5 }), [], { create: [5] }],
    ['waits for the first', goal(), [pod(0, { available: false })], {}],
    ['goes on to the second', goal(), [pod(0)], { create: [1] }],
    ['waits for one that goes', goal(), [pod(0, { terminating: true })], {}],
    ['makes a finished one anew', goal(), [pod(0, { finished: true })], { remove: [0] }],
    ['takes the highest away first', goal({ replicas: 1 }), [pod(0), pod(1), pod(2)], { remove: [2] }],
    ['takes one at a time', goal({ replicas: 1 }), [pod(0), pod(1), pod(2, { terminating: true })], {}],
    ['updates the highest first', goal(), [old(0), old(1), old(2)], { remove: [2] }],
    ['updates the next when it is back', goal(), [old(0), old(1), pod(2)], { remove: [1] }],
    ['waits for it to be back', goal(), [old(0), old(1), pod(2, { available: false })], {}],
    ['stops at the partition', goal({ partition: 2 }), [old(0), old(1), pod(2)], {}],
    ['updates nothing with OnDelete', goal({ partition: undefined }), [old(0), old(1), old(2)], {}],
    ['frees itself of a broken template', goal(), [old(0), old(1, { available: false })], { remove: [1] }],
    ['in parallel makes all', goal({ parallel: true }), [pod(1)], { create: [0, 2] }],
    ['in parallel takes all', goal({ parallel: true, replicas: 0 }), [pod(0), pod(1)], { remove: [1, 0] }],
    [
      'in parallel still updates one by one',
      goal({ parallel: true }),
      [old(0), old(1), old(2)],
      { remove: [2] },
    ],
  ])('%s', (_name, wanted, replicas, expected) => {
    expect(planStatefulSet(wanted, replicas)).toEqual({ create: [], remove: [], ...expected });
  });

  it('arrives from any state, and never takes two pods at once in order', () => {
    const state = fc.record({
      ordinal: fc.nat(6),
      revision: fc.constantFrom('old', 'new'),
      terminating: fc.boolean(),
      finished: fc.boolean(),
      available: fc.boolean(),
    });
    const states = fc.uniqueArray(state, { selector: ({ ordinal }) => ordinal, maxLength: 7 });
    fc.assert(
      fc.property(states, fc.nat(4), fc.nat(2), fc.boolean(), (start, replicas, first, parallel) => {
        const wanted = goal({ replicas, start: first, parallel });
        let held: Replica[] = start;
        for (let turn = 0; turn < 60; turn++) {
          const { create, remove } = planStatefulSet(wanted, held);
          if (!parallel) expect(create.length + remove.length).toBeLessThanOrEqual(1);
          held = held
            .filter(({ terminating }) => !terminating)
            .map((one) => ({ ...one, terminating: remove.includes(one.ordinal), available: !one.finished }));
          held.push(...create.map((ordinal) => pod(ordinal, { available: false })));
        }
        expect(held.toSorted((a, b) => a.ordinal - b.ordinal)).toEqual(
          Array.from({ length: replicas }, (_, at) => pod(first + at)),
        );
      }),
    );
  });
});
