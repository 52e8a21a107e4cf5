import type { ReplicaSet } from '../kube/objects.ts';
import { type Labels, labelSelector } from '../kube/selectors.ts';

export type LabelSelector = NonNullable<ReplicaSet['spec']>['selector'];

/** Whether a workload's selector matches; one that is missing matches nothing. */
export const selects = (selector: LabelSelector | undefined, labels: Labels = {}): boolean =>
  labelSelector(selector).matches(labels);

/** Whether `labels` holds every pair of `wanted`: what a Service's selector asks. */
export const isSubset = (wanted: Labels, labels: Labels): boolean =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value);
