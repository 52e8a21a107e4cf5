import type { ReplicaSet } from '../kube/objects.ts';

export type LabelSelector = NonNullable<ReplicaSet['spec']>['selector'];
type Labels = Readonly<Record<string, string>>;

/** Whether a selector that names something matches; one that is empty selects nothing here, as upstream's workloads do. */
export function selects(selector: LabelSelector | undefined, labels: Labels = {}): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  if (Object.keys(matchLabels).length + matchExpressions.length === 0) return false;
  return isSubset(matchLabels, labels) && matchExpressions.every((one) => meets(one, labels));
}

/** Whether `labels` holds every pair of `wanted`: what a Service's selector asks. */
export const isSubset = (wanted: Labels, labels: Labels): boolean =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value);

interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** A requirement of a label selector or a node selector term; Gt and Lt compare whole numbers. */
export function meets({ key, operator, values = [] }: Requirement, labels: Labels): boolean {
  const value = labels[key];
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}
