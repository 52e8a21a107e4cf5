/**
 * Node: a kubelet that has not renewed its lease for 40 s is taken for gone: its node's conditions become Unknown, the node is
 * tainted, and its pods are no longer ready, so that no Service sends anybody there.
 */
import { ApiError } from '../../client/client.ts';
import { timeOf } from '../../client/clock.ts';
import type { Taint } from '../../kube/node-fit.ts';
import type { Lease, Node, Pod } from '../../kube/objects.ts';
import { keyOf } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import { BY_NODE, type Context, queueOf, recorderOf } from '../context.ts';
import { isDeleting, keyPartsOf, nameOf } from '../metadata.ts';
import { conditionOf, isFinished, isReady } from '../pods.ts';
import { sameJson } from '../same-json.ts';
import { NOT_READY, UNREACHABLE, UNSCHEDULABLE } from './scheduling.ts';

/** Upstream's node-monitor-grace-period. */
export const GRACE_MS = 40_000;
const LEASES = 'kube-node-lease';
type Condition = NonNullable<NonNullable<Node['status']>['conditions']>[number];

export function startNodeLifecycle(context: Context): void {
  const { client, informers, clock } = context;
  const events = recorderOf(context, 'node-controller');
  const queue = queueOf(context, 'node', sync, 4);
  /** When each kubelet was last heard of, by our clock: theirs may differ. */
  const heard = new Map<string, number>();

  informers.nodes.subscribe({
    added: (node) => hear(nameOf(node)),
    updated: (node, old) => {
      const beat = (one: Node) => readyOf(one)?.lastHeartbeatTime;
      if (beat(node) !== beat(old) && readyOf(node)?.status !== 'Unknown') hear(nameOf(node));
      const facts = (one: Node) => [one.spec, readyOf(one)?.status];
      if (!sameJson(facts(node), facts(old))) queue.add(nameOf(node));
    },
    deleted: (node) => heard.delete(nameOf(node)),
  });
  informers.leases.subscribe({
    updated: (lease, old) => {
      if (isNodeLease(lease) && lease.spec?.renewTime !== old.spec?.renewTime) hear(nameOf(lease));
    },
  });
  // A pod of a silent node cannot say so itself.
  informers.pods.subscribe({
    updated: (pod) => {
      const { nodeName } = pod.spec ?? {};
      if (nodeName !== undefined && isReady(pod) && isSilent(nodeName)) queue.add(nodeName);
    },
  });

  function hear(name: string): void {
    const before = heard.get(name);
    heard.set(name, clock.now());
    const wasSilent = before !== undefined && clock.now() - before >= GRACE_MS;
    if (before === undefined || wasSilent) queue.add(name);
    else queue.addAfter(name, GRACE_MS);
  }

  const isSilent = (name: string): boolean => clock.now() - (heard.get(name) ?? clock.now()) >= GRACE_MS;

  async function sync(name: string): Promise<void> {
    await Promise.all([informers.nodes.synced, informers.leases.synced, informers.pods.synced]);
    const node = informers.nodes.get(name);
    if (node === undefined || isDeleting(node)) return;
    const silent = isSilent(name);
    if (!silent) queue.addAfter(name, Math.max(1, (heard.get(name) ?? clock.now()) + GRACE_MS - clock.now()));
    const judged = silent ? await markUnknown(node) : node;
    await writeTaints(judged);
    if (readyOf(judged)?.status !== 'True') await markPods(judged);
  }

  async function markUnknown(node: Node): Promise<Node> {
    const before = node.status?.conditions ?? [];
    const now = timeOf(clock.now());
    const unknown = (type: string): Condition => {
      const known = before.find((condition) => condition.type === type);
      const never = known === undefined;
      return {
        ...known,
        type,
        status: 'Unknown',
        reason: never ? 'NodeStatusNeverUpdated' : 'NodeStatusUnknown',
        message: never ? 'Kubelet never posted node status.' : 'Kubelet stopped posting node status.',
        lastTransitionTime: known?.status === 'Unknown' ? (known.lastTransitionTime ?? now) : now,
      };
    };
    const types = ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready'];
    const isMarked = types.every((type) => before.find((one) => one.type === type)?.status === 'Unknown');
    if (isMarked) return node;
    events.event(node, 'Normal', 'NodeNotReady', `Node ${nameOf(node)} status is now: NodeNotReady`);
    const body = { status: { conditions: types.map(unknown) } };
    return client.patch<Node>(RESOURCES.nodes, { name: nameOf(node) }, 'strategic', body, 'status');
  }

  async function writeTaints(node: Node): Promise<void> {
    const taints = taintsFor(node, timeOf(clock.now()));
    if (sameJson(taints, node.spec?.taints ?? [])) return;
    const { resourceVersion } = node.metadata ?? {};
    const body = { metadata: { resourceVersion }, spec: { taints } };
    await client.patch(RESOURCES.nodes, { name: nameOf(node) }, 'merge', body);
  }

  async function markPods(node: Node): Promise<void> {
    const pods = informers.pods
      .lookup(BY_NODE, nameOf(node))
      .filter((pod) => isReady(pod) && !isFinished(pod));
    await Promise.all(pods.map(markPod));
  }

  async function markPod(pod: Pod): Promise<void> {
    const ready = conditionOf(pod, 'Ready');
    const condition = { ...ready, type: 'Ready', status: 'False', lastTransitionTime: timeOf(clock.now()) };
    try {
      const body = { status: { conditions: [condition] } };
      await client.patch(RESOURCES.pods, keyPartsOf(pod), 'strategic', body, 'status');
      events.event(pod, 'Warning', 'NodeNotReady', 'Node is not ready');
    } catch (error) {
      if (!ApiError.is(error, 'NotFound')) throw error;
    }
  }
}

const readyOf = (node: Node): Condition | undefined =>
  node.status?.conditions?.find(({ type }) => type === 'Ready');

const isNodeLease = (lease: Lease): boolean => keyOf(lease).startsWith(`${LEASES}/`);

const OURS = new Set([NOT_READY, UNREACHABLE, UNSCHEDULABLE]);

/** The node's taints with those its state calls for: NoSchedule at once, NoExecute for what is not ready (KEP-1592). */
export function taintsFor(node: Node, now: string): Taint[] {
  const before = node.spec?.taints ?? [];
  const ready = readyOf(node)?.status;
  const state =
    ready === 'True' ? undefined : ready === 'False' || ready === undefined ? NOT_READY : UNREACHABLE;
  const wanted: Taint[] = [
    ...(state === undefined ? [] : [{ key: state, effect: 'NoSchedule' }]),
    // A node that has yet to report is not evicted from.
    ...(state === undefined || ready === undefined
      ? []
      : [{ key: state, effect: 'NoExecute', timeAdded: now }]),
    ...(node.spec?.unschedulable ? [{ key: UNSCHEDULABLE, effect: 'NoSchedule' }] : []),
  ];
  const isSame = (a: Taint, b: Taint) => a.key === b.key && a.effect === b.effect;
  const kept = before.filter((taint) => !OURS.has(taint.key) || wanted.some((one) => isSame(one, taint)));
  return [...kept, ...wanted.filter((taint) => !kept.some((one) => isSame(one, taint)))];
}
