/**
 * What an update leaves out and the Service keeps, and what a change of type takes away
 * (upstream: pkg/registry/core/service/{strategy.go,storage/storage.go}: patchAllocatedValues, dropTypeDependentFields).
 */
import type { Service } from '../../kube/objects.ts';

type Spec = NonNullable<Service['spec']>;

export const needsClusterIP = ({ type }: Spec): boolean => type !== 'ExternalName';

export const needsNodePorts = ({ type, allocateLoadBalancerNodePorts }: Spec): boolean =>
  type === 'NodePort' || (type === 'LoadBalancer' && allocateLoadBalancerNodePorts !== false);

export const mayHaveNodePorts = ({ type }: Spec): boolean => type === 'NodePort' || type === 'LoadBalancer';

export const needsHealthCheckNodePort = ({ type, externalTrafficPolicy }: Spec): boolean =>
  type === 'LoadBalancer' && externalTrafficPolicy === 'Local';

/** clusterIP and clusterIPs[0] say the same: a client of old writes only the first. `old` is what stands. */
export function joinClusterIPs(spec: Spec, old?: Spec): void {
  const { clusterIP = '', clusterIPs = [] } = spec;
  if (clusterIP !== '' && clusterIPs.length === 0) spec.clusterIPs = [clusterIP];
  if (old === undefined) return;
  // The client changed or cleared clusterIP alone, and sent clusterIPs back as it had read them.
  const listUnchanged = JSON.stringify(clusterIPs) === JSON.stringify(old.clusterIPs ?? []);
  if (clusterIP === (old.clusterIP ?? '') || !listUnchanged) return;
  if (clusterIP === '') delete spec.clusterIPs;
  else spec.clusterIPs = [clusterIP];
}

/** Fills in what was allocated before and is left out now. Changes `spec`. */
export function keepAllocated(spec: Spec, old: Spec): void {
  if (needsClusterIP(spec) && needsClusterIP(old)) {
    if ((spec.clusterIP ?? '') === '' && old.clusterIP !== undefined) spec.clusterIP = old.clusterIP;
    if (
      (spec.clusterIPs ?? []).length === 0 &&
      spec.clusterIP === old.clusterIP &&
      old.clusterIPs !== undefined
    ) {
      spec.clusterIPs = [...old.clusterIPs];
    }
    spec.ipFamilies ??= old.ipFamilies ?? [];
    if (spec.ipFamilies.length === 0) delete spec.ipFamilies;
    if (spec.ipFamilyPolicy === undefined && old.ipFamilyPolicy !== undefined) {
      spec.ipFamilyPolicy = old.ipFamilyPolicy;
    }
    trimToSingleStack(spec, old);
  }
  if (mayHaveNodePorts(spec) && mayHaveNodePorts(old)) keepNodePorts(spec, old);
  if (
    needsHealthCheckNodePort(spec) &&
    needsHealthCheckNodePort(old) &&
    old.healthCheckNodePort !== undefined
  ) {
    spec.healthCheckNodePort ||= old.healthCheckNodePort;
  }
}

/**
 * To set SingleStack and leave the rest as it was read is to ask for the first family alone; whoever names other addresses or
 * families as well has them judged as they are.
 */
function trimToSingleStack(spec: Spec, old: Spec): void {
  if (spec.ipFamilyPolicy !== 'SingleStack') return;
  const { clusterIPs = [], ipFamilies = [] } = spec;
  const same = (a: readonly string[], b: readonly string[] = []) => JSON.stringify(a) === JSON.stringify(b);
  if (clusterIPs.length > 1 && same(clusterIPs, old.clusterIPs)) spec.clusterIPs = clusterIPs.slice(0, 1);
  if (ipFamilies.length > 1 && same(ipFamilies, old.ipFamilies)) spec.ipFamilies = ipFamilies.slice(0, 1);
}

/** A port of the same number and protocol keeps its node port, unless the update gives that to another. */
function keepNodePorts(spec: Spec, old: Spec): void {
  const ports = spec.ports ?? [];
  const key = ({ port, protocol = 'TCP' }: (typeof ports)[number]) => `${port}/${protocol}`;
  const before = new Map((old.ports ?? []).map((one) => [key(one), one.nodePort]));
  const used = new Set(ports.map(({ nodePort }) => nodePort));
  for (const one of ports) {
    const kept = before.get(key(one));
    if (!one.nodePort && kept !== undefined && !used.has(kept)) one.nodePort = kept;
  }
}

/** Drops what the new type has no use for, if the client only sent back what it had read. Changes `spec`. */
export function dropForType(spec: Spec, old: Spec): void {
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  if (needsClusterIP(old) && !needsClusterIP(spec) && same(spec.clusterIPs, old.clusterIPs)) {
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const)
      delete spec[field];
  }
  if (mayHaveNodePorts(old) && !mayHaveNodePorts(spec) && same(nodePortsOf(spec), nodePortsOf(old))) {
    for (const port of spec.ports ?? []) delete port.nodePort;
    if (spec.externalTrafficPolicy === old.externalTrafficPolicy) delete spec.externalTrafficPolicy;
  }
  if (needsHealthCheckNodePort(old) && !needsHealthCheckNodePort(spec)) delete spec.healthCheckNodePort;
  if (old.type === 'LoadBalancer' && spec.type !== 'LoadBalancer') {
    delete spec.allocateLoadBalancerNodePorts;
    delete spec.loadBalancerClass;
  }
}

const nodePortsOf = (spec: Spec) => (spec.ports ?? []).map(({ nodePort }) => nodePort);
