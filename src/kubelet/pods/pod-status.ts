import type { ContainerState, ContainerStatus, PodStatus } from 'kubernetes-types/core/v1.js';
import { timeOf } from '../../client/clock.ts';
import type { Container, Pod, PodCondition } from '../../kube/objects.ts';
import { type ContainerRecord, containerIdOf, isRunning } from '../runtime/container-record.ts';
import {
  type ContainerView,
  containersOf,
  initContainersOf,
  isSidecar,
  NO_VIEW,
  type PodPlan,
  type Views,
} from './pod-plan.ts';

export interface StatusInput {
  readonly pod: Pod;
  readonly views: Views;
  readonly plan: PodPlan;
  readonly podIP?: string;
  readonly hostIP: string;
  readonly startTime: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** All containers have been ended because the pod is deleted: nothing restarts whatever the policy. */
  readonly terminated?: boolean;
}

/** The status of a pod as upstream's agent writes it. Conditions of others (readiness gates, DisruptionTarget) are not touched. */
export function podStatus(input: StatusInput): PodStatus {
  const { pod, podIP, hostIP } = input;
  const statuses = containersOf(pod).map((one) => containerStatus(one, input, waitingFor(input)));
  const init = initContainersOf(pod).map((one) => containerStatus(one, input, 'PodInitializing'));
  return {
    phase: phaseOf(input),
    conditions: conditionsOf(input, [...init.filter((_, at) => isSidecarAt(pod, at)), ...statuses]),
    hostIP,
    hostIPs: [{ ip: hostIP }],
    ...(podIP === undefined ? {} : { podIP, podIPs: [{ ip: podIP }] }),
    startTime: input.startTime,
    containerStatuses: statuses,
    ...(init.length > 0 ? { initContainerStatuses: init } : {}),
    qosClass: pod.status?.qosClass ?? qosClassOf(pod),
  };
}

const isSidecarAt = (pod: Pod, at: number) => {
  const container = initContainersOf(pod)[at];
  return container !== undefined && isSidecar(container);
};

const waitingFor = (input: StatusInput) =>
  initContainersOf(input.pod).length > 0 && !input.plan.initialized ? 'PodInitializing' : 'ContainerCreating';

/** pkg/kubelet/kubelet_pods.go, getPhase. */
export function phaseOf(input: StatusInput): string {
  const { pod, views, plan } = input;
  if (plan.finished !== undefined) return plan.finished;
  const lasts = containersOf(pod).map((one) => views.get(one.name)?.last);
  if (input.terminated === true) {
    return lasts.every((last) => last?.exit?.code === 0) ? 'Succeeded' : 'Failed';
  }
  if (!plan.initialized) return 'Pending';
  return lasts.every((last) => last?.startedAt !== undefined || last?.exit !== undefined)
    ? 'Running'
    : 'Pending';
}

function containerStatus(container: Container, input: StatusInput, waiting: string): ContainerStatus {
  const view = input.views.get(container.name) ?? NO_VIEW;
  const { last } = view;
  const wait = input.plan.backingOff.get(container.name);
  const isBackingOff = wait !== undefined && input.terminated !== true;
  const isUp = isRunning(last);
  // While it waits for its next attempt, the last one is history.
  const history = isBackingOff ? last : view.previous;
  return {
    name: container.name,
    image: container.image ?? '',
    imageID: last === undefined ? '' : `workload://${last.workload}`,
    restartCount: last?.attempt ?? 0,
    ready: isUp ? view.ready : isDoneInit(container, input, last),
    started: isUp && view.started,
    state: isBackingOff ? crashLoop(container, input.pod, wait) : stateOf(view, waiting),
    lastState: history?.exit === undefined ? {} : { terminated: terminated(history) },
    ...(last === undefined ? {} : { containerID: containerIdOf(last) }),
  };
}

/** An init container that has done its work counts as ready. */
const isDoneInit = (container: Container, input: StatusInput, last: ContainerRecord | undefined) =>
  initContainersOf(input.pod).includes(container) && !isSidecar(container) && last?.exit?.code === 0;

function crashLoop(container: Container, pod: Pod, waitMs: number): ContainerState {
  return { waiting: { reason: 'CrashLoopBackOff', message: backoffMessage(container, pod, waitMs) } };
}

