/** What controllers want to know of a pod's state. */
import type { Pod } from '../kube/objects.ts';
import { conditionOf, isFinished } from '../kube/pod-state.ts';
import { isDeleting } from './metadata.ts';

export { conditionOf, isFinished, isReady } from '../kube/pod-state.ts';

/** Counts as a replica: neither finished nor being deleted. */
export const isActive = (pod: Pod): boolean => !isFinished(pod) && !isDeleting(pod);

/** Milliseconds until a ready pod has been so for `minReadySeconds`; 0 when it has, undefined when it is not ready. */
export function availableIn(pod: Pod, minReadySeconds: number, now: number): number | undefined {
  const ready = conditionOf(pod, 'Ready');
  if (ready?.status !== 'True') return undefined;
  const since = Date.parse(ready.lastTransitionTime ?? '');
  if (minReadySeconds === 0 || Number.isNaN(since)) return 0;
  return Math.max(0, since + minReadySeconds * 1000 - now);
}

export const isAvailable = (pod: Pod, minReadySeconds: number, now: number): boolean =>
  availableIn(pod, minReadySeconds, now) === 0;
