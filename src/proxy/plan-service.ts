import { Addr, Endpoint, type Family, Prefix, type Protocol, portOf } from '../ip/ip.ts';
import type { EndpointHints, EndpointSlice, Service, ServicePort, SliceEndpoint } from '../kube/objects.ts';
import { keyOf } from '../kube/objects.ts';
import type { NodeFacts, ProxyConfig } from './config.ts';
import { type Backend, type ChosenEndpoints, chooseEndpoints, type TrafficPolicy } from './endpoints.ts';
import type { ForwardingPlan, PlannedEndpoint, PortPlan, Problem, ServicePlan } from './plan.ts';

/** Another proxy forwards the Services that carry it. */
export const PROXY_NAME_LABEL = 'service.kubernetes.io/service-proxy-name';
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';
export const SOURCE_RANGES_ANNOTATION = 'service.beta.kubernetes.io/load-balancer-source-ranges';
/** The default of sessionAffinityConfig.clientIP.timeoutSeconds: three hours. */
const AFFINITY_SECONDS = 10800;

export interface PlannedService {
  /** Undefined for a Service that has no clusterIP: headless, ExternalName, or another proxy's. */
  readonly plan: ServicePlan | undefined;
  readonly problems: readonly Problem[];
}

/** The plan of all Services of a cluster for one node. */
export function planFor(
  node: NodeFacts,
  services: Iterable<Service>,
  slices: Iterable<EndpointSlice>,
  config: ProxyConfig,
): ForwardingPlan {
  const byService = Map.groupBy(slices, serviceOfSlice);
  const planned = Array.from(services, (service) =>
    planService(node, service, byService.get(keyOf(service)) ?? []),
  );
  const plans = planned.flatMap((one) => (one.plan === undefined ? [] : [one.plan]));
  return {
    node,
    config,
    services: new Map(plans.map((plan) => [plan.name, plan])),
    problems: planned.flatMap((one) => one.problems),
  };
}

/** `namespace/name` of the Service a slice belongs to. */
export function serviceOfSlice(slice: EndpointSlice): string {
  return `${slice.metadata?.namespace ?? ''}/${slice.metadata?.labels?.[SERVICE_NAME_LABEL] ?? ''}`;
}

/**
 * The plan of one Service from its own slices. What cannot be expressed (an address that is none, a port out of range) is
 * left out alone and reported.
 */
export function planService(
  node: NodeFacts,
  service: Service,
  slices: readonly EndpointSlice[],
): PlannedService {
  const name = keyOf(service);
  const problems: Problem[] = [];
  const attempt = <T>(what: string, make: () => T): T | undefined => {
    try {
      return make();
    } catch (error) {
      problems.push({ service: name, message: `${what}: ${error instanceof Error ? error.message : error}` });
      return undefined;
    }
  };
  const shape = attempt('service', () => shapeOf(service));
  if (shape === undefined) return { plan: undefined, problems };
  const ports = shape.clusterIPs.flatMap((clusterIP) => {
    const mine = slices.filter((slice) => slice.addressType === `IPv${clusterIP.family}`);
    return shape.ports.flatMap((port) => {
      const backends = attempt(`endpoints of port ${port.name ?? port.port}`, () =>
        backendsOf(node, mine, port),
      );
      const what = `port ${port.name ?? port.port}`;
      return attempt(what, () => planPort(node, shape, clusterIP, port, backends ?? [])) ?? [];
    });
  });
  const healthCheck = attempt('healthCheckNodePort', () => healthCheckOf(node, service, slices));
  const plan = { name, ports, ...(healthCheck === undefined ? {} : { healthCheck }) };
  return { plan, problems };
}

/** What all ports of a Service share. */
interface ServiceShape {
  readonly name: string;
  readonly clusterIPs: readonly Addr[];
  readonly ports: readonly ServicePort[];
  readonly externalIPs: readonly Addr[];
  readonly loadBalancerIPs: readonly Addr[];
  readonly sourceRanges: readonly Prefix[];
  readonly affinitySeconds: number | undefined;
  readonly internal: TrafficPolicy;
  readonly external: TrafficPolicy;
}

