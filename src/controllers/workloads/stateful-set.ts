/**
 * StatefulSet: pods with stable names, `web-0`, `web-1`, …, whose hostname and subdomain give each a name in the DNS of its
 * headless Service. Volumes are not claimed: claim templates need a storage provisioner, which this cluster does not have.
 */
import { ApiError } from '../../client/client.ts';
import { type ControllerRevision, keyOf, type Pod, type StatefulSet } from '../../kube/objects.ts';
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
import { availableIn, isAvailable, isFinished, isReady } from '../pods.ts';
import { sameJson } from '../same-json.ts';
import { claim } from './claim.ts';
import { type History, StatefulSetHistory, templateOf } from './stateful-set-history.ts';
import { planStatefulSet, type Replica, type StatefulSetGoal } from './stateful-set-plan.ts';

const REVISION = 'controller-revision-hash';

export function startStatefulSets(context: Context): void {
  const { client, informers, clock } = context;
  const writes = new OwnWrites(informers.pods);
  const histories = new StatefulSetHistory(context);
  const events = recorderOf(context, 'statefulset-controller');
  const queue = queueOf(context, 'statefulset', sync, 4);

  informers.statefulsets.subscribe({
    added: (set) => queue.add(keyOf(set)),
    updated: (set) => queue.add(keyOf(set)),
  });
  informers.pods.subscribe({ added: wake, updated: wake, deleted: wake });

  function wake(pod: Pod): void {
    const owner = controllerOf(pod);
    if (owner?.kind === 'StatefulSet') queue.add(`${namespaceOf(pod)}/${owner.name}`);
    // An orphan with the name of one of a set's pods stands in its way until it is adopted or gone.
    else if (owner === undefined) queue.add(`${namespaceOf(pod)}/${nameOf(pod).replace(/-\d+$/, '')}`);
  }

  async function sync(key: string): Promise<void> {
    await Promise.all([
      informers.pods.synced,
      informers.statefulsets.synced,
      informers.controllerrevisions.synced,
    ]);
    const set = informers.statefulsets.get(key);
    if (set === undefined || isDeleting(set)) return;
    const pods = await claim({
      client,
      owner: set,
      ownerResource: RESOURCES.statefulsets,
      resource: RESOURCES.pods,
      informer: informers.pods,
      writes,
      adopts: (pod) => ordinalOf(set, pod) !== undefined,
    });
    const history = await histories.note(set);
    const goal = goalOf(set, history);
    const replicas = pods.flatMap((pod) => replicaOf(set, pod, clock.now()));
    const { create, remove } = planStatefulSet(goal, replicas);
    await Promise.all([
      ...create.map((ordinal) =>
        createPod(set, ordinal, isOld(goal, ordinal) ? history.current : history.update),
      ),
      ...remove.map((ordinal) => deletePod(set, pods, ordinal)),
    ]);
    await writeStatus(set, pods, goal);
    await histories.prune(
      set,
      new Set([nameOf(history.current), nameOf(history.update), ...pods.map(revisionIn)]),
    );
  }

  async function createPod(set: StatefulSet, ordinal: number, revision: ControllerRevision): Promise<void> {
    const name = `${nameOf(set)}-${ordinal}`;
    try {
      writes.put(await client.create<Pod>(RESOURCES.pods, podOf(set, ordinal, revision), namespaceOf(set)));
      events.event(
        set,
        'Normal',
        'SuccessfulCreate',
        `create Pod ${name} in StatefulSet ${nameOf(set)} successful`,
      );
    } catch (error) {
      if (isNamespaceEnding(error)) throw error;
      const why = error instanceof Error ? error.message : String(error);
      const message = `create Pod ${name} in StatefulSet ${nameOf(set)} failed error: ${why}`;
      events.event(set, 'Warning', 'FailedCreate', message);
      throw error;
    }
  }

  async function deletePod(set: StatefulSet, pods: readonly Pod[], ordinal: number): Promise<void> {
    const pod = pods.find((one) => ordinalOf(set, one) === ordinal);
    if (pod === undefined) return;
    try {
      const { uid } = pod.metadata ?? {};
      await client.delete(
        RESOURCES.pods,
        keyPartsOf(pod),
        uid === undefined ? {} : { preconditions: { uid } },
      );
      // Its name stays taken until it is gone, so the pod is not dropped here: the watch tells.
      const message = `delete Pod ${nameOf(pod)} in StatefulSet ${nameOf(set)} successful`;
      events.event(set, 'Normal', 'SuccessfulDelete', message);
    } catch (error) {
      if (!ApiError.is(error, 'NotFound')) throw error;
    }
  }

  async function writeStatus(set: StatefulSet, pods: readonly Pod[], goal: StatefulSetGoal): Promise<void> {
    const minReady = set.spec?.minReadySeconds ?? 0;
    const waits = pods.map((pod) => availableIn(pod, minReady, clock.now()) ?? 0).filter((wait) => wait > 0);
    if (waits.length > 0) queue.addAfter(keyOf(set), Math.min(...waits));
    const status = statusOf(set, pods, goal, clock.now());
    const { collisionCount, conditions, ...before } = set.status ?? {};
    if (sameJson({ ...zeroStatus, ...before }, status)) return;
    try {
      await client.patch(RESOURCES.statefulsets, keyPartsOf(set), 'merge', { status }, 'status');
    } catch (error) {
      if (!ApiError.is(error, 'NotFound')) throw error;
    }
  }
}

