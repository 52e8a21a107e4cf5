import type { ContainerStatus, Pod } from '../objects.ts';
import { ageOf, NONE, nameOf, sinceText } from './cells.ts';
import {
  AGE_COLUMN,
  type Cell,
  column,
  NAME_COLUMN,
  type Printer,
  type RowCondition,
  wide,
} from './column.ts';

type Status = NonNullable<Pod['status']>;

/** What a pod's line says of its containers. */
interface Tally {
  reason: string;
  ready: number;
  restarts: number;
  /** When a container was last restarted, in milliseconds since 1970; 0 is never. */
  restartedAt: number;
}

export const podPrinter: Printer<Pod> = {
  columns: [
    NAME_COLUMN,
    column('Ready', 'How many containers are ready, of how many.'),
    column('Status', 'The phase of the pod, or why it is not what it should be.'),
    column('Restarts', 'How often containers of this pod were restarted, and when last.'),
    AGE_COLUMN,
    wide('IP', 'The address of the pod.'),
    wide('Node', 'The node the pod is bound to.'),
    wide('Nominated Node', 'The node the pod waits for while others make room.'),
    wide('Readiness Gates', 'How many readiness gates hold, of how many.'),
  ],
  cells: podCells,
  conditions: ({ status }) => completed(status?.phase),
};

function podCells(pod: Pod, now: number): Cell[] {
  const { spec, status = {} } = pod;
  const tally = tallyOf(pod, status);
  const sidecars = (spec?.initContainers ?? []).filter((one) => one.restartPolicy === 'Always').length;
  const total = (spec?.containers ?? []).length + sidecars;
  const ip = status.podIPs?.[0]?.ip ?? status.podIP;
  return [
    nameOf(pod),
    `${tally.ready}/${total}`,
    tally.reason,
    restartsText(tally, now),
    ageOf(pod, now),
    ip || NONE,
    spec?.nodeName || NONE,
    status.nominatedNodeName || NONE,
    gatesText(pod),
  ];
}

function restartsText({ restarts, restartedAt }: Tally, now: number): string {
  if (restarts === 0 || restartedAt === 0) return String(restarts);
  return `${restarts} (${sinceText(new Date(restartedAt).toISOString(), now)} ago)`;
}

function gatesText({ spec, status }: Pod): string {
  const gates = spec?.readinessGates ?? [];
  if (gates.length === 0) return NONE;
  const holds = new Set(
    (status?.conditions ?? []).flatMap((one) => (one.status === 'True' ? [one.type] : [])),
  );
  return `${gates.filter(({ conditionType }) => holds.has(conditionType)).length}/${gates.length}`;
}

function completed(phase: string | undefined): RowCondition[] {
  if (phase !== 'Succeeded' && phase !== 'Failed') return [];
  const message = phase === 'Failed' ? 'The pod failed.' : 'The pod has completed successfully.';
  return [{ type: 'Completed', status: 'True', reason: phase, message }];
}

const hasCondition = (status: Status, type: string): boolean =>
  (status.conditions ?? []).some((one) => one.type === type && one.status === 'True');

/**
 * The status column tells the most telling thing: a phase, a reason, what a container waits for or died of, and above all
 * that the pod is being deleted.
 */
function tallyOf(pod: Pod, status: Status): Tally {
  const gated = (status.conditions ?? []).some(
    ({ type, reason }) => type === 'PodScheduled' && reason === 'SchedulingGated',
  );
  const phase = gated ? 'SchedulingGated' : status.reason || status.phase || '';
  const init = initTally(pod, status);
  const started = init.reason === '' || hasCondition(status, 'Initialized');
  const tally = started ? mainTally(status, init.reason || phase, init.sidecars) : init;
  const deleted = pod.metadata?.deletionTimestamp !== undefined;
  const isOver = status.phase === 'Succeeded' || status.phase === 'Failed';
  if (deleted && status.reason === 'NodeLost') return { ...tally, reason: 'Unknown' };
  return deleted && !isOver ? { ...tally, reason: 'Terminating' } : tally;
}

const nothing = (): Tally => ({ reason: '', ready: 0, restarts: 0, restartedAt: 0 });

function countRestarts(tally: Tally, container: ContainerStatus): void {
  tally.restarts += container.restartCount ?? 0;
  const finished = Date.parse(container.lastState?.terminated?.finishedAt ?? '');
  if (finished > tally.restartedAt) tally.restartedAt = finished;
}

/** The init containers up to the one that has not done its part; its reason is empty when all have. */
function initTally(pod: Pod, status: Status): Tally & { readonly sidecars: Tally } {
  const containers = pod.spec?.initContainers ?? [];
  const isSidecar = (name: string): boolean =>
    containers.some((one) => one.name === name && one.restartPolicy === 'Always');
  const [tally, sidecars] = [nothing(), nothing()];
  for (const [at, container] of (status.initContainerStatuses ?? []).entries()) {
    countRestarts(tally, container);
    const sidecar = isSidecar(container.name);
    if (sidecar) countRestarts(sidecars, container);
    if (container.state?.terminated?.exitCode === 0) continue;
    if (sidecar && container.started === true) {
      if (container.ready) sidecars.ready++;
      continue;
    }
    tally.reason = `Init:${initReason(container, at, containers.length)}`;
    break;
  }
  return { ...tally, ready: sidecars.ready, sidecars };
}

function initReason({ state }: ContainerStatus, at: number, total: number): string {
  if (state?.terminated !== undefined) return deathOf(state.terminated);
  const waiting = state?.waiting?.reason ?? '';
  return waiting !== '' && waiting !== 'PodInitializing' ? waiting : `${at}/${total}`;
}

const deathOf = ({
  reason,
  signal,
  exitCode,
}: {
  reason?: string;
  signal?: number;
  exitCode?: number;
}): string => reason || (signal ? `Signal:${signal}` : `ExitCode:${exitCode ?? 0}`);

/** The containers themselves; the first one's trouble is told. */
function mainTally(status: Status, phase: string, sidecars: Tally): Tally {
  const tally: Tally = { ...sidecars, reason: phase };
  let running = false;
  for (const container of (status.containerStatuses ?? []).toReversed()) {
    countRestarts(tally, container);
    const { waiting, terminated } = container.state ?? {};
    if (waiting?.reason) tally.reason = waiting.reason;
    else if (terminated !== undefined) tally.reason = deathOf(terminated);
    else if (container.ready && container.state?.running !== undefined) {
      running = true;
      tally.ready++;
    }
  }
  if (tally.reason === 'Completed' && running) {
    tally.reason = hasCondition(status, 'Ready') ? 'Running' : 'NotReady';
  }
  return tally;
}
