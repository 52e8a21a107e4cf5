import type { World } from '../world/world.ts';
import { hostOf } from '../world/world.ts';
import type { Outcome, WalkRequest } from './outcome.ts';

/**
 * Walks the client's first packet and the answer through the World. What a World means is worked out once and kept for as
 * long as the World is. Throws {@link Fault} FE011 if there is no such client.
 */
export function walk(world: World, request: WalkRequest): readonly Outcome[] {
  const { name } = hostOf(world, request.from);
  const detail = 'the walk is not built yet';
  const step = { kind: 'unknown', detail, changes: [] } as const;
  return [
    { probability: 1, verdict: 'unknown', reason: 'unmodelled', hops: [], deciding: { host: name, step } },
  ];
}
