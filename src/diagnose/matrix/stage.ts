import { Addr, type Family, type Port, type Protocol, portOf } from '../../ip/ip.ts';
import type { Service, ServicePort } from '../../kube/objects.ts';
import type { NodeFacts } from '../../world/facts.ts';
import type { Cluster } from '../../world/from-objects/from-objects.ts';
import { familyText, isWithin } from '../../world/profile.ts';
import { hostsOf } from '../../world/world.ts';
import { idlePodOn } from './stand-ins.ts';

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

/** The nodes that stand for all others. */
export interface Stage {
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

/** @param cluster with a pod that only asks on every node, see {@link withStandIns} */
export function stageOf(cluster: Cluster, key: string, service: Service): Stage {
  const endpoints = (cluster.slices.get(key) ?? []).flatMap((slice) => slice.endpoints ?? []);
  const ready = endpoints.filter(({ conditions }) => conditions?.ready !== false);
  const running = new Set(ready.flatMap(({ nodeName }) => nodeName ?? []));
  const nodes = cluster.nodes.map(({ facts }) => facts);
  return {
    cluster,
    key,
    service,
    server: nodes.find(({ name }) => running.has(name)),
    others: nodes.filter(({ name }) => !running.has(name)),
    endpoints: new Set(endpoints.flatMap(({ addresses }) => addresses)),
  };
}

export interface Client {
  readonly kind: ClientClass;
  readonly host: string;
  readonly node?: string;
}

export function clientsOf(stage: Stage): Client[] {
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

export interface Target {
  readonly name: string;
  readonly addr: Addr;
  readonly port: Port;
  readonly protocol: Protocol;
}

/**
 * clusterIP; {serverNode, ownNode, otherNode}.{private, public} where there is a node port: serverNode runs a ready endpoint,
 * ownNode is the client's, otherNode is a further node without an endpoint; loadBalancer.{private, public}, and with `:PORT`
 * the listeners of its balancer that are not this Service's; natGateway.public; podIP. In a dual-stack cluster the names of what
 * is of the secondary family end in that, as in clusterIP.IPv6.
 */
export function targetsOf(stage: Stage, port: ServicePort, client: Client): Target[] {
  const protocol = protocolOf(port);
  const make = (name: string, addr: Addr | undefined, number: number | undefined): Target[] =>
    addr === undefined || number === undefined ? [] : [{ name, addr, port: portOf(number), protocol }];
  const { clusterIP, clusterIPs = clusterIP === undefined ? [] : [clusterIP] } = stage.service.spec ?? {};
  const { cluster } = stage;
  const nodeTarget = (name: string, node: NodeFacts | undefined): Target[] =>
    [node, node?.dual].flatMap((own) => {
      if (own === undefined) return [];
      const family = ofFamily(cluster, own.address.family);
      return [
        ...make(`${name}.private${family}`, own.address, port.nodePort),
        ...make(`${name}.public${family}`, own.elastic, port.nodePort),
      ];
    });
  const own = stage.others.find(({ name }) => name === client.node);
  return [
    ...clusterIPs.flatMap((text) => {
      const addr = Addr.parse(text);
      return make(`clusterIP${ofFamily(cluster, addr.family)}`, addr, port.port);
    }),
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

/** What the name of a target ends in. */
const ofFamily = ({ profile }: Cluster, family: Family): string =>
  profile.secondary?.vpcCIDR.family === family ? `.${familyText(family)}` : '';

const protocolOf = ({ protocol }: ServicePort): Protocol =>
  protocol === 'UDP' || protocol === 'SCTP' ? protocol : 'TCP';

function cloudTargets({ cluster, key }: Stage, port: ServicePort, protocol: Protocol): Target[] {
  const balancer = cluster.balancers.find(({ name }) => name === cluster.balancerOf.get(key));
  const own = (cluster.cloudAddresses.get(key) ?? []).map((addr): Target => {
    const isGateway = cluster.forwards.some(({ elastic }) => elastic.equals(addr));
    const side = isWithin(cluster.profile, 'vpcCIDR', addr) ? 'private' : 'public';
    return {
      name: `${isGateway ? 'natGateway.public' : `loadBalancer.${side}`}${ofFamily(cluster, addr.family)}`,
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
  const found = new Map<string, Target>();
  for (const { endpoints, ports, addressType } of cluster.slices.get(key) ?? []) {
    if (found.has(addressType)) continue;
    const number = (ports ?? []).find(({ name }) => (name ?? '') === (port.name ?? ''))?.port;
    const address = endpoints.find(({ conditions }) => conditions?.ready !== false)?.addresses[0];
    if (number !== undefined && address !== undefined && Addr.isAddr(address)) {
      const addr = Addr.parse(address);
      const name = `podIP${ofFamily(cluster, addr.family)}`;
      found.set(addressType, { name, addr, port: portOf(number), protocol });
    }
  }
  return [...found.values()];
}
