import { Fault } from '../fault/fault.ts';
import { Addr, Endpoint, type Port, type Protocol, parsePort, portOf } from '../ip/ip.ts';
import type { Service, ServicePort } from '../kube/objects.ts';
import { isHeadless } from '../kube/service-endpoints.ts';
import type { Cluster } from '../world/from-objects/from-objects.ts';
import { isWithin } from '../world/profile.ts';
import { hostsOf } from '../world/world.ts';

/** The addresses of a Service a client may dial. */
export const ACCESSES = ['clusterIP', 'nodePort', 'loadBalancer', 'externalIP'] as const;
export type Access = (typeof ACCESSES)[number];
export const SIDES = ['private', 'public'] as const;
export type Side = (typeof SIDES)[number];

/** What a person asks, as the command line takes it. */
export interface QuestionText {
  /** `pod/[ns/]name`, `node/name`, `external`, `vpc-host` or `host/name`. */
  readonly from: string;
  /** `svc/[ns/]name[:port]`, `IP:port[/udp]` or `dns-name:port`. */
  readonly to: string;
  readonly at?: Access;
  readonly node?: string;
  readonly address?: Side;
  /** The namespace of names that do not say theirs; of a DNS name, that of a client pod comes first. */
  readonly namespace: string;
}

export interface Client {
  readonly name: string;
  /** The host whose network it has. */
  readonly host: string;
  readonly namespace?: string;
  readonly isInside: boolean;
}

export interface Target {
  readonly name: string;
  /** Several where a name has several addresses; a client takes any of them. */
  readonly addresses: readonly Addr[];
  readonly port: Port;
  readonly protocol: Protocol;
  /** `namespace/name`. */
  readonly service?: string;
}

export interface Question {
  readonly client: Client;
  readonly target: Target;
}

/** Throws {@link Fault} FE013 for a name that matches nothing, with the names that would; FE006 for what cannot be read. */
export function readQuestion(cluster: Cluster, text: QuestionText): Question {
  const client = readClient(cluster, text);
  return { client, target: readTarget(cluster, text, client) };
}

export function nothingNamed(what: string, name: string, there: Iterable<string>): Fault {
  const names = [...there].sort();
  const some = names.slice(0, 20).join(', ');
  const more = names.length > 20 ? ` and ${names.length - 20} more` : '';
  return new Fault(
    'FE013',
    `there is no ${what} '${name}'`,
    names.length === 0 ? `there is no ${what} at all` : `there are: ${some}${more}`,
  );
}

function readClient(cluster: Cluster, { from, namespace }: QuestionText): Client {
  const [kind = '', ...rest] = from.split('/');
  const name = rest.join('/');
  switch (kind) {
    case 'pod':
    case 'po':
      return podClient(cluster, rest.length === 1 ? `${namespace}/${name}` : name);
    case 'node':
    case 'no':
      if (cluster.nodes.some(({ facts }) => facts.name === name))
        return { name: from, host: name, isInside: true };
      throw (
        leftOut(cluster, 'node', name) ??
        nothingNamed(
          'node',
          name,
          cluster.nodes.map(({ facts }) => facts.name),
        )
      );
    case 'external':
      return machine(cluster, 'client', from);
    case 'vpc-host':
      return machine(cluster, 'vpc-host', from);
    case 'host': {
      const host = cluster.world.hosts.get(name);
      if (host !== undefined) return { name: from, host: name, isInside: host.role !== 'client' };
      throw nothingNamed('host', name, cluster.world.hosts.keys());
    }
  }
  throw new Fault(
    'FE006',
    `'${from}' is no client`,
    'write pod/[namespace/]name, node/name, external or vpc-host',
  );
}

function podClient(cluster: Cluster, key: string): Client {
  const known = cluster.pods.get(key);
  if (known === undefined)
    throw leftOut(cluster, 'pod', key) ?? nothingNamed('pod', key, cluster.pods.keys());
  const [namespace = ''] = key.split('/');
  return { name: `pod/${key}`, host: known.host, namespace, isInside: true };
}

/** Why something that is named in the objects is not in the World. */
function leftOut(cluster: Cluster, kind: string, name: string): Fault | undefined {
  const problem = cluster.problems.find(({ message }) => message.startsWith(`${kind} '${name}'`));
  return problem && new Fault('FE013', `${problem.place}: ${problem.message}`, 'complete it');
}

/** A machine that answers nothing is a client before it is anything else. */
function machine(cluster: Cluster, role: 'client' | 'vpc-host', name: string): Client {
  const hosts = hostsOf(cluster.world, role);
  const host = hosts.find(({ listeners }) => listeners.length === 0) ?? hosts[0];
  if (host === undefined) throw nothingNamed('host', name, cluster.world.hosts.keys());
  return { name, host: host.name, isInside: role !== 'client' };
}

