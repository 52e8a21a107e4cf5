/** What a case is in Kubernetes: the Service, its slices, and the addresses a client may dial. */
import { Addr, type Family, type Port, Prefix, type Protocol, portOf } from '../../src/ip/ip.ts';
import type { EndpointSlice, Service } from '../../src/kube/objects.ts';
import {
  addressesOf,
  type HostName,
  isPeer,
  LOOPBACK,
  NODE,
  nodeOf,
  OWN_PORT,
  SECOND,
  TARGET_PORT,
} from './bed.ts';
import { type Case, ENDPOINT_STATES } from './vectors.ts';

/** Every address a case has: under which its Service answers, and some under which it does not. */
export const TARGETS = [
  'clusterIP',
  /** A port of the clusterIP that the Service does not have. */
  'clusterIP, other port',
  /** No port of the Service either, but one at which a process of n1 listens on every address. */
  "clusterIP, node's own port",
  "loadBalancer, node's own port",
  /** An address of the range of clusterIPs that no Service has. */
  'free clusterIP',
  'nodePort',
  'nodePort, second address',
  'loadBalancer',
  'externalIP',
  'healthCheckNodePort',
] as const;
export type TargetName = (typeof TARGETS)[number];

export interface Target {
  readonly name: TargetName;
  readonly addr: Addr;
  readonly port: Port;
  readonly family: Family;
  /** It is an address of an interface of n1. */
  readonly isOnNode: boolean;
}

const hex = (number: number): string => number.toString(16);
const ADDRESSES: Readonly<Record<string, (number: number) => readonly [v4: string, v6: string]>> = {
  clusterIP: (number) => [`10.247.1.${number}`, `fd00:247::1${hex(256 + number)}`],
  free: (number) => [`10.247.200.${number}`, `fd00:247::2${hex(256 + number)}`],
  loadBalancer: (number) => [`100.64.1.${number}`, `2001:db8:64::${hex(number)}`],
  externalIP: (number) => [`198.51.100.${number}`, `2001:db8:51::${hex(number)}`],
};

function addressOf(kind: keyof typeof ADDRESSES, { number }: Case, family: Family): Addr {
  const both = ADDRESSES[kind]?.(number);
  if (both === undefined || number > 250) throw new Error(`no ${kind} is left for case ${number}`);
  return Addr.parse(both[family === 4 ? 0 : 1]);
}

const nodePortOf = ({ number }: Case): Port => portOf(30000 + number);
const healthPortOf = ({ number }: Case): Port => portOf(31000 + number);

export function targetOf(one: Case, name: TargetName, family: Family, onLoopback: boolean): Target {
  const at = (addr: Addr, port: number, isOnNode = false): Target => ({
    name,
    addr,
    port: portOf(port),
    family,
    isOnNode,
  });
  switch (name) {
    case 'clusterIP':
    case 'loadBalancer':
    case 'externalIP':
      return at(addressOf(name, one, family), 80);
    case 'clusterIP, other port':
      return at(addressOf('clusterIP', one, family), 81);
    case "clusterIP, node's own port":
      return at(addressOf('clusterIP', one, family), OWN_PORT);
    case "loadBalancer, node's own port":
      return at(addressOf('loadBalancer', one, family), OWN_PORT);
    case 'free clusterIP':
      return at(addressOf('free', one, family), 80);
    case 'nodePort':
      return at((onLoopback ? LOOPBACK : NODE)[family], nodePortOf(one), true);
    case 'nodePort, second address':
      return at(SECOND[family], nodePortOf(one), true);
    case 'healthCheckNodePort':
      return at(NODE[family], healthPortOf(one), true);
  }
}

export function serviceOf(one: Case): Service {
  const { name, labels = {}, service = {}, sourceRanges, ipMode } = one;
  const { type = 'LoadBalancer' } = service;
  const both = (kind: string) => ([4, 6] as const).map((family) => addressOf(kind, one, family).text);
  const clusterIPs = both('clusterIP');
  const port = (protocol: Protocol) => ({
    name: protocol.toLowerCase(),
    protocol,
    port: 80,
    ...(type === 'ClusterIP' ? {} : { nodePort: nodePortOf(one) }),
  });
  const isBalanced = type === 'LoadBalancer';
  const isHealthChecked = isBalanced && service.externalTrafficPolicy === 'Local';
  const ingress = both('loadBalancer').map((ip) => ({ ip, ...(ipMode === undefined ? {} : { ipMode }) }));
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: name.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase(), namespace: 'default', labels },
    spec: {
      type,
      clusterIP: clusterIPs[0] ?? '',
      clusterIPs,
      externalIPs: both('externalIP'),
      ports: protocolsOf(one).map(port),
      ...(sourceRanges === undefined ? {} : { loadBalancerSourceRanges: sourceRanges.flatMap(rangesOf) }),
      ...(isHealthChecked ? { healthCheckNodePort: healthPortOf(one) } : {}),
      ...service,
    },
    status: { loadBalancer: isBalanced ? { ingress } : {} },
  };
}

/** A Service takes SCTP if somebody comes by it. */
function protocolsOf({ flows }: Case): readonly Protocol[] {
  const all = flows.flatMap(({ protocols = [] }) => protocols);
  return all.includes('SCTP') ? ['TCP', 'UDP', 'SCTP'] : ['TCP', 'UDP'];
}

/** A machine stands for its addresses of both families. */
function rangesOf(range: string): string[] {
  if (!isPeer(range) && range !== 'n1') return [range];
  const addresses = addressesOf(range);
  return [addresses[4], addresses[6]].map((addr) => Prefix.host(addr).text);
}

export function slicesOf(one: Case): EndpointSlice[] {
  const service = serviceOf(one).metadata?.name ?? '';
  return ([4, 6] as const).map((family) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${service}-${family}`,
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': service },
    },
    addressType: `IPv${family}`,
    ports: protocolsOf(one).map((protocol) => ({
      name: protocol.toLowerCase(),
      protocol,
      port: TARGET_PORT,
    })),
    endpoints: (Object.keys(one.endpoints) as HostName[]).map((host) => {
      const written = one.endpoints[host] ?? 'ready';
      const { state, zones, nodes } = typeof written === 'string' ? { state: written } : { ...written };
      const hints = {
        ...(zones === undefined ? {} : { forZones: zones.map((name) => ({ name })) }),
        ...(nodes === undefined ? {} : { forNodes: nodes.map((name) => ({ name })) }),
      };
      return {
        addresses: [addressesOf(host)[family].text],
        nodeName: nodeOf(host),
        conditions: ENDPOINT_STATES[state],
        hints,
      };
    }),
  }));
}
