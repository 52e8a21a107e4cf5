import { Addr, Prefix } from '../ip/ip.ts';
import type { Node } from '../kube/objects.ts';
import type { NodeFacts } from '../proxy/proxy.ts';

/** What the rules need of a Node. Ranges and zone are missing while the Node is. */
export function nodeFactsOf(name: string, node: Node | undefined, ips?: readonly Addr[]): NodeFacts {
  const internal = (node?.status?.addresses ?? []).filter((one) => one.type === 'InternalIP');
  const { podCIDR, podCIDRs = podCIDR === undefined ? [] : [podCIDR] } = node?.spec ?? {};
  const zone = node?.metadata?.labels?.['topology.kubernetes.io/zone'];
  return {
    name,
    ips: ips ?? internal.map((one) => Addr.parse(one.address)),
    podCIDRs: podCIDRs.map((one) => Prefix.parse(one)),
    ...(zone === undefined ? {} : { zone }),
  };
}

/** Whether two sets of facts give the same rules. */
export const sameFacts = (one: NodeFacts | undefined, other: NodeFacts): boolean =>
  JSON.stringify(one) === JSON.stringify(other);
