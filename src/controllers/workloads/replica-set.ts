/**
 * ReplicaSet: keeps `spec.replicas` pods of the template. Creation starts slowly (1, 2, 4, …), so that a template the server
 * refuses is not refused five hundred times.
 */
import { ApiError } from '../../client/client.ts';
import { timeOf } from '../../client/clock.ts';
import { keyOf, type Pod, type ReplicaSet } from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import { type Context, queueOf, recorderOf } from '../context.ts';
import {
  controllerOf,
  controllerReference,
  isDeleting,
  keyPartsOf,
  nameOf,
  namespaceOf,
} from '../metadata.ts';
import { isNamespaceEnding } from '../namespace-ending.ts';
import { OwnWrites } from '../own-writes.ts';
import { availableIn, isActive, isReady } from '../pods.ts';
import { randomName, sameJson } from '../same-json.ts';
import { selects } from '../selector.ts';
import { claim } from './claim.ts';
import { rankForDeletion } from './rank.ts';

/** Deletions under way at the same time. */
const BURST = 500;

export function startReplicaSets(context: Context): void {
  const { client, informers, clock, random } = context;
  const writes = new OwnWrites(informers.pods);
  const events = recorderOf(context, 'replicaset-controller');
  const queue = queueOf(context, 'replicaset', sync, 8);

  informers.replicasets.subscribe({
    added: (set) => queue.add(keyOf(set)),
    updated: (set) => queue.add(keyOf(set)),
  });
  informers.pods.subscribe({ added: wake, updated: (pod, old) => wake(pod, old), deleted: wake });

  function wake(pod: Pod, old?: Pod): void {
    for (const one of old === undefined ? [pod] : [pod, old]) {
      const owner = controllerOf(one);
      if (owner?.kind === 'ReplicaSet') queue.add(`${namespaceOf(one)}/${owner.name}`);
    }
    if (controllerOf(pod) !== undefined || isDeleting(pod)) return;
    // An orphan is looked at when it appears or its labels change, not with each of its status updates.
    if (old !== undefined && sameJson(identityOf(pod), identityOf(old))) return;
    for (const set of informers.replicasets.values()) {
      const mayAdopt =
        namespaceOf(set) === namespaceOf(pod) && selects(set.spec?.selector, pod.metadata?.labels);
      if (mayAdopt) queue.add(keyOf(set));
    }
  }

  async function sync(key: string): Promise<void> {
    await Promise.all([informers.pods.synced, informers.replicasets.synced]);
    const set = informers.replicasets.get(key);
    if (set === undefined) return;
    const owned = await claim({
      client,
      owner: set,
      ownerResource: RESOURCES.replicasets,
      resource: RESOURCES.pods,
      informer: informers.pods,
      writes,
      adopts: isActive,
    });
    const pods = owned.filter(isActive);
    let failure: unknown;
    if (!isDeleting(set)) failure = await manage(set, pods).catch((error: unknown) => error);
    // As upstream: the status tells of the pods seen before this sync's writes; those wake it again.
    await writeStatus(set, pods, failure);
    if (failure !== undefined) throw failure;
  }

  async function manage(set: ReplicaSet, pods: readonly Pod[]): Promise<void> {
    const missing = (set.spec?.replicas ?? 1) - pods.length;
    if (missing > 0) await createPods(set, missing);
    else if (missing < 0) await deletePods(set, pods, -missing);
  }

  async function createPods(set: ReplicaSet, count: number): Promise<void> {
    for (let done = 0, batch = 1; done < count; batch *= 2) {
      const now = Math.min(batch, count - done);
      const results = await Promise.allSettled(Array.from({ length: now }, () => createPod(set)));
      const refused = results.find((result) => result.status === 'rejected');
      if (refused !== undefined) throw refused.reason;
      done += now;
    }
  }

  async function createPod(set: ReplicaSet): Promise<void> {
    try {
      const pod = await client.create<Pod>(RESOURCES.pods, podOf(set, random), namespaceOf(set));
      writes.put(pod);
      events.event(set, 'Normal', 'SuccessfulCreate', `Created pod: ${nameOf(pod)}`);
    } catch (error) {
      if (isNamespaceEnding(error)) throw error;
      const message = error instanceof Error ? error.message : String(error);
      events.event(set, 'Warning', 'FailedCreate', `Error creating: ${message}`);
      throw error;
    }
  }

  async function deletePods(set: ReplicaSet, pods: readonly Pod[], count: number): Promise<void> {
    const chosen = rankForDeletion(pods, clock.now()).slice(0, Math.min(count, BURST));
    await Promise.all(chosen.map((pod) => deletePod(set, pod)));
  }

  async function deletePod(set: ReplicaSet, pod: Pod): Promise<void> {
    try {
      const { uid } = pod.metadata ?? {};
      await client.delete(
        RESOURCES.pods,
        keyPartsOf(pod),
        uid === undefined ? {} : { preconditions: { uid } },
      );
      writes.drop(pod);
      events.event(set, 'Normal', 'SuccessfulDelete', `Deleted pod: ${nameOf(pod)}`);
    } catch (error) {
      if (!ApiError.is(error, 'NotFound')) throw error;
    }
  }

  async function writeStatus(set: ReplicaSet, pods: readonly Pod[], failure: unknown): Promise<void> {
    const minReady = set.spec?.minReadySeconds ?? 0;
    const waits = pods.map((pod) => availableIn(pod, minReady, clock.now()));
    const status = {
      replicas: pods.length,
      fullyLabeledReplicas: pods.filter((pod) => hasTemplateLabels(set, pod)).length,
      readyReplicas: pods.filter(isReady).length,
      availableReplicas: waits.filter((wait) => wait === 0).length,
      observedGeneration: set.metadata?.generation ?? 0,
      conditions: conditionsOf(set, failure, clock.now()),
    };
    const next = waits.filter((wait) => wait !== undefined && wait > 0);
    if (next.length > 0) queue.addAfter(keyOf(set), Math.min(...next.map(Number)));
    if (sameJson({ ...zeroStatus, ...set.status }, status)) return;
    try {
      await client.patch(RESOURCES.replicasets, keyPartsOf(set), 'merge', { status }, 'status');
    } catch (error) {
      if (!ApiError.is(error, 'NotFound')) throw error;
    }
  }
}

