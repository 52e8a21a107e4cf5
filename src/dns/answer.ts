/**
 * A question and what the zone knows, to the sections of an answer. Pure.
 *
 * The records are those of the Kubernetes DNS specification 1.1.0; where it is silent, of CoreDNS's kubernetes plugin: ready
 * endpoints have names under ClusterIP Services too, SRV of a Service's own name tells all its ports, the address of a pod
 * is spelled in its name (`pods insecure`).
 *
 * @example answer(zone, { name: 'web.default.svc.cluster.local', type: 'A' }).answers // [{ …, data: '10.247.0.9' }]
 */
import type { Answer, HInfoAnswer, SoaAnswer, SrvAnswer } from 'dns-packet';
import { Addr } from '../ip/ip.ts';
import { addressOfReverseName } from './reverse.ts';
import type { Zone, ZoneAddress, ZoneEndpoint, ZonePort, ZoneService } from './zone.ts';

export type Rcode = 'NOERROR' | 'FORMERR' | 'SERVFAIL' | 'NXDOMAIN' | 'NOTIMP' | 'REFUSED';

export interface Question {
  /** Without the last dot, in the case it was asked in; answers keep it. */
  readonly name: string;
  /** E.g. `A`, `SRV`, `UNKNOWN_65`. */
  readonly type: string;
}

export interface Reply {
  readonly rcode: Rcode;
  /** The zone speaks for the name (AA). */
  readonly authoritative: boolean;
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
  readonly additionals: readonly Answer[];
  /** A name that only others know: a forwarder may ask for it and add what it is told. */
  readonly elsewhere?: string;
}

/** The specification's version that is served (`dns-version`). */
const VERSION = '1.1.0';
/** Seconds; short, because endpoints come and go. */
const TTL = 5;
/** ExternalNames that point at each other. */
const MAX_CNAMES = 8;
const NOTHING = { answers: [], authorities: [], additionals: [] } as const;

/** Something that has a name of its own, with the records it has of a type; undefined is a name that does not exist. */
type Node = (type: string, owner: string) => Found;

interface Found {
  readonly answers: readonly Answer[];
  readonly additionals?: readonly Answer[];
}

/** A name that exists and has no records of its own. */
const EMPTY: Node = () => ({ answers: [] });

export function answer(zone: Zone, question: Question, depth = 0): Reply {
  const name = question.name.toLowerCase();
  const inZone = name === zone.domain || name.endsWith(`.${zone.domain}`);
  const isReverse = name.endsWith('.in-addr.arpa') || name.endsWith('.ip6.arpa');
  if (!inZone && !isReverse) {
    return { ...NOTHING, rcode: 'REFUSED', authoritative: false, elsewhere: question.name };
  }
  if (!zone.isSynced) return { ...NOTHING, rcode: 'SERVFAIL', authoritative: false };
  const node = inZone ? nodeOf(zone, name) : reverseNode(zone, name);
  if (node === undefined) {
    const missing = negative(zone, 'NXDOMAIN');
    return isReverse ? { ...missing, elsewhere: question.name } : missing;
  }
  return isAlias(node) ? throughAlias(zone, question, node.target, depth) : recordsOf(zone, question, node);
}

function recordsOf(zone: Zone, question: Question, node: Node): Reply {
  // RFC 8482: ANY is answered with one record rather than with all.
  if (question.type === 'ANY') return positive([anyRecord(question.name)]);
  const found = node(question.type, question.name);
  return found.answers.length === 0 ? negative(zone, 'NOERROR') : positive(found.answers, found.additionals);
}

const positive = (answers: readonly Answer[], additionals: readonly Answer[] = []): Reply => ({
  rcode: 'NOERROR',
  authoritative: true,
  answers,
  authorities: [],
  additionals,
});

/** With the SOA, whose minimum bounds how long the absence may be kept (RFC 2308). */
const negative = (zone: Zone, rcode: 'NOERROR' | 'NXDOMAIN'): Reply => ({
  rcode,
  authoritative: true,
  answers: [],
  authorities: [soa(zone)],
  additionals: [],
});

/** An ExternalName: a node whose every type is its CNAME. */
interface Alias {
  readonly target: string;
}

const isAlias = (node: Node | Alias): node is Alias => typeof node !== 'function';