function readTarget(cluster: Cluster, text: QuestionText, client: Client): Target {
  const { to } = text;
  const service = /^(?:svc|service|services)\/(?:([^/:]+)\/)?([^/:]+)(?::([^:]+))?$/.exec(to);
  if (service !== null) {
    const [, namespace = text.namespace, name = '', port] = service;
    return serviceTarget(cluster, text, client, `${namespace}/${name}`, port);
  }
  const [, host = '', port, transport = 'tcp'] = /^(.+):(\d+)(?:\/(tcp|udp|sctp))?$/i.exec(to) ?? [];
  if (port === undefined) {
    throw new Fault(
      'FE006',
      `'${to}' is no target`,
      'write svc/[namespace/]name[:port], IP:port[/udp] or name:port',
    );
  }
  const protocol = protocolOf(transport);
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  if (Addr.isAddr(bare)) {
    const addr = Addr.parse(bare);
    return {
      name: new Endpoint(addr, parsePort(port)).text,
      addresses: [addr],
      port: parsePort(port),
      protocol,
    };
  }
  return namedTarget(cluster, text, client, bare, parsePort(port), protocol);
}

const protocolOf = (text: string): Protocol => {
  const upper = text.toUpperCase();
  return upper === 'UDP' || upper === 'SCTP' ? upper : 'TCP';
};

/** A name as a pod's resolver takes it: `service`, `service.namespace`, `service.namespace.svc.cluster.local`. */
function namedTarget(
  cluster: Cluster,
  text: QuestionText,
  client: Client,
  name: string,
  port: Port,
  protocol: Protocol,
): Target {
  const [first = '', namespace = client.namespace ?? text.namespace, ...zone] = name
    .replace(/\.$/, '')
    .split('.');
  const key = `${namespace}/${first}`;
  const service = cluster.services.get(key);
  if (service === undefined || (zone.length > 0 && zone[0] !== 'svc')) {
    throw nothingNamed(
      'name',
      name,
      [...cluster.services.keys()].map((one) => one.split('/').reverse().join('.')),
    );
  }
  const addresses = isHeadless(service) ? endpointAddresses(cluster, key) : clusterIPs(service);
  return {
    name: `${name}:${port}`,
    addresses: usable(cluster, client, needed(addresses, key, 'endpoint')),
    port,
    protocol,
    service: key,
  };
}

function serviceTarget(
  cluster: Cluster,
  text: QuestionText,
  client: Client,
  key: string,
  wanted: string | undefined,
): Target {
  const service = cluster.services.get(key);
  if (service === undefined) throw nothingNamed('service', key, cluster.services.keys());
  const port = portNamed(service, key, wanted);
  const protocol = protocolOf(port.protocol ?? 'TCP');
  const at = text.at ?? 'clusterIP';
  const target = { port: portOf(port.port), protocol, service: key };
  switch (at) {
    case 'clusterIP': {
      if (!isHeadless(service)) {
        const addresses = usable(cluster, client, needed(clusterIPs(service), key, 'clusterIP'));
        return { ...target, name: `svc/${key}`, addresses };
      }
      const addresses = usable(cluster, client, needed(endpointAddresses(cluster, key), key, 'endpoint'));
      return { ...target, name: `svc/${key}`, port: endpointPort(cluster, key, port), addresses };
    }
    case 'nodePort': {
      if (!port.nodePort)
        throw new Fault('FE013', `service '${key}' has no node port`, 'dial another address');
      const { name, addresses: all } = nodeAddresses(cluster, text, client, service);
      const addresses = usable(cluster, client, all);
      return { ...target, name: `svc/${key} at ${name}`, addresses, port: portOf(port.nodePort) };
    }
    case 'loadBalancer': {
      const all = balancerAddresses(cluster, text, client, service, key);
      const addresses = usable(cluster, client, all);
      return { ...target, name: `svc/${key} at its load balancer`, addresses };
    }
    case 'externalIP': {
      const addresses = (service.spec?.externalIPs ?? []).map((one) => Addr.parse(one));
      return {
        ...target,
        name: `svc/${key} at its external IP`,
        addresses: usable(cluster, client, needed(addresses, key, 'external IP')),
      };
    }
  }
}

