import { type Addr, Prefix } from '../ip/ip.ts';
import type { BalancerFacts, MachineFacts, NodeFacts } from './facts.ts';
import { machineInterface, machineRoutes, secondOf, secondPort } from './node-host.ts';
import type { ElasticAddresses, Forward, Policy, ReturnPath, SourceCheck } from './policy.ts';
import type { ClusterProfile } from './profile.ts';
import {
  bareHost,
  DEFAULT,
  ETH0,
  ETH1,
  hostAddress,
  loopback,
  macs,
  portName,
  ROUTER,
  routeBy,
  vpcGateway,
} from './wiring.ts';
import {
  type Host,
  type HostRole,
  type Link,
  MAIN_TABLE,
  type Neighbour,
  type Route,
  type RoutingRule,
} from './world.ts';

/** One port of the VPC router and the machine behind it. */
interface Port {
  readonly name: string;
  readonly machine: { readonly host: string; readonly interface: string };
  readonly addr: Addr;
  /** What the machine may send from, and what the router delivers to it; `undefined` outside of the VPC: anything. */
  readonly owns: readonly Prefix[] | undefined;
  readonly delivers: readonly Prefix[];
}

export interface Fabric {
  readonly router: Host;
  readonly links: readonly Link[];
}

/** Who stands around the router. */
export interface FabricFacts {
  readonly nodes: readonly NodeFacts[];
  /** The machines of the VPC beside the nodes and balancers. */
  readonly machines: readonly MachineFacts[];
  readonly balancers: readonly BalancerFacts[];
  readonly outside: readonly MachineFacts[];
  /** What NAT gateways forward. */
  readonly forwards: readonly Forward[];
}

/**
 * The VPC router and internet gateway: every packet between machines crosses it. It drops what a machine sends from a
 * source it does not own, routes pod ranges only where the network model says so, and holds the elastic addresses.
 */
export function fabric(profile: ClusterProfile, facts: FabricFacts): Fabric {
  const { nodes, machines, balancers, outside, forwards } = facts;
  const inside = [...nodes.flatMap((node) => nodePorts(profile, node)), ...machines.map(machinePort)];
  const balancing = balancers.map(balancerPort);
  const gates = outside.map((machine) => ({ ...machinePort(machine), owns: undefined }));
  const ports = [...inside, ...balancing, ...gates];
  const gateway = vpcGateway(profile);
  const ways = balancing.filter((port) => port.owns === undefined).map(wayBack);
  const checked = [...inside, ...balancing.filter((port) => port.owns !== undefined)];
  const policies: Policy[] = [
    sourceCheck(checked),
    elasticAddresses(gates, [...nodes, ...machines, ...balancers], forwards),
  ];
  const router: Host = {
    ...bareHost(ROUTER, 'router'),
    interfaces: [
      loopback([hostAddress(gateway)]),
      ...ports.map(({ name }) => ({
        kind: 'veth' as const,
        name,
        mac: macs.router(gateway),
        addresses: [],
      })),
    ],
    routes: [...ports.flatMap(portRoutes), SILENCE, ...ways.map((way) => way.route)],
    routingRules: ways.map((way) => way.rule),
    neighbours: ports.map(
      (port): Neighbour => ({ interface: port.name, addr: port.addr, mac: macs.own(port.addr) }),
    ),
    sysctls: { ipForward: true, rpFilter: 0, bridgeNfCallIptables: false },
    policies: ways.length === 0 ? policies : [...policies, returnPath(ways)],
  };
  const link = ({ name, machine }: Port): Link => ({ a: { host: ROUTER, interface: name }, b: machine });
  return { router, links: ports.map(link) };
}

/** A balancer that hands on the client's packets as they are sends from addresses that are not its own. */
function balancerPort(balancer: BalancerFacts): Port {
  const port = machinePort({ name: balancer.name, address: balancer.address });
  return balancer.keepClientAddress ? { ...port, owns: undefined } : port;
}

