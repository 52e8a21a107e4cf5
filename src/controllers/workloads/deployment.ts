/**
 * Deployment: a ReplicaSet for each pod template it has had, and pods moved from the old ones to the newest. The revision
 * annotations are what `kubectl rollout history` and `undo` read.
 */
import { ApiError } from '../../client/client.ts';
import {
  type Deployment,
  keyOf,
  type Pod,
  type PodTemplateSpec,
  type ReplicaSet,
} from '../../kube/objects.ts';
import { RESOURCES } from '../../kube/resources.ts';
import { BY_CONTROLLER, type Context, queueOf, recorderOf } from '../context.ts';
import {
  byAge,
  controllerOf,
  controllerReference,
  isDeleting,
  keyPartsOf,
  nameOf,
  namespaceOf,
  uidOf,
} from '../metadata.ts';
import { OwnWrites } from '../own-writes.ts';
import { isFinished } from '../pods.ts';
import { canonicalJson, hashName, sameJson } from '../same-json.ts';
import { claim } from './claim.ts';
import {
  type Bounds,
  boundsOf,
  growNew,
  type Plan,
  recreate,
  rollingUpdate,
  type SetState,
  scaleProportionally,
} from './deployment-plan.ts';
import { deadlineIn, isComplete, statusOf } from './deployment-status.ts';

const HASH = 'pod-template-hash';
const REVISION = 'deployment.kubernetes.io/revision';
const HISTORY = 'deployment.kubernetes.io/revision-history';
const DESIRED = 'deployment.kubernetes.io/desired-replicas';
const MAX = 'deployment.kubernetes.io/max-replicas';
/** Annotations of a Deployment that are not its ReplicaSets'. */
const OWN = new Set(['kubectl.kubernetes.io/last-applied-configuration', REVISION, HISTORY, DESIRED, MAX]);

/** A Deployment and its ReplicaSets, oldest first. */
interface Rollout {
  readonly deployment: Deployment;
  readonly current: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
  readonly bounds: Bounds;
  readonly found?: { readonly reason: string; readonly message: string };
}