function shapeOf(service: Service): ServiceShape | undefined {
  const spec = service.spec ?? {};
  const { clusterIP, type = 'ClusterIP' } = spec;
  if (service.metadata?.labels?.[PROXY_NAME_LABEL] !== undefined) return undefined;
  if (type === 'ExternalName' || clusterIP === undefined || clusterIP === '' || clusterIP === 'None') {
    return undefined;
  }
  const ingress = type === 'LoadBalancer' ? (service.status?.loadBalancer?.ingress ?? []) : [];
  // ipMode Proxy (KEP-1860): the balancer wants to see every packet itself, so its address is not ours to capture.
  const captured = ingress.filter((one) => one.ip && (one as { ipMode?: string }).ipMode !== 'Proxy');
  const timeout = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SECONDS;
  return {
    name: keyOf(service),
    clusterIPs: (spec.clusterIPs ?? [clusterIP]).map((one) => Addr.parse(one)),
    ports: spec.ports ?? [],
    externalIPs: (spec.externalIPs ?? []).map((one) => Addr.parse(one)),
    loadBalancerIPs: captured.flatMap((one) => (one.ip === undefined ? [] : [Addr.parse(one.ip)])),
    sourceRanges: sourceRangesOf(service),
    affinitySeconds: spec.sessionAffinity === 'ClientIP' ? timeout : undefined,
    internal: spec.internalTrafficPolicy === 'Local' ? 'Local' : 'Cluster',
    external: spec.externalTrafficPolicy === 'Local' ? 'Local' : 'Cluster',
  };
}

function sourceRangesOf(service: Service): readonly Prefix[] {
  const written = service.spec?.loadBalancerSourceRanges ?? [];
  const noted = service.metadata?.annotations?.[SOURCE_RANGES_ANNOTATION] ?? '';
  const texts = written.length > 0 ? written : noted.split(',');
  return texts
    .map((one) => one.trim())
    .filter((one) => one !== '')
    .map((one) => Prefix.parse(one));
}

function planPort(
  node: NodeFacts,
  shape: ServiceShape,
  clusterIP: Addr,
  port: ServicePort,
  backends: readonly Backend[],
): PortPlan {
  const ofFamily = (addrs: readonly Addr[]) => addrs.filter((addr) => addr.family === clusterIP.family);
  const externalIPs = ofFamily(shape.externalIPs);
  const loadBalancerIPs = ofFamily(shape.loadBalancerIPs);
  const chosen = chooseEndpoints(backends, {
    internal: shape.internal,
    external: shape.external,
    externallyReachable: Boolean(port.nodePort) || externalIPs.length + loadBalancerIPs.length > 0,
    nodeName: node.name,
    ...(node.zone === undefined ? {} : { zone: node.zone }),
  });
  return {
    name: port.name ? `${shape.name}:${port.name}` : shape.name,
    family: clusterIP.family,
    protocol: protocolOf(port.protocol),
    clusterIP: new Endpoint(clusterIP, portOf(port.port)),
    externalIPs,
    loadBalancerIPs,
    internal: shape.internal,
    external: shape.external,
    ...(port.nodePort ? { nodePort: portOf(port.nodePort) } : {}),
    ...rangesFor(node, clusterIP.family, shape.sourceRanges, loadBalancerIPs),
    ...(shape.affinitySeconds === undefined ? {} : { affinitySeconds: shape.affinitySeconds }),
    ...plannedEndpoints(chosen),
    ...(port.protocol === 'UDP' ? sparedOf(backends, chosen) : {}),
  };
}

function sparedOf(backends: readonly Backend[], { reachable }: ChosenEndpoints): Pick<PortPlan, 'spared'> {
  const spared = backends.filter((one) => one.serving && !reachable.includes(one));
  return spared.length === 0 ? {} : { spared: spared.map(({ endpoint }) => endpoint) };
}

