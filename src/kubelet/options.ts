import type { KubeClient } from '../client/client.ts';
import type { Clock } from '../client/clock.ts';
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
  readonly clock?: Clock;
  /** Milliseconds a deleted pod serves on before SIGTERM; see {@link ./pod-termination.ts}. 400 unless said. */
  readonly stopDelayMs?: number;
}
