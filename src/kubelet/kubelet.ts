/**
 * The node agent: the pods of one node, as processes of the machine.
 *
 * Promises: registers its Node and renews its Lease; starts, probes, restarts and ends the containers of the pods bound to
 * it by Kubernetes' rules and writes their status; pods outlive the agent, also its kill -9, and the next one adopts
 * them; serves logs, exec, attach and port-forward on a unix socket; never writes to the machine's own files.
 * Refuses: to pull images. An image's name picks a workload ({@link ./images.ts}) and the pod's events say which; hostPath
 * volumes, gRPC probes and resource limits are not there, and the events of the pod say so too.
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
import type { KubeClient } from '../client/client.ts';
import type { Log } from '../fault/log.ts';
import type { Addr, Prefix } from '../ip/ip.ts';
import type { PodNetwork } from '../lab/pod-network.ts';

export interface KubeletOptions {
  readonly client: KubeClient;
  readonly nodeName: string;
  /** The node's InternalIP, and the address of its hostNetwork pods. */
  readonly nodeIP: Addr;
  /** The node's ExternalIP, where it has one. */
  readonly externalIP?: Addr;
  readonly network: PodNetwork;
  /** The name server of pods with dnsPolicy ClusterFirst. */
  readonly clusterDns: Addr;
  readonly clusterDomain: string;
  /** A folder on a tmpfs that outlives this process: containers, logs, volumes. Short: it holds unix sockets. */
  readonly runtimeDir: string;
  /** Where the API server reaches this agent. */
  readonly socketPath: string;
  /** Registered as the Node's spec.podCIDR; without it the agent waits for a controller to fill that in. */
  readonly podCidr?: Prefix;
  /** More labels of the Node, e.g. topology.kubernetes.io/zone. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Ends the agent. Its pods run on. */
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** Runs until the signal aborts. Rejects with a Fault when the node cannot be served at all (a tool is missing). */
export async function runKubelet(options: KubeletOptions): Promise<void> {
  options.log.info('the node agent does nothing yet', { node: options.nodeName });
  await new Promise<void>((resolve) => options.signal.addEventListener('abort', () => resolve()));
}
