import type { Service } from './objects.ts';
import type { Writable } from './writable.ts';

type Spec = NonNullable<Writable<Service>['spec']>;

export type IPFamily = 'IPv4' | 'IPv6';

export interface DefaultsContext {
  /** The families of the service ranges, the primary one first. Default: IPv4 alone. */
  readonly serviceFamilies?: readonly IPFamily[];
}

/** Three hours (DefaultClientIPServiceAffinitySeconds). */
const AFFINITY_SECONDS = 10_800;

export function defaultService(service: Writable<Service>, context: DefaultsContext): void {
  service.spec ??= {};
  const spec = service.spec;
  spec.sessionAffinity ||= 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'ClientIP' && !spec.sessionAffinityConfig?.clientIP?.timeoutSeconds) {
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: AFFINITY_SECONDS } };
  }
  spec.type ||= 'ClusterIP';
  for (const port of spec.ports ?? []) {
    port.protocol ||= 'TCP';
    // 0 and the empty name both mean "left out".
    port.targetPort ||= port.port;
  }
  defaultPolicies(spec);
  if (spec.type === 'LoadBalancer') {
    spec.allocateLoadBalancerNodePorts ??= true;
    for (const ingress of service.status?.loadBalancer?.ingress ?? []) {
      if (ingress.ip) ingress.ipMode ??= 'VIP';
    }
  }
  if (spec.type !== 'ExternalName') defaultFamilies(spec, context.serviceFamilies ?? ['IPv4']);
  service.status ??= {};
  service.status.loadBalancer ??= {};
}

function defaultPolicies(spec: Spec): void {
  const external =
    spec.type === 'NodePort' ||
    spec.type === 'LoadBalancer' ||
    (spec.type === 'ClusterIP' && (spec.externalIPs ?? []).length > 0);
  if (external) spec.externalTrafficPolicy ||= 'Cluster';
  if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster';
}

/** Families follow the addresses given, else the cluster's (KEP-563; upstream: initIPFamilyFields). */
function defaultFamilies(spec: Spec, clusterFamilies: readonly IPFamily[]): void {
  if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
  const given = (spec.clusterIPs ?? []).filter((address) => address !== 'None' && address !== '');
  const isHeadless = spec.clusterIPs?.[0] === 'None';
  const selects = Object.keys(spec.selector ?? {}).length > 0;
  // Somebody else writes such a Service's endpoints, of any family.
  const anyFamily = isHeadless && !selects;
  const asksForTwo = given.length > 1 || (spec.ipFamilies ?? []).length > 1;
  spec.ipFamilyPolicy ??= anyFamily || asksForTwo ? 'RequireDualStack' : 'SingleStack';
  const [primary = 'IPv4'] = clusterFamilies;
  const families = new Set<string>(spec.ipFamilies ?? []);
  for (const address of given.slice(families.size)) families.add(address.includes(':') ? 'IPv6' : 'IPv4');
  if (families.size === 0) families.add(primary);
  const isDual = clusterFamilies.length > 1 && spec.ipFamilyPolicy === 'PreferDualStack';
  if (isDual || spec.ipFamilyPolicy === 'RequireDualStack') {
    families.add(families.has('IPv4') ? 'IPv6' : 'IPv4');
  }
  spec.ipFamilies = [...families];
}

const needsClusterIP = (spec: Spec): boolean => spec.type !== 'ExternalName';
const needsNodePort = (spec: Spec): boolean =>
  spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
const needsHealthCheck = (spec: Spec): boolean =>
  spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';

/**
 * A Service that is to replace `old`, with what the cluster allocated carried over where the new manifest leaves it out,
 * and with what only the old type had dropped (upstream: patchAllocatedValues and dropTypeDependentFields in
 * pkg/registry/core/service). Call it before {@link applyDefaults} fills the gaps that are left, and before allocation.
 */