/** The CNAME, and what its target has if that is in the zone. */
function throughAlias(zone: Zone, question: Question, target: string, depth: number): Reply {
  const cname: Answer = { type: 'CNAME', name: question.name, ttl: TTL, data: target };
  if (question.type === 'CNAME' || question.type === 'ANY') return positive([cname]);
  if (depth >= MAX_CNAMES) return { ...NOTHING, rcode: 'SERVFAIL', authoritative: true };
  const rest = answer(zone, { name: target, type: question.type }, depth + 1);
  // What is refused here may exist elsewhere: the client gets the CNAME and goes on by itself.
  const rcode = rest.rcode === 'REFUSED' ? 'NOERROR' : rest.rcode;
  return { ...rest, rcode, authoritative: true, answers: [cname, ...rest.answers] };
}

/** What stands at a lower-case name of the zone. */
function nodeOf(zone: Zone, name: string): Node | Alias | undefined {
  if (name === zone.domain) return apexNode(zone);
  const labels = name.slice(0, -zone.domain.length - 1).split('.');
  const root = labels.pop();
  if (root === 'svc') return serviceNode(zone, labels);
  if (root === 'pod') return podNode(zone, labels);
  if (root === 'dns-version' && labels.length === 0) return versionNode;
  if (root === 'dns' && labels.length === 0) return EMPTY;
  if (root === 'dns' && labels.length === 1 && labels[0] === 'ns') return nameServerNode(zone);
  return undefined;
}

function apexNode(zone: Zone): Node {
  return (type, name) => {
    if (type === 'SOA') return { answers: [soa(zone)] };
    if (type !== 'NS') return { answers: [] };
    const data = nameServerOf(zone);
    const additionals = nameServerNode(zone)('A', data).answers;
    return { answers: [{ type: 'NS', name, ttl: TTL, data }], additionals };
  };
}

const versionNode: Node = (type, name) => ({
  answers: type === 'TXT' ? [{ type: 'TXT', name, ttl: TTL, data: VERSION }] : [],
});

const nameServerOf = (zone: Zone): string => `ns.dns.${zone.domain}`;

/** The zone's name server is the Service in front of this process. */
function nameServerNode(zone: Zone): Node {
  const service = zone.service('kube-system', 'kube-dns');
  return (type, owner) => ({ answers: addressRecords(type, owner, service?.addresses ?? []) });
}

/** `[_port, _proto, service, namespace]`, from the right. */
function serviceNode(zone: Zone, labels: readonly string[]): Node | Alias | undefined {
  const [namespace, name, inner, outer, ...more] = labels.toReversed();
  if (namespace === undefined) return EMPTY;
  if (!zone.hasNamespace(namespace)) return undefined;
  if (name === undefined) return EMPTY;
  const service = zone.service(namespace, name);
  if (service === undefined || more.length > 0) return undefined;
  if (inner === undefined) return wholeService(zone, service);
  if (!inner.startsWith('_')) return outer === undefined ? endpointNode(zone, service, inner) : undefined;
  if (outer !== undefined && !outer.startsWith('_')) return undefined;
  return portNode(zone, service, inner.slice(1), outer?.slice(1));
}

function wholeService(zone: Zone, service: ZoneService): Node | Alias | undefined {
  if (service.externalName !== undefined) return { target: service.externalName };
  const endpoints = zone.endpoints(service);
  // A headless Service exists by its endpoints (specification, 2.4.1).
  if (service.headless && endpoints.length === 0) return undefined;
  const addresses = service.headless ? endpoints.map((one) => one.address) : service.addresses;
  return (type, owner) =>
    type === 'SRV'
      ? serviceRecords(zone, service, owner, () => true)
      : { answers: addressRecords(type, owner, addresses) };
}

function endpointNode(zone: Zone, service: ZoneService, label: string): Node | undefined {
  const addresses = zone
    .endpoints(service)
    .filter((endpoint) => endpoint.label === label)
    .map((endpoint) => endpoint.address);
  return addresses.length === 0
    ? undefined
    : (type, owner) => ({ answers: addressRecords(type, owner, addresses) });
}

/** `_http._tcp` has SRV records; `_tcp` alone exists, since names are below it (RFC 8020). */
function portNode(zone: Zone, service: ZoneService, protocol: string, port?: string): Node | undefined {
  const matches = (one: ZonePort) =>
    one.protocol === protocol && one.name !== '' && (port === undefined || one.name === port);
  const known = service.headless
    ? zone.endpoints(service).some((endpoint) => endpoint.ports.some(matches))
    : service.ports.some(matches);
  if (!known) return undefined;
  if (port === undefined) return EMPTY;
  return (type, owner) => (type === 'SRV' ? serviceRecords(zone, service, owner, matches) : { answers: [] });
}

