import type { Container, Service, ServicePort } from '../../../kube/objects.ts';
import { rangesOf } from '../../../world/profile.ts';
import { readableRanges } from '../../ranges.ts';
import { isCaptured } from '../balancer.ts';
import type { Finding } from '../finding.ts';
import { type Linted, type LintSet, type PodSource, serviceName } from '../lint-set.ts';

/** FL021: pods and workloads are given, and the selector fits none. */
export function* selectorMatchesNothing(set: LintSet): Generator<Finding> {
  for (const service of set.services) {
    if (set.podsOf(service)?.length !== 0) continue;
    const { selector = {} } = service.object.spec ?? {};
    const near = nearest(set, service);
    yield {
      code: 'FL021',
      severity: 'error',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(['spec', 'selector']),
      message: `no pod and no template in its namespace bears ${labelText(selector)}`,
      cure:
        near === undefined
          ? 'correct the selector or the namespace'
          : `${near.what} comes closest, with ${labelText(near.labels)} in namespace ${near.namespace}`,
    };
  }
}

/** The source that shares most labels; one in another namespace if it has all of them. */
function nearest(set: LintSet, { object }: Linted<Service>): PodSource | undefined {
  const selector = Object.entries(object.spec?.selector ?? {});
  const score = ({ labels }: PodSource) =>
    selector.filter(([key, value]) => labels[key] === value).length * 2 +
    selector.filter(([key]) => labels[key] !== undefined).length;
  const [best] = set.pods.toSorted((a, b) => score(b) - score(a));
  return best !== undefined && score(best) > 0 ? best : undefined;
}

const labelText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');

/** FL020: every pod it selects says that it is not ready. */
export function* noReadyEndpoints(set: LintSet): Generator<Finding> {
  for (const service of set.services) {
    const pods = set.podsOf(service) ?? [];
    if (pods.length === 0 || pods.some(({ ready }) => ready !== false)) continue;
    if (service.object.spec?.publishNotReadyAddresses === true) continue;
    yield {
      code: 'FL020',
      severity: 'error',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(['spec', 'selector']),
      message: `none of the ${pods.length} pods it selects is ready`,
      cure: 'look at their readiness probes and gates: kubectl describe pod',
    };
  }
}

/** FL022: a targetPort that no container of a selected pod declares. */
export function* undeclaredTargetPort(set: LintSet): Generator<Finding> {
  for (const service of set.services) {
    const pods = set.podsOf(service) ?? [];
    for (const [at, port] of (service.object.spec?.ports ?? []).entries()) {
      const missing = pods.find((pod) => !serves(pod, port));
      if (missing === undefined) continue;
      const { targetPort = port.port, protocol = 'TCP' } = port;
      const field = port.targetPort === undefined ? 'port' : 'targetPort';
      yield {
        code: 'FL022',
        severity: typeof targetPort === 'string' ? 'error' : 'warning',
        object: `Service ${serviceName(service)}`,
        place: service.manifest.place(['spec', 'ports', at, field]),
        message: `no container of ${missing.what} declares ${targetPort}/${protocol}; declared: ${declaredText(missing)}`,
        cure: 'set targetPort to a port the process listens on, best by its name',
      };
    }
  }
}

function serves(pod: PodSource, { targetPort, port, protocol = 'TCP' }: ServicePort): boolean {
  const ports = declared(pod);
  const wanted = targetPort === undefined || targetPort === 0 || targetPort === '' ? port : targetPort;
  if (typeof wanted === 'string') {
    return ports.some((one) => one.name === wanted && (one.protocol ?? 'TCP') === protocol);
  }
  // Numbers are documentation: a pod that declares none may listen on any.
  return (
    ports.length === 0 ||
    ports.some((one) => one.containerPort === wanted && (one.protocol ?? 'TCP') === protocol)
  );
}

function declared({ spec }: PodSource) {
  const sidecars = (spec?.initContainers ?? []).filter((one) => one.restartPolicy === 'Always');
  const all: readonly Container[] = [...(spec?.containers ?? []), ...sidecars];
  return all.flatMap(({ ports = [] }) => ports);
}

const declaredText = (pod: PodSource): string =>
  declared(pod)
    .map(
      ({ name, containerPort, protocol = 'TCP' }) => `${name ? `${name}=` : ''}${containerPort}/${protocol}`,
    )
    .join(', ') || 'none';

/** FL023: who dials the captured address from inside is subject to the ranges as well. */
export function* sourceRanges(set: LintSet): Generator<Finding> {
  for (const service of set.services.filter((one) => isCaptured(one, set))) {
    const ranges = readableRanges(service.object.spec?.loadBalancerSourceRanges ?? []);
    const { profile } = set;
    if (ranges.length === 0 || profile === undefined) continue;
    const own = new Set((service.object.spec?.clusterIPs ?? []).map((text) => (text.includes(':') ? 6 : 4)));
    const inside = rangesOf(profile)
      .filter(({ podCIDR }) => (own.size === 0 ? podCIDR === profile.podCIDR : own.has(podCIDR.family)))
      .flatMap(({ podCIDR, vpcCIDR }) => [
        { who: 'pods', prefix: podCIDR },
        { who: 'nodes', prefix: vpcCIDR },
      ]);
    const out = inside.filter(({ prefix }) => !ranges.some((range) => range.covers(prefix)));
    if (out.length === 0) continue;
    yield {
      code: 'FL023',
      severity: 'note',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(['spec', 'loadBalancerSourceRanges']),
      message: `kube-proxy applies the ranges inside too: ${out.map(({ who, prefix }) => `${who} (${prefix})`).join(' and ')} are not all in them and are dropped at the balancer's address`,
      cure: 'dial the clusterIP inside, or add these ranges',
    };
  }
}
