/**
 * A cluster as a small value: what fast-check makes up and shrinks, what a regression is stored as, and the objects it
 * stands for. Everything is small numbers and words, so that a file of it can be read.
 */
import { Addr, type Family } from '../../src/ip/ip.ts';
import type { EndpointSlice, Node, Pod, Service } from '../../src/kube/objects.ts';
import { selectsPod, slicesOf } from '../../src/kube/service-endpoints.ts';
import {
  type Cluster,
  clusterFrom,
  inventoryOfCluster,
  type Manifest,
} from '../../src/world/from-objects/from-objects.ts';
import {
  type ClusterProfile,
  familiesOf,
  familyText,
  type ProfileSpec,
  profileOf,
} from '../../src/world/profile.ts';
import { inEach, written } from './families.ts';
import { type ForeignRule, type NodeSettings, withForeignRules, withNodeSettings } from './foreign-rules.ts';

export interface Scenario {
  readonly profile: ProfileSpec;
  readonly nodes: number;
  readonly pods: readonly ScenarioPod[];
  readonly services: readonly ScenarioService[];
  /** A machine of the VPC that answers on {@link OPEN}, beside the one that only asks. */
  readonly hasVpcServer?: boolean;
  /** A NAT gateway that leads to the first node port on this node. */
  readonly natTo?: number;
  readonly settings?: NodeSettings;
  readonly foreign?: readonly ForeignRule[];
}

export interface ScenarioPod {
  readonly node: number;
  readonly app: 'a' | 'b' | 'client';
  readonly hostNetwork?: boolean;
  readonly state?: 'notReady' | 'terminating' | 'drained';
}