export function startDeployments(context: Context): void {
  const { client, informers, clock } = context;
  const writes = new OwnWrites(informers.replicasets);
  const events = recorderOf(context, 'deployment-controller');
  const queue = queueOf(context, 'deployment', sync, 8);

  informers.deployments.subscribe({
    added: (deployment) => queue.add(keyOf(deployment)),
    updated: (deployment) => queue.add(keyOf(deployment)),
  });
  informers.replicasets.subscribe({ added: wake, updated: wake, deleted: wake });
  // Recreate waits for the last old pod to be gone.
  informers.pods.subscribe({ deleted: wakeByPod });

  function wake(set: ReplicaSet): void {
    const owner = controllerOf(set);
    if (owner?.kind === 'Deployment') queue.add(`${namespaceOf(set)}/${owner.name}`);
  }

  function wakeByPod(pod: Pod): void {
    const owner = controllerOf(pod);
    const set =
      owner === undefined ? undefined : informers.replicasets.get(`${namespaceOf(pod)}/${owner.name}`);
    if (set !== undefined) wake(set);
  }

  async function sync(key: string): Promise<void> {
    await Promise.all([informers.deployments.synced, informers.replicasets.synced, informers.pods.synced]);
    const deployment = informers.deployments.get(key);
    if (deployment === undefined) return;
    const rollout = await readRollout(deployment);
    if (isDeleting(deployment)) return;
    const next = await advance(rollout);
    await writeStatus(next);
  }

  async function readRollout(deployment: Deployment): Promise<Rollout> {
    const sets = await claim({
      client,
      owner: deployment,
      ownerResource: RESOURCES.deployments,
      resource: RESOURCES.replicasets,
      informer: informers.replicasets,
      writes,
    });
    const byDate = sets.toSorted(byAge);
    const current = byDate.find((set) => hasTemplate(set, deployment));
    const { strategy, replicas = 1 } = deployment.spec ?? {};
    const { maxSurge, maxUnavailable } = strategy?.rollingUpdate ?? {};
    const rolling = strategy?.type !== 'Recreate';
    const bounds = rolling
      ? boundsOf(replicas, maxSurge, maxUnavailable)
      : { desired: replicas, maxSurge: 0, maxUnavailable: 0 };
    return { deployment, current, old: byDate.filter((set) => set !== current), bounds };
  }

  /** One step towards what the spec wants; the ReplicaSets' answers bring the next. */
  async function advance(rollout: Rollout): Promise<Rollout> {
    const { deployment } = rollout;
    const rolling = deployment.spec?.strategy?.type !== 'Recreate';
    if (deployment.spec?.paused) return apply(rollout, proportional(rollout, rolling));
    if (isScaling(rollout)) {
      const scaled = await apply(rollout, proportional(rollout, rolling));
      return annotate(await adoptTemplate(scaled));
    }
    if (rolling) {
      const made = await annotate(await adoptTemplate(rollout));
      const moved = await apply(
        made,
        made.current ? rollingUpdate(stateOf(made.current), made.old.map(stateOf), made.bounds) : new Map(),
      );
      return prune(moved);
    }
    const oldPods = hasOldPods(rollout);
    const shrunk = await apply(
      rollout,
      recreate(undefined, rollout.old.map(stateOf), rollout.bounds.desired, oldPods),
    );
    if (oldPods || shrunk.old.some((set) => (set.spec?.replicas ?? 0) > 0)) return shrunk;
    const made = await annotate(await adoptTemplate(shrunk));
    const plan = recreate(made.current && stateOf(made.current), [], made.bounds.desired, false);
    return prune(await apply(made, plan));
  }

  const proportional = ({ current, old, bounds }: Rollout, rolling: boolean): Plan =>
    scaleProportionally(current && stateOf(current), old.map(stateOf), bounds, rolling);

  function hasOldPods({ old }: Rollout): boolean {
    const pods = old.flatMap((set) => informers.pods.lookup(BY_CONTROLLER, uidOf(set)));
    return pods.some((pod) => !isFinished(pod));
  }

  /** The new ReplicaSet, made if the template is new. */
  async function adoptTemplate(rollout: Rollout): Promise<Rollout> {
    const { deployment, current, old } = rollout;
    if (current !== undefined) {
      const before = deployment.status?.conditions?.some(({ type }) => type === 'Progressing');
      if (before && revisionIn(current) >= maxRevision(old)) return rollout;
      const message = `Found new replica set "${nameOf(current)}"`;
      return { ...rollout, found: { reason: 'FoundNewReplicaSet', message } };
    }
    const made = await createSet(rollout);
    const size = made.spec?.replicas ?? 0;
    if (size > 0) tellScaling(deployment, made, 0, size);
    const message = `Created new replica set "${nameOf(made)}"`;
    return { ...rollout, current: made, found: { reason: 'NewReplicaSetCreated', message } };
  }

  async function createSet(rollout: Rollout): Promise<ReplicaSet> {
    const { deployment, old, bounds } = rollout;
    for (let collisions = deployment.status?.collisionCount ?? 0; ; collisions++) {
      const hash = hashName([deployment.spec?.template, ...(collisions === 0 ? [] : [collisions])]);
      const wanted = setOf(
        rollout,
        hash,
        growNew({ name: '', replicas: 0, available: 0 }, old.map(stateOf), bounds),
      );
      try {
        const made = await client.create<ReplicaSet>(RESOURCES.replicasets, wanted, namespaceOf(deployment));
        writes.put(made);
        return made;
      } catch (error) {
        if (!ApiError.is(error, 'AlreadyExists')) throw error;
        const other = await client.get<ReplicaSet>(
          RESOURCES.replicasets,
          nameOf(wanted),
          namespaceOf(deployment),
        );
        // Made by us, and the cache has yet to hear of it; else another template has the same hash.
        if (controllerOf(other)?.uid === uidOf(deployment) && hasTemplate(other, deployment)) {
          writes.put(other);
          return other;
        }
      }
    }
  }

  /** Revision and sizes on the newest ReplicaSet, and the revision on the Deployment. */
  async function annotate(rollout: Rollout): Promise<Rollout> {
    const { deployment, current, old } = rollout;
    if (current === undefined) return rollout;
    const annotations = annotationsOf(deployment, current, old, rollout.bounds);
    const minReadySeconds = deployment.spec?.minReadySeconds ?? 0;
    const isSame =
      Object.entries(annotations).every(([key, value]) => current.metadata?.annotations?.[key] === value) &&
      (current.spec?.minReadySeconds ?? 0) === minReadySeconds;
    const noted = isSame
      ? current
      : await patchSet(current, { metadata: { annotations }, spec: { minReadySeconds } });
    const revision = annotations[REVISION];
    if (deployment.metadata?.annotations?.[REVISION] === revision) return { ...rollout, current: noted };
    const body = { metadata: { annotations: { [REVISION]: revision } } };
    const marked = await client.patch<Deployment>(
      RESOURCES.deployments,
      keyPartsOf(deployment),
      'merge',
      body,
    );
    return { ...rollout, current: noted, deployment: { ...deployment, metadata: marked.metadata ?? {} } };
  }

  async function apply(rollout: Rollout, plan: Plan): Promise<Rollout> {
    const resize = async (set: ReplicaSet): Promise<ReplicaSet> => {
      const replicas = plan.get(nameOf(set)) ?? set.spec?.replicas ?? 0;
      const sizes = sizesOf(rollout.bounds);
      const before = set.spec?.replicas ?? 0;
      const isNoted = set.metadata?.annotations?.[DESIRED] === sizes[DESIRED] || before + replicas === 0;
      if (replicas === before && isNoted) return set;
      const resized = await patchSet(set, { metadata: { annotations: sizes }, spec: { replicas } });
      if (replicas !== before) tellScaling(rollout.deployment, set, before, replicas);
      return resized;
    };
    const current = rollout.current && (await resize(rollout.current));
    const old: ReplicaSet[] = [];
    for (const set of rollout.old) old.push(await resize(set));
    return { ...rollout, current, old };
  }

  async function patchSet(set: ReplicaSet, body: unknown): Promise<ReplicaSet> {
    const patched = await client.patch<ReplicaSet>(RESOURCES.replicasets, keyPartsOf(set), 'merge', body);
    writes.put(patched);
    return patched;
  }

  /** Old ReplicaSets without pods beyond revisionHistoryLimit go, once the rollout is complete. */
  async function prune(rollout: Rollout): Promise<Rollout> {
    const { deployment, old } = rollout;
    const limit = deployment.spec?.revisionHistoryLimit ?? 10;
    if (!isComplete(deployment, statusOf(statusInput(rollout)))) return rollout;
    const idle = old
      .filter((set) => (set.spec?.replicas ?? 0) + (set.status?.replicas ?? 0) === 0 && !isDeleting(set))
      .toSorted((a, b) => revisionIn(a) - revisionIn(b));
    for (const set of idle.slice(0, Math.max(0, idle.length - limit))) {
      await client.delete(RESOURCES.replicasets, keyPartsOf(set), { propagationPolicy: 'Background' });
      writes.drop(set);
    }
    return rollout;
  }

  const statusInput = ({ deployment, current, old, bounds, found }: Rollout) => ({
    deployment,
    current,
    old,
    maxUnavailable: bounds.maxUnavailable,
    found,
    now: clock.now(),
  });

  async function writeStatus(rollout: Rollout): Promise<void> {
    const { deployment } = rollout;
    const status = statusOf(statusInput(rollout));
    const wait = deadlineIn({ ...deployment, status }, clock.now());
    if (wait !== undefined && wait > 0) queue.addAfter(keyOf(deployment), wait + 1);
    const { collisionCount, ...before } = deployment.status ?? {};
    if (sameJson({ ...zeroStatus, ...before }, status)) return;
    try {
      await client.patch(RESOURCES.deployments, keyPartsOf(deployment), 'merge', { status }, 'status');
    } catch (error) {
      if (!ApiError.is(error, 'NotFound')) throw error;
    }
  }

  function tellScaling(deployment: Deployment, set: ReplicaSet, from: number, to: number): void {
    const verb = to > from ? 'up' : 'down';
    const message = `Scaled ${verb} replica set ${nameOf(set)} from ${from} to ${to}`;
    events.event(deployment, 'Normal', 'ScalingReplicaSet', message);
  }
}

