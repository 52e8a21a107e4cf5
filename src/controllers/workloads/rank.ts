import type { Pod } from '../../kube/objects.ts';
import { createdAt, nameOf } from '../metadata.ts';
import { conditionOf, isReady } from '../pods.ts';

const PHASES: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';

/**
 * The pods in the order in which a scale-down deletes them (client-go's ActivePodsWithRanks): unscheduled, then pending, not
 * ready, cheap to delete (KEP-2255), on the node with the most of them, ready for the shortest time, most restarted, newest. As there, times count by
 * their order of magnitude (KEP-2185), so that among equals no node's pods are always the youngest.
 */
export function rankForDeletion(pods: readonly Pod[], now: number): Pod[] {
  const perNode = Map.groupBy(pods, (pod) => pod.spec?.nodeName ?? '');
  const rank = (pod: Pod): readonly number[] => [
    pod.spec?.nodeName === undefined || pod.spec.nodeName === '' ? 0 : 1,
    PHASES[pod.status?.phase ?? 'Pending'] ?? 2,
    isReady(pod) ? 1 : 0,
    Number(pod.metadata?.annotations?.[DELETION_COST] ?? 0),
    -(perNode.get(pod.spec?.nodeName ?? '')?.length ?? 0),
    magnitude(now - (Date.parse(conditionOf(pod, 'Ready')?.lastTransitionTime ?? '') || 0)),
    -Math.max(0, ...(pod.status?.containerStatuses ?? []).map(({ restartCount }) => restartCount)),
    magnitude(now - createdAt(pod)),
  ];
  return pods
    .map((pod) => ({ pod, rank: rank(pod) }))
    .toSorted((a, b) => compare(a.rank, b.rank) || (nameOf(a.pod) < nameOf(b.pod) ? -1 : 1))
    .map(({ pod }) => pod);
}

/** Upstream compares the logarithms of the ages in nanoseconds, base 2; youngest first. */
const magnitude = (ms: number): number => Math.floor(Math.log2(Math.max(1, ms) * 1e6));

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [at, value] of a.entries()) {
    const order = value - (b[at] ?? 0);
    if (order !== 0) return order;
  }
  return 0;
}
