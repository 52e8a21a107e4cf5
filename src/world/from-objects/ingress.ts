import { Addr } from '../../ip/ip.ts';
import { type KubeObject, nameOf, namespaceOf } from '../../kube/objects.ts';

/** An Ingress decides nothing about a packet; on whose balancer it is explains what becomes of one. */
export interface IngressNote {
  /** `namespace/name`. */
  readonly name: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** Of its balancer, as its controller has written them. */
  readonly addresses: readonly Addr[];
  /** Where its controller listens for it: 80, 443 where it has certificates, and what annotations name. */
  readonly ports: readonly number[];
  /** Its IngressClass, by field or by the older annotation. */
  readonly className?: string;
}

/** As much of an Ingress as counts, of whatever version. */
export interface IngressObject extends KubeObject {
  readonly spec?: { readonly ingressClassName?: string; readonly tls?: readonly unknown[] };
  readonly status?: {
    readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] };
  };
}

/** `kubernetes.io/elb.port: "443"`; `listen-ports: '[{"HTTPS": 8443}]'` of ALB, `[{"HTTP":80},{"HTTPS":443}]` alike. */
const PORT_KEYS = /(elb\.port|listen-ports|listen-port)$/;

export function ingressNote(ingress: IngressObject, namespace: string): IngressNote {
  const { metadata, spec, status } = ingress;
  const annotations = metadata?.annotations ?? {};
  const written = Object.entries(annotations)
    .filter(([key]) => PORT_KEYS.test(key))
    .flatMap(([, value]) => (value.match(/\d+/g) ?? []).map(Number));
  const usual = [80, ...((spec?.tls ?? []).length > 0 ? [443] : [])];
  const className = spec?.ingressClassName ?? annotations['kubernetes.io/ingress.class'];
  const ips = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
  return {
    name: `${namespaceOf(ingress) || namespace}/${nameOf(ingress)}`,
    annotations,
    addresses: ips.filter((ip) => Addr.isAddr(ip)).map((ip) => Addr.parse(ip)),
    ports: written.length > 0 ? written : usual,
    ...(className === undefined ? {} : { className }),
  };
}
