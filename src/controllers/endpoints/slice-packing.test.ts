import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EndpointSlice, SliceEndpoint } from '../../kube/objects.ts';
import type { PortGroup } from '../../kube/service-endpoints.ts';
import { canonicalJson } from '../same-json.ts';
import { packSlices, type SlicePlan } from './slice-packing.ts';

const http = [{ name: '', port: 80, protocol: 'TCP' }];
const alt = [{ name: '', port: 8080, protocol: 'TCP' }];

const endpoint = (id: number, ready = true): SliceEndpoint => ({
  addresses: [`10.0.0.${id}`],
  conditions: { ready },
  targetRef: { kind: 'Pod', name: `p${id}`, uid: `u${id}` },
});

const slice = (name: string, ids: readonly number[], ports = http): EndpointSlice => ({
  metadata: { name },
  addressType: 'IPv4',
  ports,
  endpoints: ids.map((id) => endpoint(id)),
});

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);
const group = (ids: readonly number[], ports = http): PortGroup => ({
  ports,
  endpoints: ids.map((id) => endpoint(id)),
});

const countsOf = ({ create, update, remove }: SlicePlan) => ({
  create: create.map(({ endpoints }) => endpoints.length),
  update: Object.fromEntries(
    update.map(({ slice: one, content }) => [one.metadata?.name, content.endpoints.length]),
  ),
  remove: remove.map(({ metadata }) => metadata?.name),
});

describe('packing', () => {
  it.each<[string, PortGroup[], EndpointSlice[], ReturnType<typeof countsOf>]>([
    ['makes an empty slice for no endpoints', [], [], { create: [0], update: {}, remove: [] }],
    ['keeps the empty slice', [], [slice('a', [], [])], { create: [], update: {}, remove: [] }],
    [
      'fills the empty slice',
      [group([1])],
      [slice('a', [], [])],
      { create: [], update: { a: 1 }, remove: [] },
    ],
    ['empties a slice', [], [slice('a', [1, 2])], { create: [], update: { a: 0 }, remove: [] }],
    [
      'writes nothing when nothing changed',
      [group([2, 1])],
      [slice('a', [1, 2])],
      { create: [], update: {}, remove: [] },
    ],
    [
      'adds to a slice',
      [group([1, 2, 3])],
      [slice('a', [1, 2])],
      { create: [], update: { a: 3 }, remove: [] },
    ],
    ['splits at the maximum', [group(range(0, 7))], [], { create: [3, 3, 1], update: {}, remove: [] }],
    [
      'fills slices it writes anyway',
      [group([1, 3, 4])],
      [slice('a', [1, 2]), slice('b', [3])],
      { create: [], update: { a: 2 }, remove: [] },
    ],
    [
      'removes a slice that is empty, among others',
      [group([1, 2])],
      [slice('a', [1, 2]), slice('b', [3])],
      { create: [], update: {}, remove: ['b'] },
    ],
    [
      'separates ports',
      [group([1]), group([2], alt)],
      [slice('a', [1, 2])],
      { create: [1], update: { a: 1 }, remove: [] },
    ],
  ])('%s', (_name, wanted, existing, expected) => {
    expect(countsOf(packSlices(wanted, existing, 3))).toEqual(expected);
  });

  it('writes a changed condition in place', () => {
    const wanted = [{ ports: http, endpoints: [endpoint(1, false), endpoint(2)] }];
    const plan = packSlices(wanted, [slice('a', [1, 2]), slice('b', [])]);
    expect(plan.update.map(({ slice: one }) => one.metadata?.name)).toEqual(['a']);
    expect(plan.update[0]?.content.endpoints[0]?.conditions?.ready).toBe(false);
  });

  it('holds what is wanted once, within the maximum, and then rests', () => {
    const ids = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 25 });
    fc.assert(
      fc.property(fc.array(fc.tuple(ids, ids), { minLength: 1, maxLength: 8 }), (rounds) => {
        let slices: EndpointSlice[] = [];
        for (const [a, b] of rounds) {
          const second = b.filter((id) => !a.includes(id));
          const wanted = [group(a), group(second, alt)].filter(({ endpoints }) => endpoints.length > 0);
          slices = apply(slices, packSlices(wanted, slices, 4));
          const held = slices.flatMap((one) =>
            one.endpoints.map((e) => `${e.targetRef?.name} ${canonicalJson(one.ports)}`),
          );
          const should = wanted.flatMap(({ ports, endpoints }) =>
            endpoints.map((e) => `${e.targetRef?.name} ${canonicalJson(ports)}`),
          );
          expect(held.toSorted()).toEqual(should.toSorted());
          for (const one of slices) expect(one.endpoints.length).toBeLessThanOrEqual(4);
          if (wanted.length > 0) for (const one of slices) expect(one.endpoints.length).toBeGreaterThan(0);
          else expect(slices).toHaveLength(1);
          expect(packSlices(wanted, slices, 4)).toEqual({ create: [], update: [], remove: [] });
        }
      }),
    );
  });

  it('writes one slice for one pod that goes or comes', () => {
    const ids = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(ids, fc.nat(), (pods, pick) => {
        const slices = apply([], packSlices([group(pods)], [], 4));
        const rest = pods.filter((_, at) => at !== pick % pods.length);
        const gone = packSlices(rest.length === 0 ? [] : [group(rest)], slices, 4);
        expect(gone.create.length + gone.update.length + gone.remove.length).toBe(1);
        const come = packSlices([group([...pods, 99])], slices, 4);
        expect(come.create.length + come.update.length + come.remove.length).toBe(1);
      }),
    );
  });
});

let serial = 0;

function apply(slices: readonly EndpointSlice[], { create, update, remove }: SlicePlan): EndpointSlice[] {
  const made = create.map(({ ports, endpoints }): EndpointSlice => {
    serial += 1;
    return {
      metadata: { name: `s${serial}` },
      addressType: 'IPv4',
      ports: [...ports],
      endpoints: [...endpoints],
    };
  });
  const kept = slices
    .filter((one) => !remove.includes(one))
    .map((one) => {
      const change = update.find(({ slice: changed }) => changed === one);
      if (change === undefined) return one;
      return { ...one, ports: [...change.content.ports], endpoints: [...change.content.endpoints] };
    });
  return [...kept, ...made];
}
