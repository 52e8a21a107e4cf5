import { type Node, nameOf, type PodSpec } from './objects.ts';
import { type Requirement, Selector, selectorOfLabels } from './selectors.ts';

/*
 * Whether a pod may be on a node by what the two say of each other: taints and tolerations, node selectors and the node affinity
 * that is required.
 */

export type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number];
type Toleration = NonNullable<PodSpec['tolerations']>[number];

/** core/v1 Toleration: no effect tolerates all effects, Exists without a key tolerates all taints. */
export function tolerates(
  { key, operator = 'Equal', value = '', effect }: Toleration,
  taint: Taint,
): boolean {
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  return operator === 'Exists' || (Boolean(key) && value === (taint.value ?? ''));
}

/** Whether the taints of a node that keep pods away are tolerated by the pod. */
export function isTolerated(spec: PodSpec | undefined, node: Node): boolean {
  const { taints = [], unschedulable } = node.spec ?? {};
  const blocking = taints.filter(({ effect }) => effect === 'NoSchedule' || effect === 'NoExecute');
  const cordon: Taint[] = unschedulable
    ? [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }]
    : [];
  return [...cordon, ...blocking].every((taint) =>
    (spec?.tolerations ?? []).some((one) => tolerates(one, taint)),
  );
}

/** Whether nodeSelector and required node affinity let the pod be there. */
export function wantsNode(spec: PodSpec | undefined, node: Node): boolean {
  const terms =
    spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return (
    selectorOfLabels(spec?.nodeSelector ?? {}).matches(node.metadata?.labels) &&
    (terms?.some((term) => matchesTerm(term, node)) ?? true)
  );
}

export interface NodeSelectorRequirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}
export interface NodeSelectorTerm {
  readonly matchExpressions?: readonly NodeSelectorRequirement[];
  readonly matchFields?: readonly NodeSelectorRequirement[];
}

const OPERATORS: Readonly<Record<string, Requirement['operator']>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
  Gt: 'gt',
  Lt: 'lt',
};

/** A term that asks for nothing matches no node. */
export function matchesTerm(
  { matchExpressions = [], matchFields = [] }: NodeSelectorTerm,
  node: Node,
): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    selectorOf(matchExpressions).matches(node.metadata?.labels) &&
    selectorOf(matchFields).matches({ 'metadata.name': nameOf(node) })
  );
}

const selectorOf = (requirements: readonly NodeSelectorRequirement[]): Selector =>
  new Selector(
    requirements.map(({ key, operator, values = [] }) => ({
      key,
      operator: OPERATORS[operator] ?? 'in',
      values,
    })),
  );
