import type { Service } from '../../../kube/objects.ts';
import { balancerIdOf, isLoadBalancer, KEYS, mayCaptureWhole, passesThrough } from '../balancer.ts';
import type { Finding } from '../finding.ts';
import { annotationOf, annotationPath, type Linted, type LintSet, serviceName } from '../lint-set.ts';

/** FL031: a reused balancer that would be deleted with the Service. */
export function* idAndAutocreate(set: LintSet): Generator<Finding> {
  for (const linted of [...set.services, ...set.ingresses]) {
    if (!annotationOf(linted, KEYS.cceId) || annotationOf(linted, KEYS.cceAutocreate) === undefined) continue;
    yield {
      code: 'FL031',
      severity: 'error',
      object: `${String(linted.manifest.value.kind)} ${serviceName(linted)}`,
      place: linted.manifest.place(annotationPath(KEYS.cceAutocreate)),
      message: `${KEYS.cceId} and ${KEYS.cceAutocreate} together: the reused balancer is taken for a created one, and deleted with the object`,
      cure: 'remove one of the two before the object is ever deleted',
    };
  }
}

/** FL014: an Ingress on the balancer of a Service whose address is captured. */
export function* sharedWithIngress(set: LintSet): Generator<Finding> {
  if (!mayCaptureWhole(set)) return;
  for (const [id, services] of balancers(set)) {
    const capturing = services.filter((service) => !passesThrough(service, set));
    for (const ingress of set.ingresses) {
      const on = balancerIdOf(ingress);
      if (on?.id !== id || capturing.length === 0) continue;
      yield {
        code: 'FL014',
        severity: 'warning',
        object: `Ingress ${serviceName(ingress)}`,
        place: ingress.manifest.place(annotationPath(on.key)),
        message: `balancer ${id} is that of Service ${capturing.map(serviceName).join(', ')} too: under IPVS its whole address is captured, and the Ingress cannot be reached from inside`,
        cure: 'give the Ingress a balancer of its own, or pass the Services through',
      };
    }
  }
}

/** FL019: one Service captures what the other wants left alone. */
export function* passThroughDiffers(set: LintSet): Generator<Finding> {
  if (!mayCaptureWhole(set)) return;
  for (const [id, services] of balancers(set)) {
    const through = services.filter((service) => passesThrough(service, set));
    const captured = services.filter((service) => !passesThrough(service, set));
    const [victim] = through;
    if (victim === undefined || captured.length === 0) continue;
    const said = annotationOf(victim, KEYS.ccePassThrough) !== undefined;
    yield {
      code: 'FL019',
      severity: 'error',
      object: `Service ${serviceName(victim)}`,
      place: victim.manifest.place(
        said ? annotationPath(KEYS.ccePassThrough) : ['spec', 'externalTrafficPolicy'],
      ),
      message: `it passes balancer ${id} through${said ? '' : ' (policy Local does so by itself)'}, and ${captured.map(serviceName).join(', ')} on the same balancer ${captured.length === 1 ? 'does' : 'do'} not: under IPVS the address is captured for all`,
      cure: `give all of them the same ${KEYS.ccePassThrough}, or balancers of their own`,
    };
  }
}

function balancers(set: LintSet): Map<string, Linted<Service>[]> {
  const byId = new Map<string, Linted<Service>[]>();
  for (const service of set.services.filter(isLoadBalancer)) {
    const on = balancerIdOf(service);
    if (on !== undefined) byId.set(on.id, [...(byId.get(on.id) ?? []), service]);
  }
  return byId;
}

/** FL015: ports of a range that the cluster does not know. */
export function* portRanges(set: LintSet): Generator<Finding> {
  if (!mayCaptureWhole(set)) return;
  for (const service of set.services.filter(isLoadBalancer)) {
    const ranges = annotationOf(service, KEYS.ccePortRanges);
    if (ranges === undefined || passesThrough(service, set)) continue;
    yield {
      code: 'FL015',
      severity: 'warning',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(annotationPath(KEYS.ccePortRanges)),
      message: `of the range ${ranges} only the ports in spec.ports are reachable from inside under IPVS`,
      cure: 'list every port in spec.ports, or set kubernetes.io/elb.pass-through: "true"',
    };
  }
}
