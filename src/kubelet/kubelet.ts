/**
 * The node agent: the pods of one node, as processes of the machine.
 *
 * Promises: registers its Node and renews its Lease; starts, probes, restarts and ends the containers of the pods bound to
 * it by Kubernetes' rules and writes their status; pods outlive the agent, also its kill -9, and the next one adopts
 * them; serves logs, exec, attach and port-forward on a unix socket; never writes to the machine's own files.
 * Refuses: to pull images. An image's name picks a workload ({@link ./runtime/images.ts}) and the pod's events say which. hostPath
 * and claimed volumes, gRPC probes and resourceFieldRef are refused in the pod's events; resource limits do not hold.
 *
 * Reads on: pods/pod-manager.ts has a pod-worker.ts for each pod, which does what pod-plan.ts says and writes what
 * pod-status.ts makes of it; container-start.ts there turns a container into a root, a configuration and a process of
 * runtime/runtime.ts; server/server.ts answers the API server.
 *
 * It runs in the node's network namespace. Containers are made by crun and watched by conmon (CRI-O's architecture).
 *
 * @example
 * await runKubelet({
 *   client: socketClient('/run/fairlead/admin.sock'),
 *   nodeName: 'n1', nodeIP: Addr.parse('192.168.0.11'), network,
 *   clusterDns: Addr.parse('10.247.3.10'), clusterDomain: 'cluster.local',
 *   runtimeDir: '/run/fairlead/kubelet-n1', socketPath: '/run/fairlead/kubelet-n1.sock', signal, log,
 * });
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { aborted, SYSTEM_CLOCK } from '../client/clock.ts';
import { EventRecorder } from '../client/event-recorder.ts';
import { createInformer } from '../client/informer.ts';
import type { Service } from '../kube/objects.ts';
import { RESOURCES } from '../kube/resources.ts';
import { AddressPool } from './ipam.ts';
import { keepNode, registerNode } from './node-registration.ts';
import type { KubeletOptions } from './options.ts';
import { PodManager } from './pods/pod-manager.ts';
import { clientSources } from './pods/sources.ts';
import { thisProduct } from './product.ts';
import { rotateLogs } from './runtime/log-rotation.ts';
import { hasManyUsers } from './runtime/root-filesystem.ts';
import { ContainerRuntime } from './runtime/runtime.ts';
import { KubeletServer } from './server/server.ts';
import { StatusWriter } from './status-writer.ts';

export type { KubeletOptions } from './options.ts';

/** Runs until the signal aborts. Rejects with a Fault when the node cannot be served at all (a tool is missing). */
export async function runKubelet(options: KubeletOptions): Promise<void> {
  const clock = options.clock ?? SYSTEM_CLOCK;
  const { client, log, nodeName, runtimeDir, signal } = options;
  const runtime = new ContainerRuntime({ runtimeDir, clock, log });
  await runtime.open();
  const server = new KubeletServer(options.socketPath, log);
  const services = createInformer<Service>(client, RESOURCES.services, { signal, clock, log });
  const events = new EventRecorder({ client, component: 'kubelet', host: nodeName, log, clock });
  try {
    const registration = { ...options, clock, runtimeVersion: await runtime.version() };
    const prefix = await registerNode(registration);
    if (prefix === undefined) return;
    await Promise.race([services.synced, aborted(signal)]);
    const pods = new PodManager({
      ...{ runtime, events, clock, log, nodeName },
      network: options.network,
      pool: new AddressPool(prefix),
      sources: clientSources(client, services),
      statuses: new StatusWriter(client),
      nodeIP: options.nodeIP,
      names: {
        clusterDns: options.clusterDns.text,
        clusterDomain: options.clusterDomain,
        nodeName,
        machineResolvConf: readIfThere('/etc/resolv.conf'),
      },
      product: thisProduct(),
      manyUsers: hasManyUsers(readIfThere('/proc/self/uid_map')),
      podsDir: join(runtimeDir, 'pods'),
      stopDelayMs: options.stopDelayMs ?? STOP_DELAY_MS,
    });
    const rotation = rotateLogs(runtime, { clock, signal, log });
    await Promise.all([
      pods.run(client, signal),
      server.serve(pods, runtime, signal),
      keepNode(registration),
      rotation,
    ]);
  } finally {
    services.stop();
    await server.close();
    await events.flush();
    runtime.close();
  }
}

/** Long enough for every node's rules to lose a pod (99 in 100 within 200 ms), short beside any grace period. */
const STOP_DELAY_MS = 400;

const readIfThere = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');
