import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Container, Pod } from '../../kube/objects.ts';
import type { ContainerRecord } from '../runtime/container-record.ts';
import { argvOf, type Workload, workloadOf } from '../runtime/images.ts';
import { bind, ociConfig } from '../runtime/oci-config.ts';
import { isProgram, makeRoot } from '../runtime/root-filesystem.ts';
import type { PodFacts } from './downward.ts';
import { environmentOf } from './environment.ts';
import { expand } from './expansion.ts';
import type { NodeContext } from './node-context.ts';
import { hostnameOf, podFiles } from './pod-files.ts';
import type { PlannedStart } from './pod-plan.ts';
import type { Sandbox } from './sandbox.ts';
import { volumeMounts } from './volumes.ts';

/** Makes one attempt of a container and runs it. Throws {@link ./sources.ts NotYet} when something it refers to is missing. */
export async function startContainer(
  pod: Pod,
  sandbox: Sandbox,
  planned: PlannedStart,
  node: NodeContext,
): Promise<ContainerRecord> {
  const { container } = planned;
  const workload = workloadOf(container, isProgram);
  const facts = factsOf(pod, sandbox, node);
  const environment = await environmentOf(container, facts, node.sources);
  const record = newRecord(pod, planned, workload, node.clock.now());
  const folder = node.runtime.prepare(record.id);
  const root = makeRoot(folder, {
    etc: podFiles(pod, sandbox.ip, node.names),
    workload,
    product: node.product,
    manyUsers: node.manyUsers,
  });
  const volumes = volumeMounts(volumesDir(pod, node), container, facts, environment);
  const config = ociConfig({
    argv: commandOf(container, workload, facts, environment),
    env: environmentLines(container, workload, facts, environment),
    spec: pod.spec ?? { containers: [] },
    container,
    hostname: hostnameOf(pod, node.nodeName),
    ...(sandbox.netns === undefined ? {} : { netns: sandbox.netns }),
    mounts: [...root, terminationLog(folder, container), ...volumes],
  });
  announce(pod, container, workload, node);
  return node.runtime.start({ record, config, stdinOnce: container.stdinOnce === true });
}

export const volumesDir = (pod: Pod, node: NodeContext): string =>
  join(node.podsDir, pod.metadata?.uid ?? '', 'volumes');

export const factsOf = (pod: Pod, sandbox: Sandbox, node: NodeContext): PodFacts => ({
  pod,
  podIP: sandbox.ip,
  hostIP: node.nodeIP.text,
  nodeName: node.nodeName,
});

function newRecord(pod: Pod, planned: PlannedStart, workload: Workload, now: number): ContainerRecord {
  const { container } = planned;
  return {
    id: randomUUID().replaceAll('-', ''),
    podUid: pod.metadata?.uid ?? '',
    namespace: pod.metadata?.namespace ?? 'default',
    pod: pod.metadata?.name ?? '',
    container: container.name,
    attempt: planned.attempt,
    image: container.image ?? '',
    workload: workload.kind,
    stdin: container.stdin === true,
    tty: container.tty === true,
    backoffMs: planned.backoffMs,
    createdAt: now,
  };
}

/** The responder is told who it is and its ports by arguments, so that the pod's environment stays as the pod has it. */
function commandOf(
  container: Container,
  workload: Workload,
  facts: PodFacts,
  environment: ReadonlyMap<string, string>,
): readonly string[] {
  const argv = argvOf(container, workload).map((word) => expand(word, environment));
  const isOwnCommand = container.command !== undefined && container.command.length > 0;
  if (workload.kind !== 'responder' || isOwnCommand) return argv;
  const { name = '', namespace = '' } = facts.pod.metadata ?? {};
  const ports = (container.ports ?? []).map((port) => String(port.containerPort));
  const who = [
    `--pod=${name}`,
    `--namespace=${namespace}`,
    `--node=${facts.nodeName}`,
    `--ip=${facts.podIP}`,
  ];
  return [...argv, ...who, ...new Set(ports)];
}

function environmentLines(
  container: Container,
  workload: Workload,
  facts: PodFacts,
  environment: ReadonlyMap<string, string>,
): readonly string[] {
  const base: Record<string, string> = {
    ...workload.env,
    HOSTNAME: hostnameOf(facts.pod, facts.nodeName),
    ...(container.tty === true ? { TERM: 'xterm' } : {}),
  };
  return Object.entries({ ...base, ...Object.fromEntries(environment) }).map(
    ([name, value]) => `${name}=${value}`,
  );
}

/** The file whose text becomes the message of a container that has ended. */
function terminationLog(folder: string, container: Container) {
  const file = join(folder, 'termination-log');
  writeFileSync(file, '', { mode: 0o666 });
  return bind(file, container.terminationMessagePath ?? '/dev/termination-log', 'rw');
}

function announce(pod: Pod, container: Container, workload: Workload, node: NodeContext): void {
  const message = `Container image "${container.image}" is not pulled: ${workload.standIn}`;
  node.events.event(containerOf(pod, container), 'Normal', 'Pulled', message);
}

/** The pod with the field path of a container: what events about a container are about. */
export function containerOf(pod: Pod, container: Container) {
  const list = pod.spec?.initContainers?.some((one) => one.name === container.name)
    ? 'initContainers'
    : 'containers';
  return { ...pod, apiVersion: 'v1', kind: 'Pod', fieldPath: `spec.${list}{${container.name}}` };
}