function backoffMessage(container: Container, pod: Pod, waitMs: number): string {
  const { name, namespace, uid } = pod.metadata ?? {};
  const minutes = Math.floor(waitMs / 60_000);
  const wait = minutes > 0 ? `${minutes}m${(waitMs % 60_000) / 1000}s` : `${waitMs / 1000}s`;
  return `back-off ${wait} restarting failed container=${container.name} pod=${name}_${namespace}(${uid})`;
}

function stateOf(view: ContainerView, waiting: string): ContainerState {
  const { last } = view;
  if (view.waiting !== undefined && !isRunning(last)) return { waiting: { ...view.waiting } };
  if (last?.exit !== undefined) return { terminated: terminated(last) };
  if (last?.startedAt !== undefined) return { running: { startedAt: timeOf(last.startedAt) } };
  return { waiting: { reason: waiting } };
}

function terminated(record: ContainerRecord): NonNullable<ContainerState['terminated']> {
  const { exit, startedAt } = record;
  return {
    exitCode: exit?.code ?? 0,
    reason: exit?.reason ?? '',
    ...(exit?.message ? { message: exit.message } : {}),
    startedAt: timeOf(startedAt ?? exit?.finishedAt ?? 0),
    finishedAt: timeOf(exit?.finishedAt ?? 0),
    containerID: containerIdOf(record),
  };
}

function conditionsOf(input: StatusInput, statuses: readonly ContainerStatus[]): PodCondition[] {
  const { pod, plan } = input;
  const done = plan.finished === 'Succeeded' ? 'PodCompleted' : undefined;
  const unready = statuses.filter((one) => !one.ready).map((one) => one.name);
  const containersReady = unready.length === 0 && phaseOf(input) === 'Running';
  const gates = (pod.spec?.readinessGates ?? []).filter(
    ({ conditionType }) => !hasCondition(pod, conditionType),
  );
  const notReady = done ?? (phaseOf(input) === 'Failed' ? 'PodFailed' : 'ContainersNotReady');
  const why = done === undefined ? `containers with unready status: [${unready.join(' ')}]` : undefined;
  const missingGates = `the status of pod readiness gates is not "True": [${gates.map((one) => one.conditionType).join(' ')}]`;
  const uninitialized = initContainersOf(pod).map((one) => one.name);
  return [
    condition(input, 'PodReadyToStartContainers', input.podIP !== undefined && plan.finished === undefined),
    plan.initialized
      ? condition(input, 'Initialized', true, done)
      : condition(
          input,
          'Initialized',
          false,
          'ContainersNotInitialized',
          `containers with incomplete status: [${uninitialized.join(' ')}]`,
        ),
    containersReady && gates.length > 0
      ? condition(input, 'Ready', false, 'ReadinessGatesNotReady', missingGates)
      : verdict(input, 'Ready', containersReady, notReady, why),
    verdict(input, 'ContainersReady', containersReady, notReady, why),
    condition(input, 'PodScheduled', true),
  ];
}

const verdict = (input: StatusInput, type: string, holds: boolean, reason: string, message?: string) =>
  holds ? condition(input, type, true) : condition(input, type, false, reason, message);

const hasCondition = (pod: Pod, type: string) =>
  (pod.status?.conditions ?? []).some((one) => one.type === type && one.status === 'True');

/** The time of the last transition stays while the status stays. */
function condition(
  input: StatusInput,
  type: string,
  holds: boolean,
  reason?: string,
  message?: string,
): PodCondition {
  const status = holds ? 'True' : 'False';
  const before = (input.pod.status?.conditions ?? []).find((one) => one.type === type);
  const since = before?.status === status ? before.lastTransitionTime : undefined;
  return {
    type,
    status,
    lastTransitionTime: since ?? timeOf(input.now),
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
  };
}

/** Pod quality of service by requests and limits of cpu and memory (concepts/workloads/pods/pod-qos). */
export function qosClassOf(pod: Pod): 'BestEffort' | 'Burstable' | 'Guaranteed' {
  const all = [...initContainersOf(pod), ...containersOf(pod)].map((one) => one.resources ?? {});
  const isEmpty = (map: object | undefined) => map === undefined || Object.keys(map).length === 0;
  if (all.every((one) => isEmpty(one.limits) && isEmpty(one.requests))) return 'BestEffort';
  const isGuaranteed = all.every(({ limits, requests }) =>
    ['cpu', 'memory'].every(
      (name) =>
        limits?.[name] !== undefined && String(requests?.[name] ?? limits[name]) === String(limits[name]),
    ),
  );
  return isGuaranteed ? 'Guaranteed' : 'Burstable';
}
