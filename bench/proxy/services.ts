import { Addr, Prefix } from '../../src/ip/ip.ts';
import type { EndpointSlice, Service } from '../../src/kube/objects.ts';
import type { NodeFacts } from '../../src/proxy/proxy.ts';

export const ENDPOINTS = 5;
export const SERVICE_RANGE = Prefix.parse('10.100.0.0/15');
/** Every endpoint's address is in it. */
export const POD_RANGE = Prefix.parse('172.16.0.0/12');
export const PORT = 80;
export const POD_PORT = 8080;

export const NODE: NodeFacts = {
  name: 'n0',
  ips: [Addr.parse('192.168.0.11')],
  podCIDRs: [Prefix.parse('172.16.0.0/24')],
};

/** Past the addresses that the API server draws for itself. */
export const clusterIP = (at: number): string => SERVICE_RANGE.addr.plus(256 + at).text;

/** Endpoint `which` of Service `at`; `moved` is another pod in place of the last one. */
export const pod = (at: number, which: number, moved = 0): string =>
  `172.${16 + which + (which === ENDPOINTS - 1 ? moved : 0)}.${(at >> 8) & 255}.${at & 255}`;

export const service = (at: number): Service => ({
  metadata: { name: `s${at}`, namespace: 'default' },
  spec: { clusterIP: clusterIP(at), ports: [{ name: 'http', port: PORT }] },
});

export const slice = (at: number, moved = 0): EndpointSlice => ({
  metadata: {
    name: `s${at}-1`,
    namespace: 'default',
    labels: { 'kubernetes.io/service-name': `s${at}` },
  },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: POD_PORT }],
  endpoints: Array.from({ length: ENDPOINTS }, (_, which) => ({
    addresses: [pod(at, which, moved)],
    conditions: { ready: true, serving: true, terminating: false },
    nodeName: `n${which}`,
    targetRef: { kind: 'Pod', name: `s${at}-${which}`, namespace: 'default' },
  })),
});
