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
  // Somebody else writes the endpoints of a headless Service without a selector: they may be of any family.
  const isFree = isHeadless && Object.keys(spec.selector ?? {}).length === 0;
  spec.ipFamilyPolicy ??= isFree ? 'RequireDualStack' : 'SingleStack';
  const [primary = 'IPv4'] = clusterFamilies;
  const families = new Set<string>(spec.ipFamilies ?? []);
  for (const address of given.slice(families.size)) families.add(address.includes(':') ? 'IPv6' : 'IPv4');
  if (families.size === 0) families.add(primary);
  if (spec.ipFamilyPolicy !== 'SingleStack' && (isFree || clusterFamilies.length > 1)) {
    families.add(families.has('IPv4') ? 'IPv6' : 'IPv4');
  }
  spec.ipFamilies = [...families];
}
