/**
 * What a StatefulSet does next. Pure.
 *
 * Promises: ordinals are made from the lowest up and taken away from the highest down; OrderedReady makes or takes the next only
 * when all before it are available; a rolling update replaces from the highest ordinal down to the partition, one at a time.
 */

export interface Replica {
  readonly ordinal: number;
  readonly revision: string;
  readonly terminating: boolean;
  /** Succeeded or Failed: must be made anew. */
  readonly finished: boolean;
  /** Running and ready for minReadySeconds. */
  readonly available: boolean;
}

export interface StatefulSetGoal {
  /** The first ordinal (spec.ordinals.start). */
  readonly start: number;
  readonly replicas: number;
  /** podManagementPolicy Parallel: creating and deleting wait for nobody. */
  readonly parallel: boolean;
  readonly updateRevision: string;
  /** Ordinals below keep their revision; undefined with the strategy OnDelete. */
  readonly partition: number | undefined;
}

export interface StatefulSetPlan {
  readonly create: readonly number[];
  /** Ordinals whose pods are deleted. */
  readonly remove: readonly number[];
}

const NOTHING: StatefulSetPlan = { create: [], remove: [] };

export function planStatefulSet(goal: StatefulSetGoal, replicas: readonly Replica[]): StatefulSetPlan {
  return goal.parallel ? planParallel(goal, replicas) : planOrdered(goal, replicas);
}

function planOrdered(goal: StatefulSetGoal, replicas: readonly Replica[]): StatefulSetPlan {
  const held = byOrdinal(replicas);
  for (const ordinal of ordinalsOf(goal)) {
    const replica = held.get(ordinal);
    if (replica === undefined) return { ...NOTHING, create: [ordinal] };
    if (replica.terminating) return NOTHING;
    if (replica.finished) return { ...NOTHING, remove: [ordinal] };
    // A pod of an old template that never becomes available would block its own repair (upstream issue 67250 still does).
    if (!replica.available && !isOutdated(goal, replica)) return NOTHING;
    if (!replica.available) return { ...NOTHING, remove: [ordinal] };
  }
  const [condemned] = condemnedOf(goal, replicas);
  if (condemned !== undefined)
    return condemned.terminating ? NOTHING : { ...NOTHING, remove: [condemned.ordinal] };
  return update(goal, held);
}

function planParallel(goal: StatefulSetGoal, replicas: readonly Replica[]): StatefulSetPlan {
  const held = byOrdinal(replicas);
  const create = ordinalsOf(goal).filter((ordinal) => !held.has(ordinal));
  const finished = ordinalsOf(goal).filter((ordinal) => {
    const replica = held.get(ordinal);
    return replica?.finished && !replica.terminating;
  });
  const condemned = condemnedOf(goal, replicas).filter(({ terminating }) => !terminating);
  const remove = [...finished, ...condemned.map(({ ordinal }) => ordinal)];
  return create.length + remove.length > 0 ? { create, remove } : update(goal, held);
}

/** The highest outdated pod goes, if every pod above it is up to date and available. */
function update(goal: StatefulSetGoal, held: ReadonlyMap<number, Replica>): StatefulSetPlan {
  for (const ordinal of ordinalsOf(goal).toReversed()) {
    const replica = held.get(ordinal);
    if (replica === undefined || replica.terminating) return NOTHING;
    if (isOutdated(goal, replica)) return { ...NOTHING, remove: [ordinal] };
    if (!replica.available) return NOTHING;
  }
  return NOTHING;
}

const isOutdated = ({ partition, start, updateRevision }: StatefulSetGoal, replica: Replica): boolean =>
  partition !== undefined && replica.ordinal >= start + partition && replica.revision !== updateRevision;

const byOrdinal = (replicas: readonly Replica[]): ReadonlyMap<number, Replica> =>
  new Map(replicas.map((replica) => [replica.ordinal, replica]));

const ordinalsOf = ({ start, replicas }: StatefulSetGoal): number[] =>
  Array.from({ length: replicas }, (_, at) => start + at);

/** The pods outside the wanted range, highest first. */
const condemnedOf = ({ start, replicas }: StatefulSetGoal, held: readonly Replica[]): Replica[] =>
  held
    .filter(({ ordinal }) => ordinal < start || ordinal >= start + replicas)
    .toSorted((a, b) => b.ordinal - a.ordinal);