/** A server may leave out what is zero. */
const zeroStatus = {
  replicas: 0,
  readyReplicas: 0,
  availableReplicas: 0,
  currentReplicas: 0,
  updatedReplicas: 0,
  observedGeneration: 0,
};

function statusOf(set: StatefulSet, pods: readonly Pod[], goal: StatefulSetGoal, now: number) {
  const living = pods.filter((pod) => !isFinished(pod));
  const at = (revision: string) =>
    living.filter((pod) => !isDeleting(pod) && revisionIn(pod) === revision).length;
  const available = living.filter((pod) => isAvailable(pod, set.spec?.minReadySeconds ?? 0, now)).length;
  const updated = at(goal.updateRevision);
  const ready = living.filter(isReady).length;
  const isComplete = [updated, ready, living.length].every((count) => count === goal.replicas);
  const before = set.status?.currentRevision;
  const currentRevision = isComplete || before === undefined ? goal.updateRevision : before;
  return {
    replicas: living.length,
    readyReplicas: ready,
    availableReplicas: available,
    currentReplicas: at(currentRevision),
    updatedReplicas: updated,
    currentRevision,
    updateRevision: goal.updateRevision,
    observedGeneration: set.metadata?.generation ?? 0,
  };
}

function goalOf(set: StatefulSet, { update }: History): StatefulSetGoal {
  const { replicas = 1, ordinals, podManagementPolicy, updateStrategy } = set.spec ?? {};
  const rolling = updateStrategy?.type !== 'OnDelete';
  return {
    start: ordinals?.start ?? 0,
    replicas,
    parallel: podManagementPolicy === 'Parallel',
    updateRevision: nameOf(update),
    partition: rolling ? (updateStrategy?.rollingUpdate?.partition ?? 0) : undefined,
  };
}

const revisionIn = (pod: Pod): string => pod.metadata?.labels?.[REVISION] ?? '';

/** Below the partition a pod is made anew as it was. */
const isOld = ({ start, partition = 0 }: StatefulSetGoal, ordinal: number): boolean =>
  ordinal < start + partition;

/** The number at the end of the pod's name, if the rest is the set's name. */
export function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const [, parent, ordinal] = /^(.*)-(0|[1-9]\d*)$/.exec(nameOf(pod)) ?? [];
  return parent === nameOf(set) ? Number(ordinal) : undefined;
}

function replicaOf(set: StatefulSet, pod: Pod, now: number): Replica[] {
  const ordinal = ordinalOf(set, pod);
  if (ordinal === undefined) return [];
  return [
    {
      ordinal,
      revision: revisionIn(pod),
      terminating: isDeleting(pod),
      finished: isFinished(pod),
      available: isAvailable(pod, set.spec?.minReadySeconds ?? 0, now),
    },
  ];
}

export function podOf(set: StatefulSet, ordinal: number, revision: ControllerRevision): Pod {
  const { metadata, spec } = templateOf(revision);
  const name = `${nameOf(set)}-${ordinal}`;
  const subdomain = set.spec?.serviceName;
  return {
    metadata: {
      ...metadata,
      name,
      generateName: `${nameOf(set)}-`,
      namespace: namespaceOf(set),
      labels: {
        ...metadata?.labels,
        'statefulset.kubernetes.io/pod-name': name,
        'apps.kubernetes.io/pod-index': String(ordinal),
        [REVISION]: nameOf(revision),
      },
      ownerReferences: [controllerReference(set, RESOURCES.statefulsets)],
    },
    ...(spec === undefined ? {} : { spec: { ...spec, hostname: name, ...(subdomain ? { subdomain } : {}) } }),
  };
}
