import { type Addr, type Family, Prefix } from '../ip/ip.ts';

/** kube-proxy's modes, by its own names. */
export type ProxyMode = 'nftables' | 'iptables' | 'ipvs';

/** How a packet of a pod of this node is told from any other (kube-proxy's `detectLocalMode`). */
export type DetectLocal =
  | { readonly mode: 'ClusterCIDR'; readonly prefixes: readonly Prefix[] }
  | { readonly mode: 'NodeCIDR' }
  | { readonly mode: 'BridgeInterface'; readonly bridge: string }
  | { readonly mode: 'InterfaceNamePrefix'; readonly prefix: string }
  | { readonly mode: 'None' };

/** What the operator chooses; the names are those of kube-proxy's configuration. */
export interface ProxyConfig {
  /** Masquerade everything that goes to a clusterIP. */
  readonly masqueradeAll: boolean;
  /** The bit of the packet mark that asks for masquerade; 14 is 0x4000. */
  readonly masqueradeBit: number;
  readonly detectLocal: DetectLocal;
  /** The addresses node ports listen on: prefixes, the Node's own address, or every local one when empty. */
  readonly nodePortAddresses: 'primary' | readonly Prefix[];
  /** nftables only: the ranges of clusterIPs, where an address that is no Service's is dropped. */
  readonly serviceCIDRs: readonly Prefix[];
  /** iptables only: node ports answer on 127.0.0.1 too. */
  readonly localhostNodePorts: boolean;
  /** conntrack takes TCP segments outside its window as valid, so INVALID packets need not be dropped. */
  readonly conntrackTCPBeLiberal: boolean;
}

export const DEFAULT_CONFIG: ProxyConfig = {
  masqueradeAll: false,
  masqueradeBit: 14,
  detectLocal: { mode: 'NodeCIDR' },
  nodePortAddresses: [],
  serviceCIDRs: [],
  localhostNodePorts: false,
  conntrackTCPBeLiberal: false,
};

/** The node the rules are for. */
export interface NodeFacts {
  readonly name: string;
  /** Its `InternalIP`s, the primary one of each family first. */
  readonly ips: readonly Addr[];
  /** Every address of its interfaces; {@link NodeFacts.ips} when not known. */
  readonly addresses?: readonly Addr[];
  readonly podCIDRs: readonly Prefix[];
  /** Its label topology.kubernetes.io/zone. */
  readonly zone?: string;
}

/** How rules recognise a local pod: by source prefixes, by interface, or not at all. */
export type LocalDetector =
  | { readonly by: 'source'; readonly prefix: Prefix }
  | { readonly by: 'interface'; readonly name: string; readonly wildcard: boolean };

/** The detector of a family, or undefined where the configuration has none. */
export function detectorOf(family: Family, node: NodeFacts, config: ProxyConfig): LocalDetector | undefined {
  const { detectLocal } = config;
  const source = (prefixes: readonly Prefix[]): LocalDetector | undefined => {
    const prefix = prefixes.find((one) => one.family === family);
    return prefix === undefined ? undefined : { by: 'source', prefix };
  };
  switch (detectLocal.mode) {
    case 'ClusterCIDR':
      return source(detectLocal.prefixes);
    case 'NodeCIDR':
      return source(node.podCIDRs);
    case 'BridgeInterface':
      return { by: 'interface', name: detectLocal.bridge, wildcard: false };
    case 'InterfaceNamePrefix':
      return { by: 'interface', name: detectLocal.prefix, wildcard: true };
    case 'None':
      return undefined;
  }
}

/**
 * Where node ports of a family listen: everywhere local (undefined) or at these prefixes. Prefixes of one family say nothing of
 * the other (NewNodePortAddresses in kube-proxy's pkg/proxy/util).
 */
export function nodePortPrefixes(
  family: Family,
  node: NodeFacts,
  config: ProxyConfig,
): readonly Prefix[] | undefined {
  if (config.nodePortAddresses === 'primary') {
    const primary = node.ips.find((addr) => addr.family === family);
    return primary === undefined ? [] : [Prefix.host(primary)];
  }
  const prefixes = config.nodePortAddresses.filter((prefix) => prefix.family === family);
  return prefixes.length === 0 || prefixes.some(({ length }) => length === 0) ? undefined : prefixes;
}
