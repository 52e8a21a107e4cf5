import { stringify } from 'yaml';
import {
  type Cluster,
  chooseProfile,
  clusterFrom,
  inventoryOf,
  parseManifests,
} from '../../src/world/from-objects/from-objects.ts';

/** Everything about a cluster that the documents leave open, so that a test can choose it at random. */
export interface Setting {
  readonly names: {
    readonly nodes: readonly [server: string, other: string, ...more: string[]];
    readonly service: string;
    readonly namespace: string;
  };
  /** The first two octets of the ranges. */
  readonly vpc: string;
  readonly pods: string;
  readonly services: string;
  readonly elastic: string;
  /** The last octet of the first node's address; the others follow. */
  readonly firstNode: number;
  readonly replicas: number;
  readonly port: number;
  readonly targetPort: number;
  readonly nodePort: number;
}

export const PLAIN: Setting = {
  names: { nodes: ['n1', 'n2', 'n3'], service: 'nginx', namespace: 'default' },
  vpc: '192.168',
  pods: '10.0',
  services: '10.247',
  elastic: '100.64.1',
  firstNode: 11,
  replicas: 1,
  port: 80,
  targetPort: 80,
  nodePort: 30080,
};

export interface CaseProfile {
  readonly cloud: string;
  readonly network: string;
  readonly proxyMode: string;
  readonly kubernetesVersion: string;
}

/** What differs from case to case beside the profile. */
export interface ServiceShape {
  readonly type: 'NodePort' | 'LoadBalancer';
  readonly policy: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** What status.loadBalancer holds: the balancer's or gateway's addresses. */
  readonly ingress: readonly string[];
  /** The balancer has a listener 443 of somebody else. */
  readonly isShared: boolean;
  /** A process on each node listens on 443. */
  readonly hasProcess: boolean;
}

type Objects = Readonly<Record<string, unknown>>[];

const FAIRLEAD = 'fairlead.dev/v1alpha1';
export const BALANCER = 'lb-1';

/** The addresses of a setting. */
export function addressesOf({ vpc, elastic, firstNode, names }: Setting) {
  const nodes = names.nodes.map((_, at) => ({
    private: `${vpc}.0.${firstNode + at}`,
    public: `${elastic}.${1 + at}`,
  }));
  return {
    nodes,
    balancer: { private: `${vpc}.1.200`, public: `${elastic}.200` },
    gateway: `${elastic}.201`,
    backend: `${vpc}.4.200`,
    vpcHost: `${vpc}.3.100`,
  };
}

/** The cluster of a case, through the YAML a user would write. */
export function clusterOf(setting: Setting, profile: CaseProfile, shape: ServiceShape): Cluster {
  const objects = [
    ...profileObjects(setting, profile),
    ...nodeObjects(setting, profile),
    ...podObjects(setting, profile, shape),
    ...cloudObjects(setting, shape),
    serviceObject(setting, shape),
  ];
  const text = objects.map((object) => stringify(object, { version: '1.1' })).join('---\n');
  const inventory = inventoryOf(parseManifests('case.yaml', text), 'default');
  return clusterFrom(inventory, chooseProfile(inventory, {}));
}

function profileObjects({ vpc, pods, services }: Setting, profile: CaseProfile): Objects {
  const podCIDR = profile.network === 'eni' ? `${vpc}.50.0/24` : `${pods}.0.0/16`;
  const spec = { ...profile, podCIDR, serviceCIDR: `${services}.0.0/16`, vpcCIDR: `${vpc}.0.0/16` };
  return [{ apiVersion: FAIRLEAD, kind: 'ClusterProfile', metadata: { name: 'case' }, spec }];
}

function nodeObjects(setting: Setting, { network }: CaseProfile): Objects {
  const { nodes } = addressesOf(setting);
  return setting.names.nodes.map((name, at) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    spec: network === 'eni' ? {} : { podCIDR: `${setting.pods}.${1 + at}.0/24` },
    status: {
      addresses: [
        { type: 'InternalIP', address: nodes[at]?.private },
        { type: 'ExternalIP', address: nodes[at]?.public },
      ],
    },
  }));
}

function podObjects(setting: Setting, profile: CaseProfile, { hasProcess }: ServiceShape): Objects {
  const { names, targetPort, replicas } = setting;
  const [server] = names.nodes;
  const addressOn = (at: number, host: number) =>
    profile.network === 'eni'
      ? `${setting.vpc}.50.${10 + at * 20 + host}`
      : `${setting.pods}.${1 + at}.${10 + host}`;
  const pod = (name: string, nodeName: string, podIP: string, rest: object, labels: object) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: names.namespace, labels },
    spec: { nodeName, ...rest },
    status: { phase: 'Running', podIP, conditions: [{ type: 'Ready', status: 'True' }] },
  });
  const serving = (port: number) => ({ containers: [{ name: 'a', ports: [{ containerPort: port }] }] });
  const idle = { containers: [{ name: 'a' }] };
  const { nodes } = addressesOf(setting);
  return [
    ...Array.from({ length: replicas }, (_, at) =>
      pod(`server-${at}`, server, addressOn(0, 1 + at), serving(targetPort), { app: names.service }),
    ),
    ...names.nodes.map((node, at) => pod(clientOn(node), node, addressOn(at, 9), idle, {})),
    ...names.nodes.flatMap((node, at) => {
      const own = nodes[at]?.private ?? '';
      const spec = { hostNetwork: true, ...serving(443) };
      return hasProcess ? [pod(`process-${node}`, node, own, spec, {})] : [];
    }),
  ];
}

/** The client pod of a node. */
export const clientOn = (node: string): string => `client-${node}`;

function cloudObjects(setting: Setting, { isShared }: ServiceShape): Objects {
  const { balancer, backend, vpcHost } = addressesOf(setting);
  const host = (name: string, address: string, listeners: object[]) => ({
    apiVersion: FAIRLEAD,
    kind: 'Host',
    metadata: { name },
    spec: { addresses: [{ type: 'private', address }], listeners },
  });
  const shared = {
    apiVersion: FAIRLEAD,
    kind: 'LoadBalancer',
    metadata: { name: BALANCER },
    spec: {
      addresses: Object.entries(balancer).map(([type, address]) => ({ type, address })),
      keepClientAddress: true,
      listeners: [{ protocol: 'TCP', port: 443, members: [{ address: backend, port: 8443 }] }],
    },
  };
  const others = isShared ? [shared, host('backend', backend, [{ protocol: 'TCP', port: 8443 }])] : [];
  return [...others, host('vpc-client', vpcHost, [])];
}

function serviceObject(setting: Setting, { type, policy, annotations, ingress }: ServiceShape) {
  const { names, port, targetPort, nodePort, services } = setting;
  const { service: name, namespace } = names;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, annotations },
    spec: {
      type,
      clusterIP: `${services}.0.10`,
      externalTrafficPolicy: policy,
      selector: { app: name },
      ports: [{ name: 'http', port, targetPort, nodePort, protocol: 'TCP' }],
    },
    ...(ingress.length === 0 ? {} : { status: { loadBalancer: { ingress: ingress.map((ip) => ({ ip })) } } }),
  };
}
