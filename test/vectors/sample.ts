import type { Vector } from './vectors.ts';

/**
 * Of each flow from one client to one address one combination of protocol and family, in turn; every vector where the
 * environment has `FAIRLEAD_VECTORS=all`.
 */
export function sampleOf(vectors: readonly Vector[]): readonly Vector[] {
  if (process.env.FAIRLEAD_VECTORS === 'all') return vectors;
  const combinations = Map.groupBy(
    vectors,
    ({ case: { number, flows }, flow, from, target, configuration }) =>
      [number, flows.indexOf(flow), from, target.name, configuration].join(),
  );
  return Array.from(combinations.values(), (some, at) =>
    some.slice(at % some.length, (at % some.length) + 1),
  ).flat();
}