function plannedEndpoints(chosen: ChosenEndpoints): Pick<PortPlan, 'cluster' | 'local' | 'anyEndpoints'> {
  const plan = (some: readonly Backend[]): readonly PlannedEndpoint[] =>
    some
      .map(({ endpoint, local }) => ({ endpoint, local }))
      .sort((a, b) => a.endpoint.addr.compare(b.endpoint.addr) || a.endpoint.port - b.endpoint.port);
  return { cluster: plan(chosen.cluster), local: plan(chosen.local), anyEndpoints: chosen.any };
}

/**
 * Ranges of the other family do not count. Where the node's own address is allowed, so is the balancer's address as a
 * source: that is what the node dials from once it has bound the address (IPVS, or a balancer that announces by ARP).
 */
function rangesFor(
  node: NodeFacts,
  family: Family,
  ranges: readonly Prefix[],
  loadBalancerIPs: readonly Addr[],
): { sourceRanges?: readonly Prefix[] } {
  const mine = ranges.filter((range) => range.family === family);
  if (mine.length === 0 || mine.some((range) => range.length === 0)) return {};
  const nodeAllowed = node.ips.some((ip) => mine.some((range) => range.contains(ip)));
  const own = nodeAllowed ? loadBalancerIPs.map((ip) => Prefix.host(ip)) : [];
  return { sourceRanges: disjoint([...mine, ...own]) };
}

/** The same addresses without a prefix that another one covers: an nftables set takes no overlaps. */
function disjoint(prefixes: readonly Prefix[]): readonly Prefix[] {
  const widest = [...prefixes].sort((a, b) => a.length - b.length);
  return widest.filter((one, at) => !widest.slice(0, at).some((wider) => wider.covers(one)));
}

function protocolOf(text: string | undefined): Protocol {
  if (text === undefined || text === 'TCP' || text === 'UDP' || text === 'SCTP') return text ?? 'TCP';
  throw new Error(`'${text}' is not TCP, UDP or SCTP`);
}

/** The endpoints behind one port; one that two slices name counts once, and the slice that calls it ready is believed. */
function backendsOf(node: NodeFacts, slices: readonly EndpointSlice[], port: ServicePort): Backend[] {
  const backends = new Map<string, Backend>();
  for (const slice of slices) {
    const number = slice.ports?.find((one) => (one.name ?? '') === (port.name ?? ''))?.port;
    if (number === undefined) continue;
    for (const one of slice.endpoints ?? []) {
      const backend = backendOf(node, one, number);
      if (backend === undefined) continue;
      const { text } = backend.endpoint;
      if (backends.get(text)?.ready !== true) backends.set(text, backend);
    }
  }
  return [...backends.values()];
}

function backendOf(node: NodeFacts, one: SliceEndpoint, port: number): Backend | undefined {
  const address = one.addresses[0];
  if (address === undefined) return undefined;
  const { ready = true, serving = ready, terminating = false } = one.conditions ?? {};
  const hints: EndpointHints = one.hints ?? {};
  return {
    endpoint: new Endpoint(Addr.parse(address), portOf(port)),
    ready,
    serving,
    terminating,
    local: one.nodeName === node.name,
    zoneHints: (hints.forZones ?? []).map((zone) => zone.name),
    nodeHints: (hints.forNodes ?? []).map((named) => named.name),
  };
}

function healthCheckOf(
  node: NodeFacts,
  service: Service,
  slices: readonly EndpointSlice[],
): ServicePlan['healthCheck'] {
  const { spec } = service;
  if (spec?.type !== 'LoadBalancer' || spec.externalTrafficPolicy !== 'Local') return undefined;
  if (!spec.healthCheckNodePort) return undefined;
  const count = (family: Family): number => {
    const ready = slices
      .filter((slice) => slice.addressType === `IPv${family}`)
      .flatMap((slice) => slice.endpoints ?? [])
      .filter((one) => one.nodeName === node.name && (one.conditions?.ready ?? true));
    return new Set(ready.map((one) => one.addresses[0])).size;
  };
  return { port: portOf(spec.healthCheckNodePort), localEndpoints: { 4: count(4), 6: count(6) } };
}
