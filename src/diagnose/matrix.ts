import { Addr, Endpoint, type Port, type Protocol, portOf } from '../ip/ip.ts';
import type { Service, ServicePort } from '../kube/objects.ts';
import { isHeadless } from '../kube/service-endpoints.ts';
import type { NodeFacts } from '../world/facts.ts';
import type { Cluster } from '../world/from-objects/from-objects.ts';
import { specOf } from '../world/profile.ts';
import { hostsOf } from '../world/world.ts';
import {
  type AnswerVerdict,
  type CauseFinder,
  type CauseNote,
  causeByReason,
  connect,
  verdictOf,
} from './answer.ts';
import { nodesOf } from './profile-text.ts';
import { nothingNamed } from './question.ts';
import { idlePodOn, withStandIns } from './stand-ins.ts';

/** Clients by what makes a difference: whether their node runs an endpoint of the Service. */
export const CLIENT_CLASSES = [
  'node:same',
  'node:other',
  'pod:same',
  'pod:other',
  'external',
  'vpc-host',
] as const;
export type ClientClass = (typeof CLIENT_CLASSES)[number];

/** One client at one address. */
export interface MatrixCell {
  readonly client: ClientClass;
  /** A pod as `namespace/name`, else the host's name. */
  readonly from: string;
  /** The client's node. */
  readonly node?: string;
  /** See {@link targetsOf}. */
  readonly target: string;
  readonly address: string;
  readonly protocol: Protocol;
  /** Name or number, where the Service has several ports. */
  readonly port?: string;
  readonly verdict: AnswerVerdict;
  readonly sourceSeen: readonly string[];
  readonly endpoints: readonly string[];
  readonly cause?: CauseNote;
  /** What the kernel made of it, where it was asked. */
  readonly observed?: ObservedCell;
}

export interface ObservedCell {
  readonly verdict: AnswerVerdict;
  readonly sourceSeen: readonly string[];
  /** It is what was foretold. */
  readonly agrees: boolean;
}

export interface Matrix {
  /** `namespace/name`. */
  readonly service: string;
  readonly cells: readonly MatrixCell[];
}

/** Matrices of these Services, or of all that have an address. Throws {@link Fault} FE013 for one that there is not. */
export function matrices(
  cluster: Cluster,
  services: readonly string[] | undefined,
  causeOf: CauseFinder = causeByReason,
): Matrix[] {
  const wanted = services ?? [...cluster.services.keys()];
  const unknown = wanted.find((key) => !cluster.services.has(key));
  if (unknown !== undefined) throw nothingNamed('service', unknown, cluster.services.keys());
  const staffed = withStandIns(cluster);
  return wanted.flatMap((key) => {
    const service = cluster.services.get(key);
    const hasAddress = service !== undefined && service.spec?.type !== 'ExternalName' && !isHeadless(service);
    return hasAddress ? [matrixOf(staffed, key, service, causeOf)] : [];
  });
}

/** The nodes that stand for all others. */
interface Stage {
  readonly cluster: Cluster;
  readonly key: string;
  readonly service: Service;
  /** Runs a ready endpoint. */
  readonly server: NodeFacts | undefined;
  /** Run none. */
  readonly others: readonly NodeFacts[];
  /** The addresses of the Service's endpoints. */
  readonly endpoints: ReadonlySet<string>;
}

function matrixOf(cluster: Cluster, key: string, service: Service, causeOf: CauseFinder): Matrix {
  const endpoints = (cluster.slices.get(key) ?? []).flatMap((slice) => slice.endpoints ?? []);
  const ready = endpoints.filter(({ conditions }) => conditions?.ready !== false);
  const running = new Set(ready.flatMap(({ nodeName }) => nodeName ?? []));
  const nodes = cluster.nodes.map(({ facts }) => facts);
  const stage: Stage = {
    cluster,
    key,
    service,
    server: nodes.find(({ name }) => running.has(name)),
    others: nodes.filter(({ name }) => !running.has(name)),
    endpoints: new Set(endpoints.flatMap(({ addresses }) => addresses)),
  };
  const ports = service.spec?.ports ?? [];
  const cells = clientsOf(stage).flatMap((client) =>
    ports.flatMap((port) =>
      targetsOf(stage, port, client).map((target) => {
        const portName = ports.length > 1 ? { port: port.name || String(port.port) } : {};
        return { ...cellOf(cluster, client, target, causeOf), ...portName };
      }),
    ),
  );
  return { service: key, cells };
}

interface Client {
  readonly kind: ClientClass;
  readonly host: string;
  readonly node?: string;
}

function clientsOf(stage: Stage): Client[] {
  const { server, others, cluster, key, endpoints } = stage;
  const onNode = (node: NodeFacts | undefined, where: 'same' | 'other'): Client[] => {
    if (node === undefined) return [];
    const { name } = node;
    const pod = idlePodOn(cluster, name, key.split('/')[0] ?? '', endpoints)?.host;
    return [
      { kind: `node:${where}`, host: name, node: name },
      ...(pod === undefined ? [] : [{ kind: `pod:${where}` as const, host: pod, node: name }]),
    ];
  };
  const machine = (kind: 'external' | 'vpc-host'): Client[] => {
    const hosts = hostsOf(cluster.world, kind === 'external' ? 'client' : kind);
    const host = hosts.find(({ listeners }) => listeners.length === 0) ?? hosts[0];
    return host === undefined ? [] : [{ kind, host: host.name }];
  };
  const found = [
    ...onNode(server, 'same'),
    ...onNode(others[0], 'other'),
    ...machine('external'),
    ...machine('vpc-host'),
  ];
  return CLIENT_CLASSES.flatMap((kind) => found.filter((client) => client.kind === kind));
}

