import { type KubeObject, nameOf, namespaceOf, type OwnerReference, type Pod } from '../../kube/objects.ts';
import { labelSelector, SelectorError } from '../../kube/selectors.ts';

const KINDS = ['Deployment', 'StatefulSet', 'ReplicaSet', 'DaemonSet'] as const;

/** What makes pods: where a change of a pod has to be written. */
export interface Workload {
  readonly kind: (typeof KINDS)[number];
  /** `namespace/name`. */
  readonly name: string;
  /** The labels its pods are made with. */
  readonly labels: Readonly<Record<string, string>>;
}

/** As much of one as counts. */
export interface WorkloadObject extends KubeObject {
  readonly spec?: {
    readonly selector?: Parameters<typeof labelSelector>[0];
    readonly template?: { readonly metadata?: { readonly labels?: Readonly<Record<string, string>> } };
  };
}

/** The label by which a Deployment's ReplicaSets tell their pods apart; it ends their names. */
const TEMPLATE_HASH = 'pod-template-hash';

const kindOf = ({ kind }: KubeObject): Workload['kind'] | undefined => KINDS.find((one) => one === kind);

export const isWorkload = (apiVersion: string, kind: string): boolean =>
  apiVersion.startsWith('apps/') && KINDS.some((one) => one === kind);

/**
 * What owns the pod: by its owner references, up to the one nobody owns; a pod without any, as files have them, belongs to
 * the workload whose selector fits. `undefined` for a pod that stands alone.
 */
export function workloadOf(all: readonly WorkloadObject[], pod: Pod): Workload | undefined {
  const owner = controllerOf(pod);
  if (owner === undefined) {
    const fitting = all.filter((one) => kindOf(one) !== 'ReplicaSet' && selects(one, pod));
    return fitting.length === 1 ? noteOf(fitting[0]) : undefined;
  }
  const direct = find(all, pod, owner);
  const above = direct && controllerOf(direct);
  if (above !== undefined) return noteOf(find(all, pod, above)) ?? named(above, pod);
  if (direct !== undefined) return noteOf(direct);
  const hash = pod.metadata?.labels?.[TEMPLATE_HASH];
  if (owner.kind !== 'ReplicaSet' || hash === undefined || !owner.name.endsWith(`-${hash}`))
    return named(owner, pod);
  const deployment = { ...owner, kind: 'Deployment', name: owner.name.slice(0, -hash.length - 1) };
  return noteOf(find(all, pod, deployment)) ?? named(deployment, pod);
}

const controllerOf = ({ metadata }: KubeObject): OwnerReference | undefined =>
  metadata?.ownerReferences?.find(({ controller }) => controller === true);

const find = (
  all: readonly WorkloadObject[],
  pod: Pod,
  { kind, name }: OwnerReference,
): WorkloadObject | undefined =>
  all.find((one) => one.kind === kind && nameOf(one) === name && namespaceOf(one) === namespaceOf(pod));

function noteOf(object: WorkloadObject | undefined): Workload | undefined {
  const kind = object && kindOf(object);
  if (object === undefined || kind === undefined) return undefined;
  return {
    kind,
    name: `${namespaceOf(object)}/${nameOf(object)}`,
    labels: object.spec?.template?.metadata?.labels ?? {},
  };
}

/** One that is known from its pod alone. */
function named({ kind: text, name }: OwnerReference, pod: Pod): Workload | undefined {
  const kind = KINDS.find((one) => one === text);
  if (kind === undefined) return undefined;
  const { [TEMPLATE_HASH]: _, ...labels } = pod.metadata?.labels ?? {};
  return { kind, name: `${namespaceOf(pod)}/${name}`, labels };
}

function selects(object: WorkloadObject, pod: Pod): boolean {
  if (namespaceOf(object) !== namespaceOf(pod)) return false;
  try {
    return labelSelector(object.spec?.selector).matches(pod.metadata?.labels ?? {});
  } catch (error) {
    // A selector that an API server would refuse selects nothing.
    if (error instanceof SelectorError) return false;
    throw error;
  }
}