/** How answers find back to a balancer: a mark, and a table that leads to it. */
interface WayBack {
  readonly interface: string;
  readonly mark: number;
  readonly rule: RoutingRule;
  readonly route: Route;
}

/** Beside the tables of Linux itself (253 to 255). */
const WAY_BACK_TABLES = 1000;

function wayBack(port: Port, at: number): WayBack {
  const mark = at + 1;
  const table = WAY_BACK_TABLES + mark;
  return {
    interface: port.name,
    mark,
    rule: { priority: table, mark: { value: mark, mask: 0xffff_ffff }, table },
    route: routeBy(DEFAULT, port.name, { via: port.addr, table }),
  };
}

function returnPath(ways: readonly WayBack[]): ReturnPath {
  return { kind: 'return-path', ways: ways.map(({ interface: name, mark }) => ({ interface: name, mark })) };
}

/** A VPC drops what it cannot deliver and tells nobody. */
const SILENCE: Route = { kind: 'blackhole', to: DEFAULT, table: MAIN_TABLE };

function nodePorts(profile: ClusterProfile, node: NodeFacts): Port[] {
  const own = Prefix.host(node.address);
  const known = profile.network === 'vpc' && node.podCIDR !== undefined ? [node.podCIDR] : [];
  const first: Port = {
    name: portName(node.name, node.address),
    machine: { host: node.name, interface: ETH0 },
    addr: node.address,
    owns: [own, ...known],
    delivers: known,
  };
  if (profile.network !== 'eni') return [first];
  const second = secondOf(node);
  return [
    first,
    {
      name: secondPort(node),
      machine: { host: node.name, interface: ETH1 },
      addr: second,
      owns: [Prefix.host(second), node.podCIDR ?? profile.podCIDR],
      delivers: node.podCIDR === undefined ? [] : [node.podCIDR],
    },
  ];
}

function machinePort(machine: MachineFacts): Port {
  return {
    name: portName(machine.name, machine.address),
    machine: { host: machine.name, interface: ETH0 },
    addr: machine.address,
    owns: [Prefix.host(machine.address)],
    delivers: [],
  };
}

function portRoutes(port: Port): Route[] {
  return [
    routeBy(Prefix.host(port.addr), port.name),
    ...port.delivers.map((range) => routeBy(range, port.name, { via: port.addr })),
  ];
}

function sourceCheck(ports: readonly Port[]): SourceCheck {
  const owned = ports.map(({ name, owns = [] }) => ({ interface: name, prefixes: owns }));
  return { kind: 'source-check', owned };
}

function elasticAddresses(
  gates: readonly Port[],
  machines: readonly Pick<MachineFacts, 'address' | 'elastic'>[],
  forwards: readonly Forward[],
): ElasticAddresses {
  const pairs = machines.flatMap(({ elastic, address }) =>
    elastic === undefined ? [] : [{ elastic, inside: address }],
  );
  const outside = gates.map(({ name }) => name);
  const addresses = { kind: 'elastic-addresses', outside, pairs } as const;
  return forwards.length === 0 ? addresses : { ...addresses, forwards };
}

/** A machine beside the nodes. */
export function machineHost(profile: ClusterProfile, role: HostRole, machine: MachineFacts): Host {
  return {
    ...bareHost(machine.name, role),
    interfaces: [loopback(), machineInterface(machine.address)],
    ...machineRoutes(profile),
    listeners: machine.listeners ?? [],
  };
}

/** A balancer: it forwards for others, and believes every source. */
export function balancerHost(profile: ClusterProfile, balancer: BalancerFacts): Host {
  const { keepClientAddress, listeners } = balancer;
  const host = machineHost(profile, 'balancer', { name: balancer.name, address: balancer.address });
  return {
    ...host,
    sysctls: { ipForward: true, rpFilter: 0, bridgeNfCallIptables: false },
    policies: [{ kind: 'balance', keepClientAddress, listeners }],
  };
}
