import { sleep } from '../../client/clock.ts';
import type { Container, Pod } from '../../kube/objects.ts';
import type { ContainerRecord } from '../runtime/container-record.ts';
import { stopSignalOf } from '../runtime/images.ts';
import { containerOf } from './container-start.ts';
import type { NodeContext } from './node-context.ts';
import { look, type ProbeTarget } from './probe-actions.ts';

export interface StopRequest {
  readonly pod: Pod;
  readonly container: Container;
  readonly record: ContainerRecord;
  readonly podIP: string;
  /** Aborts when the grace period is over: SIGKILL follows. */
  readonly killNow: AbortSignal;
  /** Milliseconds before SIGTERM, while the container serves on. */
  readonly delayMs: number;
}

/** How long a hook may take when nothing else bounds it. */
const HOOK_MS = 600_000;
const KILL_WITHIN_MS = 10_000;

/** Ends a container by Kubernetes' rules: preStop hook, stop signal, and SIGKILL when the grace period is over. Resolves when it has ended. */
export async function stopContainer(request: StopRequest, node: NodeContext): Promise<void> {
  const { record, killNow } = request;
  const ended = exitOf(record.id, node);
  await unless(killNow, preStop(request, node));
  await sleep(node.clock, killNow.aborted ? 0 : request.delayMs, killNow);
  if (!killNow.aborted) await node.runtime.signal(record.id, stopSignalOf(record.workload));
  await unless(killNow, ended);
  if (node.runtime.get(record.id)?.exit !== undefined) return;
  await node.runtime.signal(record.id, 'SIGKILL');
  const given = new AbortController();
  await Promise.race([ended, sleep(node.clock, KILL_WITHIN_MS, given.signal)]);
  given.abort();
  if (node.runtime.get(record.id)?.exit === undefined) {
    node.log.warn('a container does not end on SIGKILL', { pod: request.pod.metadata?.name, id: record.id });
  }
}

/** Resolves when the container has ended, at once if it has. */
function exitOf(id: string, node: NodeContext): Promise<void> {
  return new Promise((resolve) => {
    const stop = node.runtime.onExit((record) => {
      if (record.id !== id) return;
      stop();
      resolve();
    });
    const record = node.runtime.get(id);
    if (record !== undefined && record.exit === undefined) return;
    stop();
    resolve();
  });
}

/** Waits for the work, or for the signal. */
function unless(signal: AbortSignal, work: Promise<void>): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const end = () => {
      signal.removeEventListener('abort', end);
      resolve();
    };
    signal.addEventListener('abort', end, { once: true });
    work.then(end, reject);
  });
}

async function preStop(request: StopRequest, node: NodeContext): Promise<void> {
  const { container, pod } = request;
  const hook = container.lifecycle?.preStop;
  if (hook === undefined) return;
  if (hook.sleep !== undefined) return sleep(node.clock, hook.sleep.seconds * 1000, request.killNow);
  const result = await look(hook, targetOf(request, node), HOOK_MS);
  if (result.healthy) return;
  const about = containerOf(pod, container);
  node.events.event(about, 'Warning', 'FailedPreStopHook', `PreStopHook failed: ${result.output}`);
}

/** What probes and hooks look at. */
export function targetOf(
  of: Pick<StopRequest, 'container' | 'record' | 'podIP'>,
  node: NodeContext,
): ProbeTarget {
  return {
    container: of.container,
    podIP: of.podIP,
    exec: async (argv, timeoutMs) => {
      const { code, stdout, stderr } = await node.runtime.exec(of.record.id, argv, timeoutMs);
      return { code, output: `${stdout}${stderr}` };
    },
  };
}