export interface ScenarioService {
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
  /** In a dual-stack cluster: of its primary family alone, or of the other one; of both unless said. */
  readonly stack?: 'single' | 'other';
  readonly app: 'a' | 'b' | 'nobody';
  readonly ports: readonly ScenarioPort[];
  readonly external?: 'Local';
  readonly internal?: 'Local';
  readonly affinity?: boolean;
  /** Topology hints by zone or by node; `some`: one endpoint has none, so that they count for nothing. */
  readonly hints?: 'zones' | 'nodes' | 'some';
  readonly sourceRanges?: readonly string[];
  readonly externalIPs?: readonly string[];
  /** Which addresses the cloud gives a LoadBalancer. */
  readonly ingress?: readonly ('private' | 'public')[];
  readonly ipMode?: 'Proxy';
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ScenarioPort {
  readonly protocol: 'TCP' | 'UDP';
  /** Nothing listens where a Service sends to `closed`. */
  readonly target: 'open' | 'closed' | 'named';
}

/** Where every pod listens, on both protocols. */
export const OPEN = 8080;
export const CLOSED = 8099;
/** A pod of the host network listens elsewhere, each on its own, for two on one node must not meet. */
export const hostPort = (pod: number): number => 9000 + pod;

export const servicePort = (port: number): number => 80 + port;
export const nodePort = (service: number, port: number): number => 30000 + 10 * service + port;
export const GATEWAY = '100.64.1.201';
export const VPC_SERVER = '192.168.3.101';
export const VPC_CLIENT = '192.168.3.100';
const cloudAddress = (service: number, side: 'private' | 'public') =>
  side === 'private' ? `192.168.5.${10 + service}` : `100.64.2.${10 + service}`;

export const nodeName = (at: number): string => `n${at + 1}`;
export const nodeAddress = (at: number): string => `192.168.0.${11 + at}`;
export const podNameOf = (at: number): string => `pod-${at}`;

export function podAddress({ network }: ClusterProfile, pod: ScenarioPod, at: number): string {
  if (pod.hostNetwork) return nodeAddress(pod.node);
  return network === 'eni' ? `192.168.${65 + pod.node}.${10 + at}` : `172.16.${1 + pod.node}.${10 + at}`;
}

/** The cluster that a scenario stands for. Throws a Fault FE011 for one that cannot be. */
export function clusterOf(scenario: Scenario): Cluster {
  const profile = profileOfScenario(scenario);
  const nodes = Array.from({ length: scenario.nodes }, (_, at) => nodeObject(profile, at));
  const pods = scenario.pods.map((pod, at) => podObject(profile, pod, at));
  const services = scenario.services.map((service, at) => serviceObject(profile, service, at));
  const slices = scenario.services.flatMap(({ hints }, at) => {
    const service = services[at];
    return hints === undefined || service === undefined ? [] : hintedSlices(service, pods, hints);
  });
  const listed = { nodes, pods, services, slices };
  const cluster = clusterFrom(inventoryOfCluster(listed, cloudObjects(profile, scenario)), profile);
  const { settings, foreign } = scenario;
  // Left as it is where nothing foreign is in it.
  const set = settings === undefined ? cluster.world : withNodeSettings(cluster.world, settings);
  return { ...cluster, world: foreign === undefined ? set : withForeignRules(set, foreign) };
}

/** The ranges where node ports listen are written in IPv4 and meant in each family. */
function profileOfScenario({ profile }: Scenario): ClusterProfile {
  const { nodePortAddresses } = profile;
  if (nodePortAddresses === undefined || !nodePortAddresses.includes('/')) return profileOf(profile);
  const ranges = inEach(profileOf(profile), ...nodePortAddresses.split(','));
  return profileOf({ ...profile, nodePortAddresses: ranges.join(',') });
}

const zoneOf = (node: number): string => `zone-${node % 2}`;

/** The slices a cluster would make of the Service, with hints that lead to the endpoints of one's own zone or node. */
function hintedSlices(
  service: Service,
  pods: readonly Pod[],
  hints: 'zones' | 'nodes' | 'some',
): EndpointSlice[] {
  const own = pods.filter((pod) => selectsPod(service, pod));
  return slicesOf(service, own, () => undefined).map((slice) => ({
    ...slice,
    endpoints: slice.endpoints.map((endpoint, at) => {
      const { nodeName = '' } = endpoint;
      const zone = zoneOf(Number(nodeName.slice(1)) - 1);
      if (hints === 'some' && at === 0) return endpoint;
      const told = hints === 'nodes' ? { forNodes: [{ name: nodeName }] } : { forZones: [{ name: zone }] };
      return { ...endpoint, hints: told };
    }),
  }));
}

function nodeObject(profile: ClusterProfile, at: number): Node {
  const podCIDRs = inEach(profile, `172.16.${1 + at}.0/24`);
  const addresses = (type: string, text: string) =>
    inEach(profile, text).map((address) => ({ type, address }));
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: nodeName(at), labels: { 'topology.kubernetes.io/zone': zoneOf(at) } },
    spec: profile.network === 'eni' ? {} : { podCIDR: podCIDRs[0] ?? '', podCIDRs },
    status: {
      addresses: [
        ...addresses('InternalIP', nodeAddress(at)),
        ...addresses('ExternalIP', `100.64.1.${1 + at}`),
      ],
    },
  };
}

function podObject(profile: ClusterProfile, pod: ScenarioPod, at: number): Pod {
  const { app, hostNetwork = false, state, node } = pod;
  const port = hostNetwork ? hostPort(at) : OPEN;
  const isDeleted = state === 'terminating' || state === 'drained';
  const isReady = state === undefined || state === 'terminating';
  const podIPs = inEach(profile, podAddress(profile, pod, at));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podNameOf(at),
      namespace: 'default',
      labels: { app },
      ...(isDeleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: {
      nodeName: nodeName(node),
      hostNetwork,
      containers: [
        {
          name: 'main',
          ports: (['TCP', 'UDP'] as const).map((protocol) => ({
            name: `p-${protocol.toLowerCase()}`,
            containerPort: port,
            protocol,
          })),
        },
      ],
    },
    status: {
      phase: 'Running',
      podIP: podIPs[0] ?? '',
      podIPs: podIPs.map((ip) => ({ ip })),
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
    },
  };
}