function portNamed(service: Service, key: string, wanted: string | undefined): ServicePort {
  const ports = service.spec?.ports ?? [];
  const [only, second] = ports;
  const found =
    wanted === undefined
      ? second === undefined
        ? only
        : undefined
      : ports.find(({ name, port }) => name === wanted || String(port) === wanted);
  if (found !== undefined) return found;
  const names = ports.map(({ name, port }) => (name ? `${name} (${port})` : String(port)));
  if (wanted !== undefined) throw nothingNamed(`port of service '${key}'`, wanted, names);
  throw new Fault(
    'FE006',
    `service '${key}' has ${ports.length} ports`,
    `name one, like svc/${key}:${names[0] ?? 80}`,
  );
}

function clusterIPs({ spec }: Service): Addr[] {
  const { clusterIP, clusterIPs: all = clusterIP ? [clusterIP] : [] } = spec ?? {};
  return all.filter((text) => text !== 'None').map((text) => Addr.parse(text));
}

/**
 * Of the addresses of a name those that the client would take: of the families it has an address of itself (RFC 6724, rule 1);
 * all of them where that leaves none, so that it is told why.
 */
function usable(cluster: Cluster, client: Client, addresses: readonly Addr[]): readonly Addr[] {
  const interfaces = cluster.world.hosts.get(client.host)?.interfaces ?? [];
  const own = new Set(interfaces.flatMap((each) => each.addresses.map(({ addr }) => addr.family)));
  const some = addresses.filter(({ family }) => own.has(family));
  return some.length > 0 ? some : addresses;
}

/** What DNS answers for a headless Service: every endpoint that is ready. */
function endpointAddresses(cluster: Cluster, key: string): Addr[] {
  const endpoints = (cluster.slices.get(key) ?? []).flatMap((slice) => slice.endpoints ?? []);
  const ready = endpoints.filter(({ conditions }) => conditions?.ready !== false);
  return ready.flatMap(({ addresses }) => addresses.map((one) => Addr.parse(one)));
}

function endpointPort(cluster: Cluster, key: string, { name = '', port }: ServicePort): Port {
  const ports = (cluster.slices.get(key) ?? []).flatMap((slice) => slice.ports ?? []);
  return portOf(ports.find((one) => (one.name ?? '') === name)?.port ?? port);
}

function needed(addresses: readonly Addr[], key: string, what: string): readonly Addr[] {
  if (addresses.length > 0) return addresses;
  throw new Fault('FE013', `service '${key}' has no ${what}`, 'dial another address, see --at');
}

/**
 * Its address of each family that the Service has: the private one for whoever is inside and the public one, if there is one,
 * for whoever is not, unless the question says which.
 */
function nodeAddresses(
  cluster: Cluster,
  { node, address }: QuestionText,
  client: Client,
  service: Service,
): { name: string; addresses: Addr[] } {
  const names = cluster.nodes.map(({ facts }) => facts.name);
  if (node === undefined)
    throw new Fault('FE006', 'a node port needs its node', `add --node ${names.join(' | ')}`);
  const facts = cluster.nodes.find((one) => one.facts.name === node)?.facts;
  if (facts === undefined) throw leftOut(cluster, 'node', node) ?? nothingNamed('node', node, names);
  const families = new Set(clusterIPs(service).map(({ family }) => family));
  const both = [facts, ...(facts.dual === undefined ? [] : [facts.dual])];
  const elastic = both.flatMap((own) => own.elastic ?? []);
  const isPublic = address === 'public' || (address === undefined && !client.isInside && elastic.length > 0);
  const all = isPublic ? elastic : both.map((own) => own.address);
  const served = all.filter(({ family }) => families.has(family));
  const addresses = served.length > 0 ? served : all.slice(0, 1);
  if (addresses.length === 0)
    throw new Fault('FE013', `node '${node}' has no public address`, 'use --address private');
  return { name: node, addresses };
}

/** The private address for whoever is inside and the public one for whoever is not, unless the question says which. */
function balancerAddresses(
  cluster: Cluster,
  { address }: QuestionText,
  client: Client,
  service: Service,
  key: string,
): readonly Addr[] {
  const all = cluster.cloudAddresses.get(key) ?? [];
  const isPrivate = (addr: Addr) => isWithin(cluster.profile, 'vpcCIDR', addr);
  const side = address ?? (client.isInside ? 'private' : 'public');
  const fitting = all.filter((addr) => isPrivate(addr) === (side === 'private'));
  if (fitting.length > 0) return fitting;
  if (address === undefined && all.length > 0) return all;
  const names = (service.status?.loadBalancer?.ingress ?? []).flatMap(({ hostname }) => hostname ?? []);
  const cure =
    names.length > 0
      ? `only the hostname ${names.join(', ')} is known: describe its LoadBalancer`
      : 'describe its LoadBalancer, or dial another address';
  throw new Fault(
    'FE013',
    `the load balancer of service '${key}' has no ${address === undefined ? '' : `${address} `}address`,
    cure,
  );
}
