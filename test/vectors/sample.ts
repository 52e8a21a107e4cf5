import type { Vector } from './vectors.ts';

/**
 * Of each flow from one client under one configuration one combination of address, protocol and family, in turn; every vector
 * where the environment has `FAIRLEAD_VECTORS=all`.
 */
export function sampleOf(vectors: readonly Vector[]): readonly Vector[] {
  if (process.env.FAIRLEAD_VECTORS === 'all') return vectors;
  const combinations = Map.groupBy(vectors, ({ case: { number, flows }, flow, from, configuration }) =>
    [number, flows.indexOf(flow), from, configuration].join(),
  );
  return Array.from(combinations.values(), (some, at) => some[at % some.length] ?? []).flat();
}
