import type { Service } from '../../../kube/objects.ts';
import { isLoadBalancer, isLocal, KEYS, sendsToPods } from '../balancer.ts';
import type { Finding } from '../finding.ts';
import { annotationOf, annotationPath, type Linted, type LintSet, serviceName } from '../lint-set.ts';

/** As many nodes, or fewer, are few for all clients of a balancer. */
const FEW = 2;

const masqueraded = (set: LintSet): Linted<Service>[] =>
  set.services.filter((one) => isLoadBalancer(one) && !isLocal(one) && !sendsToPods(one, set));

/** FL026: the balancer is told to use few of the nodes, and each of them masquerades for its share of all clients. */
export function* fewNodesMasquerade(set: LintSet): Generator<Finding> {
  for (const service of masqueraded(set)) {
    const key = [KEYS.tkeBackendsLabel, KEYS.ackBackendLabel].find(
      (one) => annotationOf(service, one) !== undefined,
    );
    if (key === undefined || set.nodes.length === 0) continue;
    const wanted = (annotationOf(service, key) ?? '').split(',').map((pair) => pair.trim().split('='));
    const nodes = set.nodes.filter(({ metadata }) =>
      wanted.every(([name = '', value]) => metadata?.labels?.[name] === value),
    );
    if (nodes.length > FEW) continue;
    yield {
      code: 'FL026',
      severity: nodes.length === 0 ? 'error' : 'warning',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(annotationPath(key)),
      message:
        nodes.length === 0
          ? 'no node bears the label, so the balancer has no backend'
          : `${nodes.length} of ${set.nodes.length} nodes masquerade for every client: each has at most 64512 source ports towards one endpoint`,
      cure: 'label more nodes, or let the balancer send to pods directly',
    };
  }
}

/** FL027: packets pass a node port and are masqueraded where the balancer could reach the pods. */
export function* needlessNodePort(set: LintSet): Generator<Finding> {
  const { profile } = set;
  if (profile?.network !== 'eni') return;
  const key =
    profile.cloud === 'tke' ? KEYS.tkeDirect : profile.cloud === 'ack' ? KEYS.ackBackendType : undefined;
  if (key === undefined) return;
  for (const service of masqueraded(set)) {
    yield {
      code: 'FL027',
      severity: 'note',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(['metadata', 'annotations']),
      message:
        'connections pass a node port and are masqueraded: under load two of them may take one source port, and the first packet of one is lost',
      cure: `pods have VPC addresses here: set ${key}: "${profile.cloud === 'tke' ? 'true' : 'eni'}"`,
    };
  }
}