const identityOf = ({ metadata }: Pod) => [metadata?.labels, metadata?.ownerReferences];

/** A server may leave out what is zero or empty. */
const zeroStatus = {
  replicas: 0,
  fullyLabeledReplicas: 0,
  readyReplicas: 0,
  availableReplicas: 0,
  observedGeneration: 0,
  conditions: [],
};

function conditionsOf(set: ReplicaSet, failure: unknown, now: number) {
  const others = (set.status?.conditions ?? []).filter(({ type }) => type !== 'ReplicaFailure');
  if (failure === undefined) return others;
  const known = set.status?.conditions?.find(({ type }) => type === 'ReplicaFailure');
  const message = failure instanceof Error ? failure.message : String(failure);
  return [
    ...others,
    {
      type: 'ReplicaFailure',
      status: 'True',
      reason: 'FailedCreate',
      message,
      lastTransitionTime: known?.lastTransitionTime ?? timeOf(now),
    },
  ];
}

const hasTemplateLabels = (set: ReplicaSet, pod: Pod): boolean =>
  Object.entries(set.spec?.template?.metadata?.labels ?? {}).every(
    ([key, value]) => pod.metadata?.labels?.[key] === value,
  );

/** A pod of the template. Its name is chosen here, as generateName would choose it. */
export function podOf(set: ReplicaSet, random: () => number): Pod {
  const { metadata, spec } = set.spec?.template ?? {};
  return {
    metadata: {
      ...metadata,
      name: `${nameOf(set).slice(0, 57)}-${randomName(random)}`,
      generateName: `${nameOf(set)}-`,
      namespace: namespaceOf(set),
      ownerReferences: [controllerReference(set, RESOURCES.replicasets)],
    },
    ...(spec === undefined ? {} : { spec }),
  };
}
