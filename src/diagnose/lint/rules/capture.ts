import type { Service } from '../../../kube/objects.ts';
import { isCaptured, isLoadBalancer, KEYS, sendsToPods } from '../balancer.ts';
import type { Finding } from '../finding.ts';
import { annotationOf, annotationPath, type Linted, type LintSet, serviceName } from '../lint-set.ts';

/** FL016: a name in the status, so that packets leave for the balancer and may come back to their sender. */
export function* hostnameStatus(set: LintSet): Generator<Finding> {
  for (const service of set.services.filter(isLoadBalancer)) {
    const ingress = service.object.status?.loadBalancer?.ingress ?? [];
    const asked = annotationOf(service, KEYS.ackHostname) !== undefined;
    const written = ingress.length > 0 && ingress.every(({ ip, hostname }) => hostname !== undefined && !ip);
    if ((!asked && !written) || sendsToPods(service, set)) continue;
    yield {
      code: 'FL016',
      severity: 'note',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(
        asked ? annotationPath(KEYS.ackHostname) : ['status', 'loadBalancer', 'ingress'],
      ),
      message:
        'the status has a name and no address: clients inside go out to the balancer, and a TCP or UDP listener may send them back to their own node',
      cure: 'dial the clusterIP inside, or keep clients off the nodes behind the balancer',
    };
  }
}

/** Each annotation that makes the balancer change the bytes, and whether its value does. */
const BYTE_CHANGERS: readonly { readonly key: string; readonly changes: (value: string) => boolean }[] = [
  { key: KEYS.cceCertificate, changes: (value) => value !== '' },
  { key: KEYS.cceProtocolPort, changes: (value) => /\b(https|tls)\b/i.test(value) },
  { key: KEYS.ackCertificate, changes: (value) => value !== '' },
  { key: KEYS.ackProtocolPort, changes: (value) => /\bhttps\b/i.test(value) },
  { key: KEYS.ackProxyProtocol, changes: (value) => value === 'on' },
  { key: KEYS.tkeProtocol, changes: (value) => /TCP_SSL|HTTPS|QUIC/i.test(value) },
];

/** FL017: clients inside get what the pod speaks, not what the balancer speaks. */
export function* bypassedListener(set: LintSet): Generator<Finding> {
  for (const service of set.services.filter((one) => isCaptured(one, set))) {
    const changer = BYTE_CHANGERS.find(({ key, changes }) => changes(annotationOf(service, key) ?? ''));
    if (changer === undefined) continue;
    yield {
      code: 'FL017',
      severity: 'warning',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(annotationPath(changer.key)),
      message: `${changer.key} makes the balancer end TLS or add a PROXY header, and clients inside bypass it: kube-proxy captures its address`,
      cure: "keep the address from being captured (ipMode: Proxy, a hostname, pass-through), or dial the clusterIP and speak the pod's protocol",
    };
  }
}

/** FL028: every client of a balancer that hides them is one client, and every node remembers for itself. */
export function* affinityBehindBalancer(set: LintSet): Generator<Finding> {
  for (const service of set.services.filter(isLoadBalancer)) {
    if (service.object.spec?.sessionAffinity !== 'ClientIP' || balancerKeepsSessions(service)) continue;
    yield {
      code: 'FL028',
      severity: 'warning',
      object: `Service ${serviceName(service)}`,
      place: service.manifest.place(['spec', 'sessionAffinity']),
      message: sendsToPods(service, set)
        ? 'the balancer sends to pods directly, so sessionAffinity is not asked'
        : 'each node remembers its own clients: the balancer changes nodes, and one that hides addresses is a single client to kube-proxy',
      cure: 'let the balancer keep sessions (elb.session-affinity-mode, persistence-timeout, sessionExpireTime)',
    };
  }
}

const balancerKeepsSessions = (service: Linted<Service>): boolean =>
  [KEYS.cceAffinity, KEYS.ackPersistence, KEYS.tkeConfig].some(
    (key) => annotationOf(service, key) !== undefined,
  );
