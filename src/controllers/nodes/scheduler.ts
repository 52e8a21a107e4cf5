/** Scheduler: binds each new pod to a node, or says in an event and a condition why it cannot. */
import { ApiError } from '../../client/client.ts';
import { timeOf } from '../../client/clock.ts';
import { keyOf, type Node, type Pod } from '../../kube/objects.ts';
import { pathOf, RESOURCES } from '../../kube/resources.ts';
import { hasSelector } from '../../kube/service-endpoints.ts';
import { BY_NAMESPACE, BY_NODE, type Context, queueOf, recorderOf } from '../context.ts';
import { isDeleting, keyPartsOf, nameOf, namespaceOf, uidOf } from '../metadata.ts';
import { conditionOf, isFinished } from '../pods.ts';
import { sameJson } from '../same-json.ts';
import { isSubset } from '../selector.ts';
import { type Candidate, fitError, schedule } from './scheduling.ts';

const SCHEDULER = 'default-scheduler';
/** After a binding that the server refused. */
const REFUSED_MS = 100;

export function startScheduler(context: Context): void {
  const { client, informers, clock } = context;
  const events = recorderOf(context, SCHEDULER);
  // One at a time: each decision must know the one before. Binding is the server's time, and many go on at once.
  const queue = queueOf(context, 'scheduler', sync, 1);
  const bindings = queueOf(context, 'binding', bind, 32);
  /** Pods bound by us whose nodeName the watch has yet to tell, by uid. */
  const assumed = new Map<string, { readonly pod: Pod; readonly node: string }>();
  /** Keys of pods no node took; they are tried again when a node or the pods on one change. */
  const waiting = new Set<string>();

  informers.pods.subscribe({
    added: (pod) => (isMine(pod) ? queue.add(keyOf(pod)) : settle(pod)),
    updated: (pod, old) => {
      if (!isMine(pod)) settle(pod);
      else if (!sameJson(pod.spec, old.spec) || !isMine(old)) queue.add(keyOf(pod));
      if (isFinished(pod) && !isFinished(old)) retry();
    },
    deleted: (pod) => {
      settle(pod);
      retry();
    },
  });
  informers.nodes.subscribe({
    added: retry,
    updated: (node, old) => {
      if (!sameJson(factsOf(node), factsOf(old))) retry();
    },
  });

  function settle(pod: Pod): void {
    assumed.delete(uidOf(pod));
    waiting.delete(keyOf(pod));
  }

  function retry(): void {
    for (const key of waiting) queue.add(key);
    waiting.clear();
  }

  async function sync(key: string): Promise<void> {
    await Promise.all([informers.pods.synced, informers.nodes.synced, informers.services.synced]);
    const pod = informers.pods.get(key);
    if (pod === undefined || !isMine(pod) || isDeleting(pod) || assumed.has(uidOf(pod))) return;
    const candidates = candidatesOf();
    const selectors = informers.services
      .lookup(BY_NAMESPACE, namespaceOf(pod))
      .filter((one) => hasSelector(one) && isSubset(one.spec?.selector ?? {}, pod.metadata?.labels ?? {}))
      .map((service) => service.spec?.selector ?? {});
    const decision = schedule(pod, candidates, selectors);
    if ('node' in decision) {
      assumed.set(uidOf(pod), { pod, node: decision.node });
      bindings.add(uidOf(pod));
    } else await refuse(pod, fitError(candidates.length, decision.reasons));
  }

  function candidatesOf(): Candidate[] {
    const coming = Map.groupBy(assumed.values(), ({ node }) => node);
    return [...informers.nodes.values()].map((node) => {
      const name = nameOf(node);
      const there = informers.pods.lookup(BY_NODE, name).filter((pod) => !isFinished(pod));
      return { node, pods: [...there, ...(coming.get(name) ?? []).map(({ pod }) => pod)] };
    });
  }

  async function bind(uid: string): Promise<void> {
    const decided = assumed.get(uid);
    if (decided === undefined) return;
    const { pod, node } = decided;
    try {
      await client.request('POST', pathOf(RESOURCES.pods, namespaceOf(pod), nameOf(pod), 'binding'), {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name: nameOf(pod), namespace: namespaceOf(pod), uid },
        target: { apiVersion: 'v1', kind: 'Node', name: node },
      });
    } catch (error) {
      assumed.delete(uid);
      if (ApiError.is(error, 'NotFound')) return;
      // The node may be the reason: decide anew.
      queue.addAfter(keyOf(pod), REFUSED_MS);
      throw error;
    }
    // The watch may have told it before the answer came.
    if (informers.pods.get(keyOf(pod))?.spec?.nodeName !== undefined) assumed.delete(uid);
    events.event(pod, 'Normal', 'Scheduled', `Successfully assigned ${keyOf(pod)} to ${node}`);
  }

  async function refuse(pod: Pod, message: string): Promise<void> {
    waiting.add(keyOf(pod));
    events.event(pod, 'Warning', 'FailedScheduling', message);
    const before = conditionOf(pod, 'PodScheduled');
    if (before?.status === 'False' && before.message === message) return;
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime: before?.status === 'False' ? before.lastTransitionTime : timeOf(clock.now()),
    };
    const body = { status: { conditions: [condition] } };
    try {
      await client.patch(RESOURCES.pods, keyPartsOf(pod), 'strategic', body, 'status');
    } catch (error) {
      if (!ApiError.is(error, 'NotFound')) throw error;
    }
  }
}

/** Waits for this scheduler: not bound, not finished, no scheduling gate (KEP-3521). */
const isMine = (pod: Pod): boolean =>
  (pod.spec?.nodeName ?? '') === '' &&
  (pod.spec?.schedulerName ?? SCHEDULER) === SCHEDULER &&
  (pod.spec?.schedulingGates ?? []).length === 0 &&
  !isFinished(pod);

/** What of a node decides whether pods fit, without its heartbeats. */
const factsOf = (node: Node) => [
  node.metadata?.labels,
  node.spec,
  node.status?.allocatable,
  node.status?.conditions?.map(({ type, status }) => [type, status]),
];
