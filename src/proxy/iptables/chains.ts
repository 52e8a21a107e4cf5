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
} as const;

/** The chains of a Service port, by the prefixes of kube-proxy. */
export type ServiceChain = 'SVC' | 'SVL' | 'EXT' | 'FW';

export const serviceChain = (kind: ServiceChain, port: PortPlan): string =>
  `KUBE-${kind}-${hashOf(port.name, port.protocol.toLowerCase())}`;

export const endpointChain = (port: PortPlan, { endpoint }: PlannedEndpoint): string =>
  `KUBE-SEP-${hashOf(port.name, port.protocol.toLowerCase(), endpoint.text)}`;

/** Whether a chain is one of the proxy's own: those of kubelet and of others also begin with KUBE-. */
export const isProxyChain = (name: string): boolean =>
  /^KUBE-(SVC|SVL|EXT|FW|SEP)-[A-Z2-7]{16}$/.test(name) || OWN.has(name);

/** kubelet has a KUBE-FIREWALL too, so finding one does not make it ours. */
const OWN: ReadonlySet<string> = new Set(Object.values(KUBE).filter((name) => name !== KUBE.firewall));