/** One SRV a port, and for a headless Service one an endpoint and port, with the addresses of their targets. */
function serviceRecords(
  zone: Zone,
  service: ZoneService,
  owner: string,
  matches: (port: ZonePort) => boolean,
): Found {
  const own = `${service.name}.${service.namespace}.svc.${zone.domain}`;
  const targets = service.headless
    ? zone.endpoints(service).map((one) => endpointTarget(one, own))
    : [{ name: own, addresses: service.addresses, ports: service.ports }];
  const pairs = unique(
    targets.flatMap((target) =>
      target.ports.filter(matches).map((port) => ({ target: target.name, port: port.port })),
    ),
  );
  // Clients spread over records by weight (RFC 2782); as upstream, the weights of all add up to 100.
  const weight = Math.max(1, Math.floor(100 / Math.max(1, pairs.length)));
  const answers = pairs.map(
    (pair): SrvAnswer => ({
      type: 'SRV',
      name: owner,
      ttl: TTL,
      data: { priority: 0, weight, ...pair },
    }),
  );
  const additionals = targets
    .filter((target) => target.ports.some(matches))
    .flatMap((target) => [
      ...addressRecords('A', target.name, target.addresses),
      ...addressRecords('AAAA', target.name, target.addresses),
    ]);
  return { answers, additionals };
}

const endpointTarget = (endpoint: ZoneEndpoint, own: string) => ({
  name: `${endpoint.label}.${own}`,
  addresses: [endpoint.address],
  ports: endpoint.ports,
});

/** Endpoints of two families share a hostname, and so an SRV record. */
const unique = <T extends { readonly target: string; readonly port: number }>(pairs: readonly T[]): T[] => [
  ...new Map(pairs.map((pair) => [`${pair.target} ${pair.port}`, pair])).values(),
];

function podNode(zone: Zone, labels: readonly string[]): Node | undefined {
  const [namespace, pod, ...more] = labels.toReversed();
  if (namespace === undefined) return EMPTY;
  if (!zone.hasNamespace(namespace)) return undefined;
  if (pod === undefined) return EMPTY;
  const address = more.length > 0 ? undefined : addressInPodName(pod);
  return address && ((type, owner) => ({ answers: addressRecords(type, owner, [address]) }));
}

/** `1-2-3-4` or `2001-db8--1`. */
function addressInPodName(label: string): ZoneAddress | undefined {
  for (const text of [label.replaceAll('-', '.'), label.replaceAll('-', ':')]) {
    if (!Addr.isAddr(text)) continue;
    const { family, text: canonical } = Addr.parse(text);
    return { family, text: canonical };
  }
  return undefined;
}

function reverseNode(zone: Zone, name: string): Node | undefined {
  const address = addressOfReverseName(name);
  const targets = address === undefined ? [] : namesOf(zone, address);
  if (targets.length === 0) return undefined;
  return (type, owner) => ({
    answers: type === 'PTR' ? targets.map((data) => ({ type, name: owner, ttl: TTL, data })) : [],
  });
}

/** The names an address answers to: the Service's for a cluster IP, else those of the endpoints at it. */
function namesOf(zone: Zone, address: string): string[] {
  const nameOf = (service: ZoneService) => `${service.name}.${service.namespace}.svc.${zone.domain}`;
  const service = zone.serviceAt(address);
  if (service !== undefined) return [nameOf(service)];
  return [...zone.servicesBehind(address)].flatMap((behind) =>
    zone
      .endpoints(behind)
      .filter((endpoint) => endpoint.address.text === address)
      .map((endpoint) => `${endpoint.label}.${nameOf(behind)}`),
  );
}

function addressRecords(type: string, name: string, addresses: readonly ZoneAddress[]): Answer[] {
  if (type !== 'A' && type !== 'AAAA') return [];
  const family = type === 'A' ? 4 : 6;
  const texts = new Set(addresses.filter((one) => one.family === family).map((one) => one.text));
  return [...texts].map((data) => ({ type, name, ttl: TTL, data }));
}

const soa = (zone: Zone): SoaAnswer => ({
  type: 'SOA',
  name: zone.domain,
  ttl: TTL,
  data: {
    mname: nameServerOf(zone),
    rname: `hostmaster.${zone.domain}`,
    serial: zone.serial,
    refresh: 7200,
    retry: 1800,
    expire: 86400,
    minimum: TTL,
  },
});

const anyRecord = (name: string): HInfoAnswer => ({
  type: 'HINFO',
  name,
  ttl: TTL,
  data: { cpu: 'RFC8482', os: '' },
});
