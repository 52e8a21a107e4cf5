/**
 * Where a pod goes. Pure: nodes and pods in, a node or the reasons against each out.
 *
 * Promises: a node is chosen only if every filter passes; reasons are in upstream's words, so that what people search for is
 * found; the same input gives the same node.
 * Refuses: preemption, volumes, topology spread constraints, affinity between pods. A pod that needs a storage class waits for ever
 * upstream too; the other three are preferences here, served by spreading.
 */

import { matchesTerm, type Taint, tolerates, wantsNode } from '../../kube/node-fit.ts';
import { keyOf, type Node, type Pod, type PodSpec } from '../../kube/objects.ts';
import { parseQuantity } from '../../kube/quantity.ts';
import type { Labels } from '../../kube/selectors.ts';
import { controllerOf, nameOf, namespaceOf } from '../metadata.ts';
import { isSubset } from '../selector.ts';

/** A node with the pods that are on it or on their way to it. */
export interface Candidate {
  readonly node: Node;
  readonly pods: readonly Pod[];
}

export type Decision =
  | { readonly node: string }
  /** How many nodes were refused for each reason. */
  | { readonly reasons: ReadonlyMap<string, number> };

/** `selectors` are those of the Services that select the pod: its peers are spread over the nodes. */
export function schedule(
  pod: Pod,
  candidates: readonly Candidate[],
  selectors: readonly Labels[] = [],
): Decision {
  const reasons = new Map<string, number>();
  const fitting: Candidate[] = [];
  for (const candidate of candidates) {
    const against = reasonsAgainst(pod, candidate);
    if (against.length === 0) fitting.push(candidate);
    for (const reason of against) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  const best = fitting
    .map((candidate) => ({ candidate, score: scoreOf(pod, candidate, selectors) }))
    .toSorted(
      (a, b) => compare(a.score, b.score) || (nameOf(a.candidate.node) < nameOf(b.candidate.node) ? -1 : 1),
    )[0];
  return best === undefined ? { reasons } : { node: nameOf(best.candidate.node) };
}

/** The message of FailedScheduling and of the condition PodScheduled (framework.FitError). */
export function fitError(count: number, reasons: ReadonlyMap<string, number>): string {
  if (count === 0) return 'no nodes available to schedule pods';
  const histogram = [...reasons].map(([reason, times]) => `${times} ${reason}`).toSorted();
  return `0/${count} nodes are available: ${histogram.join(', ')}.`;
}

/** Why the node cannot take the pod: all reasons of the first filter that refuses. */
export function reasonsAgainst(pod: Pod, { node, pods }: Candidate): string[] {
  const filters = [byNodeName, byTaints, byAffinity, byPorts, byResources];
  for (const filter of filters) {
    const reasons = filter(pod, node, pods);
    if (reasons.length > 0) return reasons;
  }
  return [];
}

type Filter = (pod: Pod, node: Node, pods: readonly Pod[]) => string[];

const byNodeName: Filter = ({ spec }, node) =>
  spec?.nodeName && spec.nodeName !== nameOf(node) ? ["node(s) didn't match the requested node name"] : [];

const byTaints: Filter = ({ spec }, node) => {
  const taint = taintsOf(node).find((one) => !(spec?.tolerations ?? []).some((it) => tolerates(it, one)));
  if (taint === undefined) return [];
  if (taint.key === UNSCHEDULABLE) return ['node(s) were unschedulable'];
  return [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`];
};

export const NOT_READY = 'node.kubernetes.io/not-ready';
export const UNREACHABLE = 'node.kubernetes.io/unreachable';
export const UNSCHEDULABLE = 'node.kubernetes.io/unschedulable';

/** The taints that keep pods away, with those its state calls for and the node controller has yet to write. */
function taintsOf(node: Node): Taint[] {
  const { taints = [], unschedulable } = node.spec ?? {};
  const isReady = node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  const blocking = taints.filter(({ effect }) => effect === 'NoSchedule' || effect === 'NoExecute');
  const has = (key: string) => blocking.some((taint) => taint.key === key);
  return [
    ...(unschedulable && !has(UNSCHEDULABLE) ? [{ key: UNSCHEDULABLE, effect: 'NoSchedule' }] : []),
    ...blocking,
    ...(isReady || has(NOT_READY) || has(UNREACHABLE) ? [] : [{ key: NOT_READY, effect: 'NoSchedule' }]),
  ];
}

const byAffinity: Filter = ({ spec }, node) =>
  wantsNode(spec, node) ? [] : ["node(s) didn't match Pod's node affinity/selector"];

const byPorts: Filter = (pod, _node, pods) => {
  const taken = pods.flatMap(hostPortsOf);
  const isTaken = hostPortsOf(pod).some((one) => taken.some((other) => collide(one, other)));
  return isTaken ? ["node(s) didn't have free ports for the requested pod ports"] : [];
};

interface HostPort {
  readonly port: number;
  readonly protocol: string;
  readonly ip: string;
}

const hostPortsOf = ({ spec }: Pod): HostPort[] =>
  (spec?.containers ?? [])
    .flatMap(({ ports = [] }) => ports)
    .flatMap(({ hostPort, protocol = 'TCP', hostIP = '' }) =>
      hostPort ? [{ port: hostPort, protocol, ip: hostIP }] : [],
    );

const isAny = (ip: string): boolean => ip === '' || ip === '0.0.0.0' || ip === '::';

const collide = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || isAny(a.ip) || isAny(b.ip));

const byResources: Filter = (pod, node, pods) => {
  const allocatable = node.status?.allocatable ?? node.status?.capacity ?? {};
  const reasons: string[] = [];
  if (allocatable.pods !== undefined && pods.length + 1 > Number(allocatable.pods))
    reasons.push('Too many pods');
  const wanted = requestsOf(pod);
  for (const [resource, amount] of wanted) {
    // A node that does not say how much it has of cpu and memory is not held to it.
    const limit = allocatable[resource];
    if (limit === undefined && (resource === 'cpu' || resource === 'memory')) continue;
    const used = pods.reduce((sum, other) => sum + (requestsOf(other).get(resource) ?? 0n), 0n);
    if (amount > 0n && used + amount > parseQuantity(limit ?? 0).nano)
      reasons.push(`Insufficient ${resource}`);
  }
  return reasons;
};

const requestCache = new WeakMap<PodSpec, ReadonlyMap<string, bigint>>();

/** What a pod asks for, in billionths: the sum of its containers, or of its largest init container if that is more. */
export function requestsOf({ spec }: Pod): ReadonlyMap<string, bigint> {
  if (spec === undefined) return new Map();
  const known = requestCache.get(spec);
  if (known !== undefined) return known;
  const total = new Map<string, bigint>();
  const each = (container: PodSpec['containers'][number], add: (name: string, amount: bigint) => void) => {
    for (const [name, text] of Object.entries(container.resources?.requests ?? {}))
      add(name, parseQuantity(text).nano);
  };
  for (const container of spec.containers) {
    each(container, (name, amount) => total.set(name, (total.get(name) ?? 0n) + amount));
  }
  for (const container of spec.initContainers ?? []) {
    each(container, (name, amount) => {
      if (amount > (total.get(name) ?? 0n)) total.set(name, amount);
    });
  }
  requestCache.set(spec, total);
  return total;
}

/** Lower is better: preferred nodes, then peers of the pod on the node, then pods on it, then the cpu asked for. */
function scoreOf(pod: Pod, { node, pods }: Candidate, selectors: readonly Labels[]): readonly number[] {
  const cpu = pods.reduce((sum, other) => sum + (requestsOf(other).get('cpu') ?? 0n), 0n);
  return [
    avoided(pod, node),
    -preference(pod, node),
    pods.filter((other) => arePeers(pod, other, selectors)).length,
    pods.length,
    Number(cpu / 1_000_000n),
  ];
}

/** Taints with the effect PreferNoSchedule that the pod does not tolerate. */
const avoided = ({ spec }: Pod, node: Node): number =>
  (node.spec?.taints ?? [])
    .filter(({ effect }) => effect === 'PreferNoSchedule')
    .filter((taint) => !(spec?.tolerations ?? []).some((one) => tolerates(one, taint))).length;

const preference = ({ spec }: Pod, node: Node): number =>
  (spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
    .filter(({ preference: term }) => matchesTerm(term, node))
    .reduce((sum, { weight }) => sum + weight, 0);

/** Of one controller, or behind one Service. */
function arePeers(pod: Pod, other: Pod, selectors: readonly Labels[]): boolean {
  if (namespaceOf(pod) !== namespaceOf(other) || keyOf(pod) === keyOf(other)) return false;
  const owner = controllerOf(pod)?.uid;
  if (owner !== undefined && owner === controllerOf(other)?.uid) return true;
  return selectors.some((selector) => isSubset(selector, other.metadata?.labels ?? {}));
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [at, value] of a.entries()) {
    const order = value - (b[at] ?? 0);
    if (order !== 0) return order;
  }
  return 0;
}
