import { sleep } from '../../client/clock.ts';
import type { Container } from '../../kube/objects.ts';
import type { ContainerRecord } from '../runtime/container-record.ts';
import type { NodeContext } from './node-context.ts';
import { look, type ProbeTarget } from './probe-actions.ts';

const LOOK_EVERY_MS = 5;
const AT_MOST_MS = 1000;
const DEFAULT_PORT = 80;

/**
 * Waits until a server that stands for an image listens, a second at most.
 *
 * A container without a readiness probe is ready when it has started. Upstream's rules follow so much later that its server
 * listens by then; here they are on every node within milliseconds, and the first connections would be refused.
 */
export async function untilListening(
  record: ContainerRecord,
  target: ProbeTarget,
  node: NodeContext,
): Promise<void> {
  if (!isOwnServer(record, target.container)) return;
  const port = target.container.ports?.[0]?.containerPort ?? DEFAULT_PORT;
  const end = node.clock.now() + AT_MOST_MS;
  while (node.clock.now() < end && node.runtime.get(record.id)?.exit === undefined) {
    const { healthy } = await look({ tcpSocket: { port } }, target, AT_MOST_MS);
    if (healthy) return;
    await sleep(node.clock, LOOK_EVERY_MS);
  }
}

/** The workload's own server runs, not a command of the pod, and no probe of the pod waits for it. */
function isOwnServer(record: ContainerRecord, container: Container): boolean {
  if (container.readinessProbe !== undefined || (container.command ?? []).length > 0) return false;
  return (
    record.workload === 'responder' || (record.workload === 'nginx' && (container.args ?? []).length === 0)
  );
}
