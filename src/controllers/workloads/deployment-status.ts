/** What a Deployment's status says, and the conditions `kubectl rollout status` reads. Pure. */
import { timeOf } from '../../client/clock.ts';
import type { Deployment, ReplicaSet } from '../../kube/objects.ts';
import { nameOf } from '../metadata.ts';

type Status = NonNullable<Deployment['status']>;
export type DeploymentCondition = NonNullable<Status['conditions']>[number];

export interface StatusInput {
  readonly deployment: Deployment;
  readonly current: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
  /** Pods that may be missing without the Deployment being unavailable. */
  readonly maxUnavailable: number;
  /** Why the new ReplicaSet exists, when this sync found or made it. */
  readonly found?: { readonly reason: string; readonly message: string } | undefined;
  readonly now: number;
}

const total = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number | undefined): number =>
  sets.reduce((sum, set) => sum + (of(set) ?? 0), 0);

export function statusOf(input: StatusInput): Status {
  const { deployment, current, old } = input;
  const all = current === undefined ? old : [...old, current];
  const desired = deployment.spec?.replicas ?? 1;
  const available = total(all, (set) => set.status?.availableReplicas);
  const replicas = total(all, (set) => set.status?.replicas);
  const counts: Status = {
    observedGeneration: deployment.metadata?.generation ?? 0,
    replicas,
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: total(all, (set) => set.status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, total(all, (set) => set.spec?.replicas) - available),
  };
  const conditions = [
    availability(input, available >= desired - input.maxUnavailable),
    failure(input, all),
    progress(input, counts),
  ];
  return { ...counts, conditions: conditions.filter((condition) => condition !== undefined) };
}

export function isComplete(deployment: Deployment, status: Status): boolean {
  const desired = deployment.spec?.replicas ?? 1;
  return (
    status.updatedReplicas === desired &&
    status.replicas === desired &&
    status.availableReplicas === desired &&
    (status.observedGeneration ?? 0) >= (deployment.metadata?.generation ?? 0)
  );
}

const known = ({ deployment }: StatusInput, type: string): DeploymentCondition | undefined =>
  deployment.status?.conditions?.find((condition) => condition.type === type);

/** The times stay as they were while the condition says the same. */
function condition(
  input: StatusInput,
  type: string,
  status: string,
  reason: string,
  message: string,
  touch = false,
): DeploymentCondition {
  const before = known(input, type);
  const now = timeOf(input.now);
  const isSame = before?.status === status && before.reason === reason && before.message === message;
  return {
    type,
    status,
    reason,
    message,
    lastUpdateTime: isSame && !touch ? (before.lastUpdateTime ?? now) : now,
    lastTransitionTime: before?.status === status ? (before.lastTransitionTime ?? now) : now,
  };
}

const availability = (input: StatusInput, enough: boolean): DeploymentCondition =>
  enough
    ? condition(
        input,
        'Available',
        'True',
        'MinimumReplicasAvailable',
        'Deployment has minimum availability.',
      )
    : condition(
        input,
        'Available',
        'False',
        'MinimumReplicasUnavailable',
        'Deployment does not have minimum availability.',
      );

function failure(input: StatusInput, sets: readonly ReplicaSet[]): DeploymentCondition | undefined {
  const failed = sets
    .toReversed()
    .flatMap((set) => set.status?.conditions ?? [])
    .find(({ type, status }) => type === 'ReplicaFailure' && status === 'True');
  if (failed === undefined) return undefined;
  return condition(input, 'ReplicaFailure', 'True', failed.reason ?? '', failed.message ?? '');
}

function progress(input: StatusInput, status: Status): DeploymentCondition | undefined {
  const { deployment, current, found } = input;
  const before = known(input, 'Progressing');
  const say = (value: string, reason: string, message: string, touch = false) =>
    condition(input, 'Progressing', value, reason, message, touch);
  if (deployment.spec?.progressDeadlineSeconds === NEVER) return undefined;
  if (deployment.spec?.paused) return say('Unknown', 'DeploymentPaused', 'Deployment is paused');
  const what =
    current === undefined ? `Deployment "${nameOf(deployment)}"` : `ReplicaSet "${nameOf(current)}"`;
  const wasComplete = before?.reason === 'NewReplicaSetAvailable' && before.message?.startsWith(what);
  if (current !== undefined && isComplete(deployment, status)) {
    return say('True', 'NewReplicaSetAvailable', `${what} has successfully progressed.`);
  }
  // A finished rollout stays finished when its pods come and go later: only a new template starts another.
  if (wasComplete && before !== undefined) return before;
  if (before?.reason === 'DeploymentPaused') {
    return say('Unknown', 'DeploymentResumed', 'Deployment is resumed');
  }
  if (found !== undefined) return say('True', found.reason, found.message);
  if (hasMoved(deployment, status)) return say('True', 'ReplicaSetUpdated', `${what} is progressing.`, true);
  if (deadlineIn(deployment, input.now) === 0) {
    return say('False', 'ProgressDeadlineExceeded', `${what} has timed out progressing.`);
  }
  return before ?? say('True', 'ReplicaSetUpdated', `${what} is progressing.`);
}

/** Pods of the new template came, old ones went, or more became ready or available since the status was last written. */
function hasMoved({ status: before = {} }: Deployment, status: Status): boolean {
  const old = ({ replicas = 0, updatedReplicas = 0 }: Status) => replicas - updatedReplicas;
  return (
    (status.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(status) < old(before) ||
    (status.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (status.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

/** progressDeadlineSeconds of MaxInt32 means that there is none. */
const NEVER = 2_147_483_647;

/** Milliseconds until a rollout under way has made no progress for too long; undefined when none is awaited. */
export function deadlineIn(deployment: Deployment, now: number): number | undefined {
  const seconds = deployment.spec?.progressDeadlineSeconds ?? 600;
  const before = deployment.status?.conditions?.find(({ type }) => type === 'Progressing');
  const isWaiting = before !== undefined && before.reason !== 'NewReplicaSetAvailable';
  if (!isWaiting || seconds === NEVER || deployment.spec?.paused) return undefined;
  if (before.reason === 'ProgressDeadlineExceeded') return 0;
  const since = Date.parse(before.lastUpdateTime ?? '') || now;
  return Math.max(0, since + seconds * 1000 - now);
}
