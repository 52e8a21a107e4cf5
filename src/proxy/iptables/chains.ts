import { Prefix } from '../../ip/ip.ts';
import {
  Comment,
  Conntrack,
  Destination,
  DropPacket,
  type IptablesChain,
  IptablesRule,
  printIptablesRule,
  Source,
} from '../../netfilter/netfilter.ts';
import { hashOf } from '../names.ts';
import type { PlannedEndpoint, PortPlan } from '../plan.ts';

/** kube-proxy's chains that every node has. */
export const KUBE = {
  services: 'KUBE-SERVICES',
  externalServices: 'KUBE-EXTERNAL-SERVICES',
  nodePorts: 'KUBE-NODEPORTS',
  postrouting: 'KUBE-POSTROUTING',
  markMasquerade: 'KUBE-MARK-MASQ',
  forward: 'KUBE-FORWARD',
  proxyFirewall: 'KUBE-PROXY-FIREWALL',
  firewall: 'KUBE-FIREWALL',
  canary: 'KUBE-PROXY-CANARY',
  // With IPVS only.
  nodePort: 'KUBE-NODE-PORT',
  loadBalancer: 'KUBE-LOAD-BALANCER',
  sourceRangesFirewall: 'KUBE-SOURCE-RANGES-FIREWALL',
  ipvsFilter: 'KUBE-IPVS-FILTER',
  ipvsOutFilter: 'KUBE-IPVS-OUT-FILTER',
} as const;

/** The chains of a Service port, by the prefixes of kube-proxy. */
export type ServiceChain = 'SVC' | 'SVL' | 'EXT' | 'FW';

export const serviceChain = (kind: ServiceChain, port: PortPlan): string =>
  `KUBE-${kind}-${hashOf(port.name, port.protocol.toLowerCase())}`;

export const endpointChain = (port: PortPlan, { endpoint }: PlannedEndpoint): string =>
  `KUBE-SEP-${hashOf(port.name, port.protocol.toLowerCase(), endpoint.text)}`;

/**
 * Whether a chain is one of the proxy's own: those of kubelet and of others also begin with KUBE-. kubelet has a
 * KUBE-FIREWALL of its own, so that one is ours only if it holds just what we write there.
 */
export function isProxyChain({ name, rules }: Pick<IptablesChain, 'name' | 'rules'>): boolean {
  if (name === KUBE.firewall) return rules.map(printIptablesRule).join() === printIptablesRule(MARTIAN_RULE);
  return /^KUBE-(SVC|SVL|EXT|FW|SEP)-[A-Z2-7]{16}$/.test(name) || OWN.has(name);
}

const OWN: ReadonlySet<string> = new Set(Object.values(KUBE));

/** Traffic from outside to 127.0.0.0/8 that route_localnet would let in (CVE-2020-8558). */
export const MARTIAN_RULE: IptablesRule = IptablesRule(
  [
    Source(Prefix.parse('127.0.0.0/8'), true),
    Destination(Prefix.parse('127.0.0.0/8')),
    Comment('block incoming localnet connections'),
    Conntrack(['RELATED', 'ESTABLISHED', 'DNAT'], true),
  ],
  DropPacket(),
);
