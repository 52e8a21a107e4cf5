import { parseAllDocuments } from 'yaml';
import { Prefix } from '../../src/ip/ip.ts';
import type { EndpointSlice, Service } from '../../src/kube/objects.ts';
import { DEFAULT_CONFIG, type DetectLocal, type ProxyConfig } from '../../src/proxy/proxy.ts';

/** The Services and slices of a YAML text, and the KubeProxyConfiguration if it opens with one. */
export function parseScenario(yaml: string): {
  services: Service[];
  slices: EndpointSlice[];
  configuration: object;
} {
  const objects = parseAllDocuments(yaml).map((document) => document.toJS() as { kind: string });
  return {
    services: objects.filter((one) => one.kind === 'Service') as Service[],
    slices: objects.filter((one) => one.kind === 'EndpointSlice') as EndpointSlice[],
    configuration: objects.find((one) => one.kind === 'KubeProxyConfiguration') ?? {},
  };
}

export interface ServiceParts {
  readonly name: string;
  readonly clusterIP: string;
  readonly spec?: Partial<Service['spec']>;
  /** Addresses a balancer would have written to the status. */
  readonly ingress?: readonly string[];
}

/** A Service with one TCP port 80 that leads to the pods' 8080. */
export function service({ name, clusterIP, spec, ingress = [] }: ServiceParts): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { type: 'ClusterIP', clusterIP, ports: [{ port: 80 }], ...spec },
    status: { loadBalancer: { ingress: ingress.map((ip) => ({ ip })) } },
  };
}

export type PodName = 'pod1' | 'pod2' | 'pod3';
const PODS = {
  pod1: { 4: '172.16.0.2', 6: 'fd00:172:16::2', node: 'n1' },
  pod2: { 4: '172.16.0.3', 6: 'fd00:172:16::3', node: 'n1' },
  pod3: { 4: '172.16.1.2', 6: 'fd00:172:16:1::2', node: 'n2' },
} as const;

/** The slice of a Service made by {@link service}. */
export function slice(service: string, pods: readonly PodName[], rest: SliceParts = {}): EndpointSlice {
  const { family = 4, conditions } = rest;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${service}-${family}`,
      namespace: 'default',
      labels: { 'kubernetes.io/service-name': service },
    },
    addressType: `IPv${family}`,
    ports: [{ name: '', port: 8080 }],
    endpoints: pods.map((pod) => ({
      addresses: [PODS[pod][family]],
      nodeName: PODS[pod].node,
      conditions: { ready: true, serving: true, terminating: false, ...conditions?.[pod] },
    })),
  };
}

export interface SliceParts {
  readonly family?: 4 | 6;
  readonly conditions?: Partial<
    Record<PodName, { ready?: boolean; serving?: boolean; terminating?: boolean }>
  >;
}

/** The fields of a KubeProxyConfiguration that scenarios use. */
interface Configuration {
  readonly iptables?: { readonly masqueradeAll?: boolean };
  readonly detectLocalMode?: 'None' | 'InterfaceNamePrefix';
  readonly detectLocal?: { readonly interfaceNamePrefix?: string };
  readonly nodePortAddresses?: readonly string[];
}

/** What {@link parseScenario}'s configuration asks for. */
export function configOf(configuration: object): ProxyConfig {
  const { iptables, detectLocalMode, detectLocal, nodePortAddresses = [] }: Configuration = configuration;
  const detect: DetectLocal =
    detectLocalMode === 'InterfaceNamePrefix'
      ? { mode: detectLocalMode, prefix: detectLocal?.interfaceNamePrefix ?? '' }
      : { mode: detectLocalMode ?? 'NodeCIDR' };
  return {
    ...DEFAULT_CONFIG,
    masqueradeAll: iptables?.masqueradeAll ?? false,
    detectLocal: detect,
    nodePortAddresses: nodePortAddresses.map((one) => Prefix.parse(one)),
    serviceCIDRs: [Prefix.parse('10.247.0.0/16')],
  };
}
