import type { Addr } from '../ip/ip.ts';

/** What a pod's network is made for: its identity and the address the node agent gave it. */
export interface PodNetworkRequest {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly ip: Addr;
}

/**
 * The seam between the node agent, which owns pods and their addresses, and the lab, which owns network namespaces.
 *
 * Promises: `add` gives a network namespace that carries the address and is wired to the node (a second call for the same
 * pod gives the same one, so that a restarted agent may ask again); `remove` takes it away and is silent if it is gone.
 */
export interface PodNetwork {
  /** `netns` is a name below /run/netns, see ip-netns(8). */
  add(pod: PodNetworkRequest): Promise<{ readonly netns: string }>;
  remove(uid: string): Promise<void>;
}