interface Target {
  readonly name: string;
  readonly addr: Addr;
  readonly port: Port;
  readonly protocol: Protocol;
}

/**
 * clusterIP; {serverNode, ownNode, otherNode}.{private, public} where there is a node port: serverNode runs a ready endpoint,
 * ownNode is the client's, otherNode is a further node without an endpoint; loadBalancer.{private, public}, and with `:PORT`
 * the listeners of its balancer that are not this Service's; natGateway.public; podIP.
 */
function targetsOf(stage: Stage, port: ServicePort, client: Client): Target[] {
  const protocol = protocolOf(port);
  const make = (name: string, addr: Addr | undefined, number: number | undefined): Target[] =>
    addr === undefined || number === undefined ? [] : [{ name, addr, port: portOf(number), protocol }];
  const { clusterIP } = stage.service.spec ?? {};
  const nodeTarget = (name: string, node: NodeFacts | undefined): Target[] => [
    ...make(`${name}.private`, node?.address, port.nodePort),
    ...make(`${name}.public`, node?.elastic, port.nodePort),
  ];
  const own = stage.others.find(({ name }) => name === client.node);
  return [
    ...make('clusterIP', clusterIP === undefined ? undefined : Addr.parse(clusterIP), port.port),
    ...nodeTarget('serverNode', stage.server),
    ...nodeTarget('ownNode', own),
    ...nodeTarget(
      'otherNode',
      stage.others.find(({ name }) => name !== client.node),
    ),
    ...cloudTargets(stage, port, protocol),
    ...podTargets(stage, port, protocol),
  ];
}

const protocolOf = ({ protocol }: ServicePort): Protocol =>
  protocol === 'UDP' || protocol === 'SCTP' ? protocol : 'TCP';

function cloudTargets({ cluster, key }: Stage, port: ServicePort, protocol: Protocol): Target[] {
  const balancer = cluster.balancers.find(({ name }) => name === cluster.balancerOf.get(key));
  const own = (cluster.cloudAddresses.get(key) ?? []).map((addr): Target => {
    const isGateway = cluster.forwards.some(({ elastic }) => elastic.equals(addr));
    const side = cluster.profile.vpcCIDR.contains(addr) ? 'private' : 'public';
    return {
      name: isGateway ? 'natGateway.public' : `loadBalancer.${side}`,
      addr,
      port: portOf(port.port),
      protocol,
    };
  });
  const claimed = new Set(
    (cluster.services.get(key)?.spec?.ports ?? []).map((one) => `${one.port}/${protocolOf(one)}`),
  );
  const foreign = (balancer?.listeners ?? []).filter((one) => !claimed.has(`${one.port}/${one.protocol}`));
  const isFirst = cluster.services.get(key)?.spec?.ports?.[0] === port;
  if (balancer === undefined || !isFirst) return own;
  return [
    ...own,
    ...foreign.map((one) => ({
      name: `loadBalancer.private:${one.port}`,
      addr: balancer.address,
      port: one.port,
      protocol: one.protocol,
    })),
  ];
}

function podTargets({ cluster, key }: Stage, port: ServicePort, protocol: Protocol): Target[] {
  for (const { endpoints, ports } of cluster.slices.get(key) ?? []) {
    const number = (ports ?? []).find(({ name }) => (name ?? '') === (port.name ?? ''))?.port;
    const address = endpoints.find(({ conditions }) => conditions?.ready !== false)?.addresses[0];
    if (number !== undefined && address !== undefined && Addr.isAddr(address)) {
      return [{ name: 'podIP', addr: Addr.parse(address), port: portOf(number), protocol }];
    }
  }
  return [];
}

function cellOf(cluster: Cluster, client: Client, target: Target, causeOf: CauseFinder): MatrixCell {
  const { addr: to, port, protocol } = target;
  const outcomes = connect(cluster, { from: client.host, to, port, protocol }, causeOf);
  const distinct = (texts: readonly string[]) => [...new Set(texts)];
  const failing = outcomes.find(({ outcome }) => outcome.verdict !== 'reached') ?? outcomes[0];
  return {
    client: client.kind,
    from: client.host,
    ...(client.node === undefined ? {} : { node: client.node }),
    target: target.name,
    address: new Endpoint(to, port).text,
    protocol,
    verdict: verdictOf(outcomes),
    sourceSeen: distinct(outcomes.flatMap(({ outcome }) => outcome.sourceSeen?.text ?? [])),
    endpoints: distinct(
      outcomes.flatMap(({ endpoint }) => (endpoint ? `${endpoint.ip}:${endpoint.port}` : [])),
    ),
    ...(failing?.cause === undefined ? {} : { cause: failing.cause }),
  };
}

/** As `fairlead matrix -o json` prints it. */
export function matrixJson({ profile, world }: Cluster, { service, cells }: Matrix) {
  const nodes = nodesOf(world);
  return {
    profile: { name: profile.name, ...specOf(profile) },
    ...(nodes === undefined ? {} : { nodes }),
    service,
    cells: cells.map(({ cause, ...cell }) => (cause === undefined ? cell : { ...cell, cause: cause.code })),
  };
}