function serviceObject(profile: ClusterProfile, service: ScenarioService, at: number): Service {
  const { type, app, affinity, sourceRanges, externalIPs, annotations = {}, ingress = [], ipMode } = service;
  const ports = service.ports.map(({ protocol, target }, index) => ({
    name: `port-${index}`,
    protocol,
    port: servicePort(index),
    targetPort: { open: OPEN, closed: CLOSED, named: `p-${protocol.toLowerCase()}` }[target],
    ...(type === 'ClusterIP' ? {} : { nodePort: nodePort(at, index) }),
  }));
  const families = familiesOfService(profile, service);
  const clusterIPs = families.map((family) => written(family, clusterAddress(at)));
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: serviceName(at), namespace: 'default', annotations },
    spec: {
      type,
      clusterIP: clusterIPs[0] ?? '',
      clusterIPs,
      ipFamilies: families.map(familyText),
      selector: { app },
      ports,
      ...(service.external === undefined || type === 'ClusterIP'
        ? {}
        : { externalTrafficPolicy: service.external }),
      ...(service.internal === undefined ? {} : { internalTrafficPolicy: service.internal }),
      ...(affinity === true ? { sessionAffinity: 'ClientIP' } : {}),
      ...(sourceRanges === undefined ? {} : { loadBalancerSourceRanges: inEach(profile, ...sourceRanges) }),
      ...(externalIPs === undefined ? {} : { externalIPs: inEach(profile, ...externalIPs) }),
    },
    ...(type === 'LoadBalancer'
      ? {
          status: {
            loadBalancer: {
              ingress: ingress.flatMap((side) =>
                families.map((family) => ({
                  ip: written(family, cloudAddress(at, side)),
                  ...(ipMode === undefined ? {} : { ipMode }),
                })),
              ),
            },
          },
        }
      : {}),
  };
}

export const clusterAddress = (service: number): string => `10.247.0.${10 + service}`;

export function familiesOfService(profile: ClusterProfile, { stack }: ScenarioService): Family[] {
  const all = familiesOf(profile);
  if (stack === undefined) return all;
  return stack === 'single' ? all.slice(0, 1) : all.slice(-1);
}

export const serviceName = (at: number): string => `svc-${at}`;

/** What a cloud knows, as manifests. */
function cloudObjects(profile: ClusterProfile, scenario: Scenario): Manifest[] {
  const addresses = (type: string, text: string) =>
    inEach(profile, text).map((address) => ({ type, address }));
  const manifest = (kind: string, name: string, spec: object): Manifest => ({
    value: { apiVersion: 'fairlead.dev/v1alpha1', kind, metadata: { name }, spec },
    place: () => `${kind}/${name}`,
  });
  const host = (name: string, address: string, ports: readonly number[]) =>
    manifest('Host', name, {
      addresses: addresses('private', address),
      listeners: ports.map((port) => ({ protocol: 'TCP', port })),
    });
  const { natTo, hasVpcServer = false, nodes } = scenario;
  return [
    host('vpc-client', VPC_CLIENT, []),
    ...(hasVpcServer ? [host('vpc-server', VPC_SERVER, [OPEN])] : []),
    ...(natTo === undefined || natTo >= nodes
      ? []
      : [
          manifest('NatGateway', 'gateway', {
            addresses: addresses('public', GATEWAY),
            dnat: familiesOf(profile).map((family) => ({
              address: written(family, GATEWAY),
              protocol: 'TCP',
              port: 80,
              to: { address: written(family, nodeAddress(natTo)), port: nodePort(0, 0) },
            })),
          }),
        ]),
  ];
}

/** The addresses of one Service's balancer, whether there is one or not. */
export function cloudAddressesOf(profile: ClusterProfile, service: ScenarioService, at: number): Addr[] {
  if (service.type !== 'LoadBalancer') return [];
  return familiesOfService(profile, service).flatMap((family) =>
    (service.ingress ?? []).map((side) => Addr.parse(written(family, cloudAddress(at, side)))),
  );
}
