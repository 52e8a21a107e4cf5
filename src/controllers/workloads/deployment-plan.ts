/**
 * The arithmetic of a Deployment: how many replicas each of its ReplicaSets should have next. Pure; the controller applies
 * the answer and asks again when the ReplicaSets have moved.
 *
 * Promises, for a rolling update: never more than desired + maxSurge pods wanted, never fewer than desired - maxUnavailable
 * available by the Deployment's own doing, and an end when pods become available.
 */

/** A ReplicaSet as the arithmetic sees it. `old` sets come oldest first. */
export interface SetState {
  readonly name: string;
  /** spec.replicas */
  readonly replicas: number;
  /** status.availableReplicas */
  readonly available: number;
  /** The annotation deployment.kubernetes.io/max-replicas: desired + maxSurge when it was last scaled. */
  readonly maxReplicas?: number;
}

export interface Bounds {
  readonly desired: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

/** The sets whose replicas change, by name. */
export type Plan = ReadonlyMap<string, number>;

/** A count or a percentage of `total` ("25%"), rounded up for surges and down for absences (util/intstr). */
export function resolvePercent(value: number | string, total: number, round: 'up' | 'down'): number {
  if (typeof value === 'number') return value;
  const share = (Number(value.replace(/%$/, '')) * total) / 100;
  return round === 'up' ? Math.ceil(share) : Math.floor(share);
}

/** The bounds in pods. Both may not be 0, or nothing would ever move: then one may be unavailable. */
export function boundsOf(
  desired: number,
  maxSurge: number | string = '25%',
  maxUnavailable: number | string = '25%',
): Bounds {
  const surge = resolvePercent(maxSurge, desired, 'up');
  const absent = Math.min(desired, resolvePercent(maxUnavailable, desired, 'down'));
  return { desired, maxSurge: surge, maxUnavailable: surge === 0 && absent === 0 ? 1 : absent };
}

const sum = (numbers: Iterable<number>): number => Iterator.from(numbers).reduce((a, b) => a + b, 0);
const wanted = (sets: readonly SetState[]): number => sum(sets.map(({ replicas }) => replicas));

/** The new set's next size: up to the desired count, within the surge. */
export function growNew(current: SetState, old: readonly SetState[], { desired, maxSurge }: Bounds): number {
  if (current.replicas >= desired) return desired;
  const room = desired + maxSurge - wanted(old) - current.replicas;
  return room <= 0 ? current.replicas : Math.min(desired, current.replicas + room);
}

/** One step of a rolling update: the new set grows first; when it cannot, the old ones shrink. */
export function rollingUpdate(current: SetState, old: readonly SetState[], bounds: Bounds): Plan {
  const grown = growNew(current, old, bounds);
  return grown === current.replicas ? shrinkOld(current, old, bounds) : new Map([[current.name, grown]]);
}

function shrinkOld(current: SetState, old: readonly SetState[], { desired, maxUnavailable }: Bounds): Plan {
  const minAvailable = desired - maxUnavailable;
  // Pods of the new set that are not available yet are spoken for: old ones may not go in their place.
  const notYet = current.replicas - current.available;
  const budget = wanted(old) + current.replicas - minAvailable - notYet;
  if (budget <= 0) return new Map();
  const cleaned = takeUnhealthy(old, budget);
  const spare = current.available + sum(old.map(({ available }) => available)) - minAvailable;
  return differences(old, takeOldest(cleaned, spare));
}

/** Pods that serve nobody go first. */
function takeUnhealthy(sets: readonly SetState[], budget: number): SetState[] {
  let left = budget;
  return sets.map((set) => {
    const take = Math.min(left, Math.max(0, set.replicas - set.available));
    left -= take;
    return { ...set, replicas: set.replicas - take };
  });
}

function takeOldest(sets: readonly SetState[], spare: number): SetState[] {
  let left = Math.max(0, spare);
  return sets.map((set) => {
    const take = Math.min(left, set.replicas);
    left -= take;
    return { ...set, replicas: set.replicas - take };
  });
}

function differences(before: readonly SetState[], after: readonly SetState[]): Plan {
  const changed = after.filter(({ replicas }, at) => replicas !== before[at]?.replicas);
  return new Map(changed.map(({ name, replicas }) => [name, replicas]));
}

/** Recreate: the new set starts when no pod of the old ones is left. */
export function recreate(
  current: SetState | undefined,
  old: readonly SetState[],
  desired: number,
  oldPodsLeft: boolean,
): Plan {
  const shrink = old.filter(({ replicas }) => replicas > 0);
  if (shrink.length > 0) return new Map(shrink.map(({ name }) => [name, 0]));
  if (current === undefined || oldPodsLeft || current.replicas === desired) return new Map();
  return new Map([[current.name, desired]]);
}

/**
 * Scaling while a rollout is under way or paused: a single active set takes the desired count; several share the
 * difference by their size, so that a rollout keeps its proportion.
 */
export function scaleProportionally(
  current: SetState | undefined,
  old: readonly SetState[],
  bounds: Bounds,
  rolling: boolean,
): Plan {
  const { desired, maxSurge } = bounds;
  const all = current === undefined ? [...old] : [...old, current];
  const active = all.filter(({ replicas }) => replicas > 0);
  const only = active.length === 0 ? (current ?? all.at(-1)) : active.length === 1 ? active[0] : undefined;
  if (only !== undefined) return only.replicas === desired ? new Map() : new Map([[only.name, desired]]);
  const isSaturated = current !== undefined && current.replicas === desired && current.available === desired;
  if (isSaturated) {
    return new Map(old.filter(({ replicas }) => replicas > 0).map(({ name }) => [name, 0]));
  }
  return rolling ? share(active, desired > 0 ? desired + maxSurge : 0) : new Map();
}

function share(active: readonly SetState[], allowed: number): Plan {
  const toAdd = allowed - wanted(active);
  // The largest set first, so that rounding leaves its rest where it shows least; of equals, growth goes to the newest.
  const order = active.toReversed().toSorted((a, b) => b.replicas - a.replicas);
  let left = toAdd;
  const shares = order.map((set) => {
    const fair = Math.round((set.replicas * allowed) / (set.maxReplicas ?? wanted(active))) - set.replicas;
    const part = toAdd > 0 ? Math.min(left, Math.max(0, fair)) : Math.max(left, Math.min(0, fair));
    const bounded = Math.max(part, -set.replicas);
    left -= bounded;
    return { ...set, replicas: set.replicas + bounded };
  });
  const [first, ...rest] = shares;
  if (first === undefined) return new Map();
  const filled = [{ ...first, replicas: Math.max(0, first.replicas + left) }, ...rest];
  return differences(order, filled);
}