/** A server may leave out what is zero or empty. */
const zeroStatus = {
  observedGeneration: 0,
  replicas: 0,
  updatedReplicas: 0,
  readyReplicas: 0,
  availableReplicas: 0,
  unavailableReplicas: 0,
  conditions: [],
};

/** The template without the label that tells the ReplicaSets of a Deployment apart. */
function bareTemplate(template: PodTemplateSpec | undefined): string {
  const { labels, ...metadata } = template?.metadata ?? {};
  const { [HASH]: _hash, ...bare } = labels ?? {};
  return canonicalJson({
    ...template,
    metadata: { ...metadata, creationTimestamp: undefined, labels: bare },
  });
}

const hasTemplate = (set: ReplicaSet, { spec }: Deployment): boolean =>
  bareTemplate(set.spec?.template) === bareTemplate(spec?.template);

function stateOf(set: ReplicaSet): SetState {
  const max = Number(set.metadata?.annotations?.[MAX]);
  return {
    name: nameOf(set),
    replicas: set.spec?.replicas ?? 0,
    available: set.status?.availableReplicas ?? 0,
    ...(max > 0 ? { maxReplicas: max } : {}),
  };
}

const sizesOf = ({ desired, maxSurge }: Bounds) => ({
  [DESIRED]: String(desired),
  [MAX]: String(desired + maxSurge),
});

