import type { ObjectMeta, Service } from '../../kube/objects.ts';
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

/** Whether kube-proxy leaves the balancer's address alone by CCE's rules; policy Local on a dedicated one sets it by itself. */
export function passesThrough(service: Linted<Service>): boolean {
  const said = annotationOf(service, KEYS.ccePassThrough);
  if (said !== undefined) return said === 'true' || said === 'onlyLocal';
  return isLocal(service) && isDedicatedElb(service);
}

/** Whether kube-proxy takes the balancer's address for the cluster's own. */
export function isCaptured(service: Linted<Service>): boolean {
  if (!isLoadBalancer(service) || passesThrough(service)) return false;
  if (annotationOf(service, KEYS.cceClass) === 'dnat') return false;
  if (annotationOf(service, KEYS.ackHostname) !== undefined) return false;
  const ingress = service.object.status?.loadBalancer?.ingress;
  // Without a status yet, clouds write an address.
  if (ingress === undefined || ingress.length === 0) return true;
  return ingress.some(({ ip, ipMode }) => ip !== undefined && ipMode !== 'Proxy');
}

/** Whether the balancer sends to pods and not to node ports. */
export function sendsToPods(service: Linted<Service>, { profile }: LintSet): boolean {
  if (annotationOf(service, KEYS.tkeDirect) === 'true') return true;
  if (annotationOf(service, KEYS.ackBackendType) === 'eni') return true;
  if (profile?.network !== 'eni') return false;
  return (
    (profile.cloud === 'cce' && isDedicatedElb(service)) ||
    (profile.cloud === 'ack' && annotationOf(service, KEYS.ackBackendType) === undefined)
  );
}

/** Under IPVS an address is captured with all its ports, but for TKE, which does not bind it. Unknown modes may be IPVS. */
export const mayCaptureWhole = ({ profile }: LintSet): boolean =>
  profile === undefined || (profile.proxyMode === 'ipvs' && profile.cloud !== 'tke');
