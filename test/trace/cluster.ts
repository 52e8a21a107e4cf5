/** A cluster of three nodes with Services of every kind, as one World: what is walked and what is built. */
import { Addr, type Port, portOf } from '../../src/ip/ip.ts';
import type { EndpointSlice, Service } from '../../src/kube/objects.ts';
import { compileIptables, compileNftables, type ProxyConfig, planFor } from '../../src/proxy/proxy.ts';
import { buildCluster } from '../../src/world/build.ts';
import { defaultNodes, type NodeFacts, type PodFacts } from '../../src/world/facts.ts';
import { type ClusterProfile, type ProfileSpec, profileOf } from '../../src/world/profile.ts';
import { proxyConfigOf } from '../../src/world/proxy-config.ts';
import type { Host, Listener, World } from '../../src/world/world.ts';

const EIGHTY = portOf(80);
const both = (port: Port): Listener[] => [
  { protocol: 'TCP', port },
  { protocol: 'UDP', port },
];

export interface ServiceCase {
  readonly name: string;
  readonly clusterIP: string;
  readonly nodePort: number;
  readonly pods: readonly string[];
  readonly targetPort?: number;
  readonly spec?: Partial<Service['spec']>;
  /** A balancer's address, captured by the nodes. */
  readonly ingress?: string;
}

/** The pods that answer: one on n1, one on n2. */
export const SERVICES: readonly ServiceCase[] = [
  { name: 'cluster', clusterIP: '10.247.0.10', nodePort: 30010, pods: ['one', 'two'] },
  { name: 'single', clusterIP: '10.247.0.11', nodePort: 30011, pods: ['one'] },
  {
    name: 'local',
    clusterIP: '10.247.0.12',
    nodePort: 30012,
    pods: ['one'],
    spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Local' },
    ingress: '100.64.9.12',
  },
  {
    name: 'local2',
    clusterIP: '10.247.0.13',
    nodePort: 30013,
    pods: ['one', 'two'],
    spec: { externalTrafficPolicy: 'Local', externalIPs: ['100.64.9.13'] },
  },
  { name: 'none', clusterIP: '10.247.0.14', nodePort: 30014, pods: [] },
  { name: 'closed', clusterIP: '10.247.0.15', nodePort: 30015, pods: ['one'], targetPort: 8099 },
  {
    name: 'inner',
    clusterIP: '10.247.0.16',
    nodePort: 30016,
    pods: ['one'],
    spec: { internalTrafficPolicy: 'Local' },
  },
  {
    name: 'ranges',
    clusterIP: '10.247.0.17',
    nodePort: 30017,
    pods: ['one'],
    spec: { type: 'LoadBalancer', loadBalancerSourceRanges: ['192.168.0.12/32', '172.16.2.0/24'] },
    ingress: '100.64.9.17',
  },
  {
    name: 'sticky',
    clusterIP: '10.247.0.18',
    nodePort: 30018,
    pods: ['one', 'two'],
    spec: { sessionAffinity: 'ClientIP' },
  },
];

export interface Cluster {
  readonly profile: ClusterProfile;
  readonly nodes: readonly NodeFacts[];
  readonly world: World;
}

/** @param bridgeNfCallIptables whether what the nodes' bridges switch passes their rules */
export function clusterOf(spec: ProfileSpec, bridgeNfCallIptables = false): Cluster {
  const profile = profileOf(spec);
  // Not by UDP: a process on all addresses of a node answers datagrams from whichever the way back suggests.
  const listeners: Listener[] = [{ protocol: 'TCP', port: EIGHTY }];
  const nodes = defaultNodes(profile, 3).map((node) => ({ ...node, listeners }));
  const pods = podsOf(nodes);
  const external = { name: 'external', address: Addr.parse('203.0.113.10'), listeners: both(EIGHTY) };
  const ecs = { name: 'ecs', address: Addr.parse('192.168.3.100'), listeners: both(EIGHTY) };
  const world = buildCluster({ profile, nodes, pods, vpcHosts: [ecs], outside: [external] });
  const hosts = new Map(world.hosts);
  for (const node of nodes) {
    const host = hosts.get(node.name);
    if (host === undefined) continue;
    const sysctls = { ...host.sysctls, bridgeNfCallIptables };
    hosts.set(node.name, withService({ ...host, sysctls }, node, profile, pods));
  }
  return { profile, nodes, world: { ...world, hosts } };
}