/** The Deployment was scaled since its active ReplicaSets were. */
function isScaling({ current, old, bounds }: Rollout): boolean {
  const active = [...old, ...(current === undefined ? [] : [current])].filter(
    (set) => (set.spec?.replicas ?? 0) > 0,
  );
  return active.some((set) => {
    const noted = set.metadata?.annotations?.[DESIRED];
    return noted !== undefined && noted !== String(bounds.desired);
  });
}

const revisionIn = (set: ReplicaSet): number => Number(set.metadata?.annotations?.[REVISION] ?? 0);
const maxRevision = (sets: readonly ReplicaSet[]): number => Math.max(0, ...sets.map(revisionIn));

/** The newest ReplicaSet always has the highest revision: rolled back to, an old one gets the next number. */
function annotationsOf(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  bounds: Bounds,
): Record<string, string> {
  const held = current === undefined ? 0 : revisionIn(current);
  const revision = Math.max(held, maxRevision(old) + 1);
  const history = (current?.metadata?.annotations?.[HISTORY] ?? '').split(',').filter((one) => one !== '');
  if (held > 0 && held < revision) history.push(String(held));
  const copied = Object.entries(deployment.metadata?.annotations ?? {}).filter(([key]) => !OWN.has(key));
  return {
    ...Object.fromEntries(copied),
    [REVISION]: String(revision),
    ...(history.length > 0 ? { [HISTORY]: history.join(',') } : {}),
    ...sizesOf(bounds),
  };
}

function setOf({ deployment, old, bounds }: Rollout, hash: string, replicas: number): ReplicaSet {
  const { template, selector, minReadySeconds = 0 } = deployment.spec ?? {};
  const labels = { ...template?.metadata?.labels, [HASH]: hash };
  return {
    metadata: {
      name: `${nameOf(deployment)}-${hash}`,
      namespace: namespaceOf(deployment),
      labels,
      annotations: annotationsOf(deployment, undefined, old, bounds),
      ownerReferences: [controllerReference(deployment, RESOURCES.deployments)],
    },
    spec: {
      replicas,
      minReadySeconds,
      selector: { ...selector, matchLabels: { ...selector?.matchLabels, [HASH]: hash } },
      template: { ...template, metadata: { ...template?.metadata, labels } },
    },
  };
}
