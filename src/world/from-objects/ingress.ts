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
  /** It has certificates. */
  readonly isSecure: boolean;
  readonly backends: readonly IngressBackend[];
  /** Its IngressClass, by field or by the older annotation. */
  readonly className?: string;
}

/** A Service that an Ingress sends to. */
export interface IngressBackend {
  /** `namespace/name`. */
  readonly service: string;
  readonly port: number | string;
}

/** networking.k8s.io/v1, and the flat one of the versions before. */
interface WrittenBackend {
  readonly service?: {
    readonly name?: string;
    readonly port?: { readonly number?: number; readonly name?: string };
  };
  readonly serviceName?: string;
  readonly servicePort?: number | string;
}

/** As much of an Ingress as counts, of whatever version. */
export interface IngressObject extends KubeObject {
  readonly spec?: {
    readonly ingressClassName?: string;
    readonly tls?: readonly unknown[];
    readonly defaultBackend?: WrittenBackend;
    readonly backend?: WrittenBackend;
    readonly rules?: readonly {
      readonly http?: { readonly paths?: readonly { readonly backend?: WrittenBackend }[] };
    }[];
  };
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
  const isSecure = (spec?.tls ?? []).length > 0 || written.includes(443);
  const usual = isSecure ? [80, 443] : [80];
  const className = spec?.ingressClassName ?? annotations['kubernetes.io/ingress.class'];
  const ips = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
  return {
    name: `${namespaceOf(ingress) || namespace}/${nameOf(ingress)}`,
    annotations,
    addresses: ips.filter((ip) => Addr.isAddr(ip)).map((ip) => Addr.parse(ip)),
    ports: written.length > 0 ? written : usual,
    isSecure,
    backends: backendsOf(ingress, namespace),
    ...(className === undefined ? {} : { className }),
  };
}

/** Each Service once, in the order in which the paths name them. */
function backendsOf(ingress: IngressObject, namespace: string): IngressBackend[] {
  const { spec } = ingress;
  const paths = (spec?.rules ?? []).flatMap(({ http }) => http?.paths ?? []);
  const written = [spec?.defaultBackend, spec?.backend, ...paths.map(({ backend }) => backend)];
  const found = written.flatMap((backend): IngressBackend[] => {
    const name = backend?.service?.name ?? backend?.serviceName;
    const port = backend?.service?.port?.number ?? backend?.service?.port?.name ?? backend?.servicePort;
    if (name === undefined || port === undefined) return [];
    return [{ service: `${namespaceOf(ingress) || namespace}/${name}`, port }];
  });
  return [...new Map(found.map((one) => [`${one.service} ${one.port}`, one])).values()];
}
