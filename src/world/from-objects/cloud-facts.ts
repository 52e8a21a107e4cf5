import type { Service } from '../../kube/objects.ts';
import type { Cloud, ClusterProfile } from '../profile.ts';

/**
 * What each cloud's controller and kube-proxy make of a Service: facts, one table a cloud, and nothing about whether a
 * connection succeeds. That follows from the World these facts lead to.
 */
export interface CloudFacts {
  /** The annotations that name the balancer to use, the first one given counts. */
  readonly balancerName: readonly string[];
  /** The Service's address is that of a NAT gateway, which sends to one node. */
  readonly natGateway: readonly Condition[];
  /** kube-proxy leaves the balancer's address alone, as upstream does with ipMode Proxy. */
  readonly notCaptured: readonly Condition[];
  /** The balancer sends to pods; otherwise it sends to node ports. */
  readonly toPods: readonly Condition[];
  /** The balancer changes the destination alone. */
  readonly keepsClientAddress: readonly Condition[];
  /** Nodes are chosen by the number of their pods, and not all alike. */
  readonly weighsByPods: readonly Condition[];
}

/** Holds where all that is given holds. */
export interface Condition {
  readonly annotation?: string;
  /** The values that count; any unless said. */
  readonly values?: readonly string[];
  /** The annotation that must not be there. */
  readonly without?: string;
  readonly policy?: 'Local' | 'Cluster';
  readonly network?: ClusterProfile['network'];
  readonly proxyMode?: ClusterProfile['proxyMode'];
}

const ALWAYS: Condition = {};

const ELB = 'kubernetes.io/elb';
const DEDICATED: Condition = { annotation: `${ELB}.class`, values: ['performance', 'dedicated'] };
const PASS_THROUGH = `${ELB}.pass-through`;
const CLB = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer';

export const CLOUD_FACTS: Readonly<Record<Cloud, CloudFacts>> = {
  cce: {
    balancerName: [`${ELB}.id`],
    natGateway: [{ annotation: `${ELB}.class`, values: ['dnat'] }],
    notCaptured: [
      { annotation: PASS_THROUGH, values: ['true'] },
      { annotation: PASS_THROUGH, values: ['onlyLocal'], policy: 'Local' },
      // The controller writes onlyLocal by itself where nobody has written anything.
      { ...DEDICATED, policy: 'Local', without: PASS_THROUGH },
      { annotation: `${ELB}.class`, values: ['dnat'] },
    ],
    toPods: [{ ...DEDICATED, network: 'eni' }],
    keepsClientAddress: [
      DEDICATED,
      { annotation: `${ELB}.transparent-client-ip`, values: ['true'] },
      { annotation: `${ELB}.enable-transparent-client-ip`, values: ['true'] },
    ],
    weighsByPods: [],
  },
  ack: {
    balancerName: [`${CLB}-id`],
    natGateway: [],
    // The controller then writes only status.loadBalancer.ingress[].hostname, so there is nothing to capture.
    notCaptured: [{ annotation: `${CLB}-hostname` }],
    toPods: [
      { annotation: 'service.beta.kubernetes.io/backend-type', values: ['eni'] },
      { network: 'eni', without: 'service.beta.kubernetes.io/backend-type' },
    ],
    keepsClientAddress: [ALWAYS],
    weighsByPods: [{ policy: 'Local' }],
  },
  tke: {
    balancerName: ['service.kubernetes.io/tke-existed-lbid', 'service.kubernetes.io/loadbalance-id'],
    natGateway: [],
    // TKE's kube-proxy does not bind the balancer's address to kube-ipvs0.
    notCaptured: [{ proxyMode: 'ipvs' }],
    toPods: [{ annotation: 'service.cloud.tencent.com/direct-access', values: ['true'] }],
    keepsClientAddress: [ALWAYS],
    weighsByPods: [
      {
        annotation: 'service.cloud.tencent.com/local-svc-weighted-balance',
        values: ['true'],
        policy: 'Local',
      },
    ],
  },
  generic: {
    balancerName: [],
    natGateway: [],
    notCaptured: [],
    toPods: [],
    keepsClientAddress: [ALWAYS],
    weighsByPods: [],
  },
};

/** Whether one of the conditions holds for the Service. */
export function holds(
  conditions: readonly Condition[],
  service: Service,
  profile: Pick<ClusterProfile, 'network' | 'proxyMode'>,
): boolean {
  const annotations = service.metadata?.annotations ?? {};
  const policy = service.spec?.externalTrafficPolicy === 'Local' ? 'Local' : 'Cluster';
  return conditions.some((condition) => {
    const { annotation, values, without } = condition;
    if (annotation !== undefined) {
      const value = annotations[annotation];
      if (value === undefined || (values !== undefined && !values.includes(value))) return false;
    }
    return (
      (without === undefined || annotations[without] === undefined) &&
      (condition.policy ?? policy) === policy &&
      (condition.network ?? profile.network) === profile.network &&
      (condition.proxyMode ?? profile.proxyMode) === profile.proxyMode
    );
  });
}

/** The balancer the Service names, if it does. */
export function balancerNameOf(service: Service, cloud: Cloud): string | undefined {
  const annotations = service.metadata?.annotations ?? {};
  return CLOUD_FACTS[cloud].balancerName.map((key) => annotations[key]).find((name) => name !== undefined);
}