function podsOf(nodes: readonly NodeFacts[]): PodFacts[] {
  const [n1, n2] = nodes;
  if (n1 === undefined || n2 === undefined) throw new Error('the cluster has three nodes');
  const pod = (name: string, node: NodeFacts, at: number): PodFacts => ({
    namespace: 'default',
    name,
    node: node.name,
    address: node.podCIDR?.at(at) ?? node.address,
    listeners: both(EIGHTY),
  });
  return [pod('one', n1, 10), pod('near', n1, 11), pod('two', n2, 10), pod('far', n2, 11)];
}

function withService(host: Host, node: NodeFacts, profile: ClusterProfile, pods: readonly PodFacts[]): Host {
  const facts = { name: node.name, ips: [node.address], podCIDRs: node.podCIDR ? [node.podCIDR] : [] };
  const services = SERVICES.map(serviceOf);
  const slices = SERVICES.map((one) => sliceOf(one, pods));
  const plan = planFor(facts, services, slices, configOf(profile));
  const packetFilter =
    profile.proxyMode === 'nftables'
      ? { nftables: compileNftables(plan) }
      : { iptables: compileIptables(plan) };
  return { ...host, packetFilter };
}

const configOf = (profile: ClusterProfile): ProxyConfig => ({ ...proxyConfigOf(profile), serviceCIDRs: [] });

function serviceOf({ name, clusterIP, nodePort, spec, ingress }: ServiceCase): Service {
  const port = (protocol: 'TCP' | 'UDP') => ({ name: protocol.toLowerCase(), port: 80, nodePort, protocol });
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { type: 'NodePort', clusterIP, ports: [port('TCP'), port('UDP')], ...spec },
    status: { loadBalancer: { ingress: ingress === undefined ? [] : [{ ip: ingress }] } },
  };
}

function sliceOf(
  { name, pods: names, targetPort = 80 }: ServiceCase,
  pods: readonly PodFacts[],
): EndpointSlice {
  const chosen = pods.filter((pod) => names.includes(pod.name));
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [
      { name: 'tcp', port: targetPort, protocol: 'TCP' },
      { name: 'udp', port: targetPort, protocol: 'UDP' },
    ],
    endpoints: chosen.map((pod) => ({
      addresses: [pod.address.text],
      nodeName: pod.node,
      conditions: { ready: true, serving: true, terminating: false },
    })),
  };
}

/** Where clients may be: a pod that is an endpoint, pods beside it and elsewhere, nodes, and machines outside. */
export const CLIENTS = [
  'default/one',
  'default/near',
  'default/far',
  'n1',
  'n2',
  'n3',
  'ecs',
  'external',
] as const;

export interface Address {
  readonly what: string;
  readonly address: Addr;
  readonly port: Port;
}

/** Every address under which the Services, the pods and the nodes may be dialled. */
export function addressesOf({ nodes, world }: Cluster): Address[] {
  const at = (what: string, address: string | Addr, port: number): Address => ({
    what,
    address: typeof address === 'string' ? Addr.parse(address) : address,
    port: portOf(port),
  });
  const services = SERVICES.flatMap(({ name, clusterIP, nodePort, spec, ingress }) => [
    at(`${name} clusterIP`, clusterIP, 80),
    ...nodes.flatMap((node) => [
      at(`${name} nodePort ${node.name}`, node.address, nodePort),
      ...(node.elastic === undefined
        ? []
        : [at(`${name} nodePort ${node.name} public`, node.elastic, nodePort)]),
    ]),
    ...(ingress === undefined ? [] : [at(`${name} balancer`, ingress, 80)]),
    ...(spec?.externalIPs ?? []).map((ip) => at(`${name} externalIP`, ip, 80)),
  ]);
  const ends = [...world.hosts.values()]
    .filter(({ role }) => role === 'pod' || role === 'node')
    .flatMap((host) => {
      const addr = host.interfaces.find(({ kind }) => kind !== 'loopback')?.addresses[0]?.addr;
      return addr === undefined ? [] : [at(host.name, addr, 80), at(`${host.name} closed`, addr, 81)];
    });
  return [...services, ...ends, at('a clusterIP of nobody', '10.247.9.9', 80)];
}