export function carryOverService(service: Service, old: Service): Service {
  const next = structuredClone(service) as Writable<Service>;
  const [now, before] = [next.spec ?? {}, structuredClone(old.spec ?? {}) as Spec];
  now.type ||= 'ClusterIP';
  next.spec = now;
  carryClusterIPs(now, before);
  if (needsNodePort(before) && needsNodePort(now)) carryNodePorts(now, before);
  if (needsHealthCheck(before) && needsHealthCheck(now) && !now.healthCheckNodePort) {
    now.healthCheckNodePort = before.healthCheckNodePort ?? 0;
  }
  dropFieldsOfOldType(now, before);
  if (now.type !== 'LoadBalancer' && next.status !== undefined) next.status.loadBalancer = {};
  return next as Service;
}

function carryClusterIPs(now: Spec, before: Spec): void {
  const sameList = equal(now.clusterIPs, before.clusterIPs);
  // Whoever edits clusterIP alone means the list too.
  if (before.clusterIP !== now.clusterIP && now.clusterIP && sameList) now.clusterIPs = [now.clusterIP];
  if (!needsClusterIP(before) || !needsClusterIP(now)) return;
  if (!now.clusterIP && before.clusterIP && (sameList || !now.clusterIPs?.length)) {
    now.clusterIP = before.clusterIP;
  }
  if (!now.clusterIPs?.length && now.clusterIP === before.clusterIP && before.clusterIPs) {
    now.clusterIPs = before.clusterIPs;
  }
  if (before.ipFamilies && !now.ipFamilies?.length) {
    now.ipFamilies = before.ipFamilies.slice(0, now.clusterIPs?.length || 1);
  }
  if (before.ipFamilyPolicy) now.ipFamilyPolicy ??= before.ipFamilyPolicy;
}

/** A port keeps its node port as long as its number and protocol stay, whatever its place in the list. */
function carryNodePorts(now: Spec, before: Spec): void {
  const keyOf = (port: { protocol?: string; port: number }): string =>
    `${port.protocol ?? 'TCP'}/${port.port}`;
  const had = new Map((before.ports ?? []).map((port) => [keyOf(port), port.nodePort ?? 0]));
  const taken = new Set((now.ports ?? []).map(({ protocol = 'TCP', nodePort }) => `${protocol}/${nodePort}`));
  for (const port of now.ports ?? []) {
    const old = had.get(keyOf(port)) ?? 0;
    if (!port.nodePort && old !== 0 && !taken.has(`${port.protocol ?? 'TCP'}/${old}`)) port.nodePort = old;
  }
}

/** Fields the user did not touch go with the type that needed them; what the user changed is left to validation. */
function dropFieldsOfOldType(now: Spec, before: Spec): void {
  if (needsClusterIP(before) && !needsClusterIP(now)) {
    if (equal(now.clusterIPs, before.clusterIPs)) {
      delete now.clusterIP;
      delete now.clusterIPs;
    }
    if (equal(now.ipFamilies, before.ipFamilies)) delete now.ipFamilies;
    if (now.ipFamilyPolicy === before.ipFamilyPolicy) delete now.ipFamilyPolicy;
    if (now.internalTrafficPolicy === before.internalTrafficPolicy) delete now.internalTrafficPolicy;
  }
  const nodePorts = (spec: Spec) => (spec.ports ?? []).map(({ nodePort }) => nodePort ?? 0);
  if (needsNodePort(before) && !needsNodePort(now) && equal(nodePorts(now), nodePorts(before))) {
    for (const port of now.ports ?? []) delete port.nodePort;
  }
  if (needsHealthCheck(before) && !needsHealthCheck(now)) dropSame(now, before, 'healthCheckNodePort');
  if (before.type === 'LoadBalancer' && now.type !== 'LoadBalancer') {
    dropSame(now, before, 'allocateLoadBalancerNodePorts');
    dropSame(now, before, 'loadBalancerClass');
  }
  const isExternal = ({ type, externalIPs = [] }: Spec): boolean =>
    type === 'NodePort' || type === 'LoadBalancer' || (type === 'ClusterIP' && externalIPs.length > 0);
  if (isExternal(before) && !isExternal(now)) dropSame(now, before, 'externalTrafficPolicy');
}

function dropSame(now: Spec, before: Spec, key: keyof Spec): void {
  if (now[key] === before[key]) delete now[key];
}

const equal = (left: readonly unknown[] = [], right: readonly unknown[] = []): boolean =>
  left.length === right.length && left.every((one, at) => one === right[at]);
