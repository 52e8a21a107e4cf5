import type { ObjectMeta, Service } from '../../kube/objects.ts';
import { CLOUD_FACTS, holds } from '../../world/from-objects/cloud-facts.ts';
import type { Cloud, ClusterProfile } from '../../world/profile.ts';
import { annotationOf, type Linted, type LintSet } from './lint-set.ts';

/** Annotations by which a cloud is told which balancer to use, and how. */
const CCE = 'kubernetes.io/elb.';
const ACK = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer-';
const ALB_ID = 'alb.ingress.kubernetes.io/loadbalancer-id';
const TKE_ID = 'service.kubernetes.io/tke-existed-lbid';
const TKE_INGRESS_ID = 'ingress.cloud.tencent.com/existed-lbid';

export const KEYS = {
  cceId: `${CCE}id`,
  cceClass: `${CCE}class`,
  cceAutocreate: `${CCE}autocreate`,
  ccePassThrough: `${CCE}pass-through`,
  ccePortRanges: `${CCE}port-ranges`,
  cceCertificate: `${CCE}cert-id`,
  cceProtocolPort: `${CCE}protocol-port`,
  cceAffinity: `${CCE}session-affinity-mode`,
  ackId: `${ACK}id`,
  ackHostname: `${ACK}hostname`,
  ackCertificate: `${ACK}cert-id`,
  ackProtocolPort: `${ACK}protocol-port`,
  ackProxyProtocol: `${ACK}proxy-protocol`,
  ackPersistence: `${ACK}persistence-timeout`,
  ackBackendLabel: `${ACK}backend-label`,
  ackBackendType: 'service.beta.kubernetes.io/backend-type',
  tkeId: TKE_ID,
  tkeProtocol: 'service.cloud.tencent.com/specify-protocol',
  tkeDirect: 'service.cloud.tencent.com/direct-access',
  tkeWeighted: 'service.cloud.tencent.com/local-svc-weighted-balance',
  tkeBackendsLabel: 'service.kubernetes.io/qcloud-loadbalancer-backends-label',
  tkeConfig: 'service.cloud.tencent.com/tke-service-config',
} as const;

const ID_KEYS = [KEYS.cceId, KEYS.ackId, ALB_ID, TKE_ID, TKE_INGRESS_ID];

/** The balancer an object asks to be put on, and the annotation that says so. */
export function balancerIdOf(
  linted: Linted<{ readonly metadata?: ObjectMeta }>,
): { readonly id: string; readonly key: string } | undefined {
  for (const key of ID_KEYS) {
    const id = annotationOf(linted, key);
    if (id !== undefined && id !== '') return { id, key };
  }
  return undefined;
}

export const isLoadBalancer = ({ object }: Linted<Service>): boolean => object.spec?.type === 'LoadBalancer';

export const isExternal = ({ object }: Linted<Service>): boolean =>
  object.spec?.type === 'LoadBalancer' || object.spec?.type === 'NodePort';

export const isLocal = ({ object }: Linted<Service>): boolean =>
  object.spec?.externalTrafficPolicy === 'Local';

/** `performance` is hosted CCE's word for a dedicated balancer, `dedicated` that of the open controller. */
export const isDedicatedElb = (service: Linted<Service>): boolean =>
  isLoadBalancer(service) &&
  ['performance', 'dedicated'].includes(annotationOf(service, KEYS.cceClass) ?? '');

/** The cloud whose words the annotations are, where no profile says. */
function cloudOf({ object }: Linted<Service>, profile: ClusterProfile | undefined): Cloud {
  if (profile !== undefined) return profile.cloud;
  const keys = Object.keys(object.metadata?.annotations ?? {});
  if (keys.some((key) => key.startsWith(CCE))) return 'cce';
  if (keys.some((key) => key.startsWith(ACK))) return 'ack';
  return keys.some((key) => /\.cloud\.tencent\.com\/|\/tke-|\/qcloud-/.test(key)) ? 'tke' : 'generic';
}

/** What a cluster is that nobody has described: one in which the network and the mode decide nothing. */
const UNKNOWN: Pick<ClusterProfile, 'network' | 'proxyMode'> = { network: 'vpc', proxyMode: 'iptables' };

/** Whether a fact about clouds holds for the Service. */
function factHolds(
  service: Linted<Service>,
  { profile }: Pick<LintSet, 'profile'>,
  fact: 'notCaptured' | 'toPods',
): boolean {
  return holds(CLOUD_FACTS[cloudOf(service, profile)][fact], service.object, profile ?? UNKNOWN);
}

/** Whether kube-proxy leaves the balancer's address alone; policy Local on CCE's dedicated one brings that by itself. */
export const passesThrough = (service: Linted<Service>, set: Pick<LintSet, 'profile'>): boolean =>
  factHolds(service, set, 'notCaptured');

/** Whether kube-proxy takes the balancer's address for the cluster's own. */
export function isCaptured(service: Linted<Service>, set: Pick<LintSet, 'profile'>): boolean {
  if (!isLoadBalancer(service) || passesThrough(service, set)) return false;
  const ingress = service.object.status?.loadBalancer?.ingress;
  // Without a status yet, clouds write an address.
  if (ingress === undefined || ingress.length === 0) return true;
  return ingress.some(({ ip, ipMode }) => ip !== undefined && ipMode !== 'Proxy');
}

/** Whether the balancer sends to pods and not to node ports. */
export const sendsToPods = (service: Linted<Service>, set: Pick<LintSet, 'profile'>): boolean =>
  factHolds(service, set, 'toPods');

/** Under IPVS an address is captured with all its ports, but for TKE, which does not bind it. Unknown modes may be IPVS. */
export const mayCaptureWhole = ({ profile }: LintSet): boolean =>
  profile === undefined || (profile.proxyMode === 'ipvs' && profile.cloud !== 'tke');
