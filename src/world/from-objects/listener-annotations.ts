import { type Port, portOf } from '../../ip/ip.ts';
import type { Service, ServicePort } from '../../kube/objects.ts';
import type { BalancerListener, EndedProtocol } from '../policy.ts';
import type { Cloud } from '../profile.ts';
import { jsonMap } from './json-map.ts';

/** By which annotations a cloud is told what a balancer's listeners do beside forwarding. */
interface ListenerWords {
  /** `https:443,http:80`. */
  readonly pairs?: string;
  /** `{"80": {"protocol": ["TCP_SSL"]}}`. */
  readonly byPort?: string;
  /** `on`: a PROXY header before what clients send. */
  readonly proxyProtocol?: string;
  /** `{"name of a port": ["30000,30005"]}`. */
  readonly ranges?: string;
  /** `key=value,…`: only nodes with these labels are members. */
  readonly nodeLabels?: string;
}

const ELB = 'kubernetes.io/elb';
const CLB = 'service.beta.kubernetes.io/alibaba-cloud-loadbalancer';

const WORDS: Readonly<Record<Cloud, ListenerWords>> = {
  cce: { pairs: `${ELB}.protocol-port`, ranges: `${ELB}.port-ranges` },
  ack: {
    pairs: `${CLB}-protocol-port`,
    proxyProtocol: `${CLB}-proxy-protocol`,
    nodeLabels: `${CLB}-backend-label`,
  },
  tke: {
    byPort: 'service.cloud.tencent.com/specify-protocol',
    nodeLabels: 'service.kubernetes.io/qcloud-loadbalancer-backends-label',
  },
  generic: {},
};

/** What each cloud's protocols come to; TCP, UDP and their like end nothing. */
const ENDED: Readonly<Record<string, EndedProtocol>> = {
  http: 'HTTP',
  https: 'HTTPS',
  tls: 'TLS',
  tcp_ssl: 'TLS',
  tcpssl: 'TLS',
  terminated_https: 'HTTPS',
  quic: 'HTTPS',
};

type Handling = Pick<BalancerListener, 'ends' | 'proxyProtocol' | 'keepClientAddress'>;

/** What the listener of a Service's port does with connections. A balancer that ends them opens its own to members. */
export function handlingOf(service: Service, { port }: ServicePort, cloud: Cloud): Handling {
  const { pairs, byPort, proxyProtocol } = WORDS[cloud];
  const word = wordInPairs(annotation(service, pairs), port) ?? wordByPort(annotation(service, byPort), port);
  const ends = word === undefined ? undefined : ENDED[word.toLowerCase()];
  return {
    ...(ends === undefined ? {} : { ends, keepClientAddress: false }),
    ...(annotation(service, proxyProtocol) === 'on' ? { proxyProtocol: true } : {}),
  };
}

/** The ranges of ports the balancer listens on for one port of the Service, without the ports of `listed`. */
export function rangesOf(
  service: Service,
  { name = '' }: ServicePort,
  cloud: Cloud,
  listed: ReadonlySet<number>,
): { readonly port: Port; readonly lastPort: Port }[] {
  const written = jsonMap(annotation(service, WORDS[cloud].ranges))[name];
  if (!Array.isArray(written)) return [];
  return written.flatMap((text: unknown) => {
    const [, from = '', to = from] = /^\s*(\d+)(?:\s*[,-]\s*(\d+))?\s*$/.exec(String(text)) ?? [];
    return from === '' ? [] : between(Number(from), Number(to), listed);
  });
}

/** The parts of a range that hold none of these ports, which are listeners of their own. */
function between(from: number, to: number, listed: ReadonlySet<number>) {
  const cuts = [...listed].filter((port) => port >= from && port <= to).sort((a, b) => a - b);
  return [from - 1, ...cuts].flatMap((cut, at) => {
    const [first, last] = [cut + 1, (cuts[at] ?? to + 1) - 1];
    return first > last || first < 1 || last > 65_535
      ? []
      : [{ port: portOf(first), lastPort: portOf(last) }];
  });
}

/** The labels a node must bear to be a member; `undefined` where nobody chooses. */
export function memberLabelsOf(
  service: Service,
  cloud: Cloud,
): readonly (readonly [string, string])[] | undefined {
  const text = annotation(service, WORDS[cloud].nodeLabels);
  return text?.split(',').flatMap((pair) => {
    const [key = '', value = ''] = pair.trim().split('=');
    return key === '' ? [] : [[key, value] as const];
  });
}

const annotation = ({ metadata }: Service, key: string | undefined): string | undefined =>
  key === undefined ? undefined : metadata?.annotations?.[key];

function wordInPairs(text: string | undefined, port: number): string | undefined {
  const pairs = (text ?? '').split(',').map((pair) => pair.trim().split(':'));
  return pairs.find(([, number]) => number === String(port))?.[0];
}

function wordByPort(text: string | undefined, port: number): string | undefined {
  const { protocol } = (jsonMap(text)[String(port)] ?? {}) as { readonly protocol?: unknown };
  return Array.isArray(protocol)
    ? protocol.map(String).find((word) => word.toLowerCase() in ENDED)
    : undefined;
}
