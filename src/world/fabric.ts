import { type Addr, type Family, type Mac, Prefix } from '../ip/ip.ts';
import {
  type Addressed,
  addressesOf,
  type BalancerFacts,
  inFamily,
  interfaceAddressesOf,
  type MachineAddresses,
  type MachineFacts,
  type NodeFacts,
} from './facts.ts';
import { forwardingSysctls, machineInterface, machineRoutes, secondOf, secondPort } from './node-host.ts';
import type { ElasticAddresses, Forward, Policy, ReturnPath, SourceCheck } from './policy.ts';
import { type ClusterProfile, familiesOf, rangesOf } from './profile.ts';
import {
  bareHost,
  DEFAULT_OF,
  ETH0,
  ETH1,
  hostAddress,
  loopback,
  macs,
  ofFamily,
  portName,
  ROUTER,
  routeBy,
  routerMac,
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
  /** The machine's, one a family. */
  readonly addrs: readonly Addr[];
  readonly mac: Mac;
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
  const returning = balancing.filter((port) => port.owns === undefined);
  const checked = [...inside, ...balancing.filter((port) => port.owns !== undefined)];
  const families = familiesOf(profile);
  const ways = families.flatMap((family) => returning.flatMap((port, at) => wayBack(family, port, at)));
  const policies = families.flatMap((family): Policy[] => [
    sourceCheck(family, checked),
    elasticAddresses(family, gates, [...nodes, ...machines, ...balancers], forwards),
    ...(returning.length === 0 ? [] : [returnPath(family, returning)]),
  ]);
  const router: Host = {
    ...bareHost(ROUTER, 'router'),
    interfaces: [
      loopback(rangesOf(profile).map((ranges) => hostAddress(vpcGateway(ranges)))),
      ...ports.map(({ name }) => ({
        kind: 'veth' as const,
        name,
        mac: routerMac(profile),
        addresses: [],
      })),
    ],
    routes: [...ports.flatMap(portRoutes), ...families.map(silence), ...ways.map((way) => way.route)],
    routingRules: ways.map((way) => way.rule),
    neighbours: ports.flatMap((port) =>
      port.addrs.map((addr): Neighbour => ({ interface: port.name, addr, mac: port.mac })),
    ),
    sysctls: forwardingSysctls(profile),
    policies,
  };
  const link = ({ name, machine }: Port): Link => ({ a: { host: ROUTER, interface: name }, b: machine });
  return { router, links: ports.map(link) };
}

/** A balancer that hands on the client's packets as they are sends from addresses that are not its own. */
function balancerPort(balancer: BalancerFacts): Port {
  const port = machinePort(balancer);
  return balancer.keepClientAddress ? { ...port, owns: undefined } : port;
}

/** How answers find back to a balancer: a mark, and a table that leads to it. */
interface WayBack {
  readonly rule: RoutingRule;
  readonly route: Route;
}

/** Beside the tables of Linux itself (253 to 255). */
const WAY_BACK_TABLES = 1000;
const markOf = (at: number): number => at + 1;

function wayBack(family: Family, port: Port, at: number): WayBack[] {
  const via = port.addrs.find((addr) => addr.family === family);
  if (via === undefined) return [];
  const mark = markOf(at);
  const table = WAY_BACK_TABLES + mark;
  return [
    {
      rule: { ...ofFamily(family), priority: table, mark: { value: mark, mask: 0xffff_ffff }, table },
      route: routeBy(DEFAULT_OF[family], port.name, { via, table }),
    },
  ];
}

function returnPath(family: Family, returning: readonly Port[]): ReturnPath {
  const ways = returning.map(({ name }, at) => ({ interface: name, mark: markOf(at) }));
  return { kind: 'return-path', family, ways };
}

/** A VPC drops what it cannot deliver and tells nobody. */
const silence = (family: Family): Route => ({ kind: 'blackhole', to: DEFAULT_OF[family], table: MAIN_TABLE });

function nodePorts(profile: ClusterProfile, node: NodeFacts): Port[] {
  const sides = rangesOf(profile).flatMap((ranges) => {
    const own = inFamily(node, ranges.vpcCIDR.family);
    return own === undefined ? [] : [{ ranges, own }];
  });
  const known = profile.network === 'vpc' ? sides.flatMap(({ own }) => own.podCIDR ?? own.blocks ?? []) : [];
  const addrs = sides.map(({ own }) => own.address);
  const others = sides.flatMap(({ own }) => own.others ?? []).map(Prefix.host);
  const first: Port = {
    name: portName(node.name, node.address),
    machine: { host: node.name, interface: ETH0 },
    addrs,
    mac: macs.own(node.address),
    owns: [...addrs.map(Prefix.host), ...others, ...known],
    delivers: [...others, ...known],
  };
  if (profile.network !== 'eni') return [first];
  const seconds = sides.map(({ own }) => secondOf(node.name, own));
  const pods = sides.map(({ own, ranges }) => own.podCIDR ?? ranges.podCIDR);
  return [
    first,
    {
      name: secondPort(node),
      machine: { host: node.name, interface: ETH1 },
      addrs: seconds,
      mac: macs.own(secondOf(node.name, node)),
      owns: [...seconds.map(Prefix.host), ...pods],
      delivers: sides.flatMap(({ own }) => own.podCIDR ?? []),
    },
  ];
}

function machinePort(machine: Pick<MachineFacts, 'name' | 'address' | 'others' | 'dual'>): Port {
  const addrs = addressesOf(machine);
  const all = interfaceAddressesOf(machine).map(Prefix.host);
  return {
    name: portName(machine.name, machine.address),
    machine: { host: machine.name, interface: ETH0 },
    addrs,
    mac: macs.own(machine.address),
    owns: all,
    delivers: all.slice(addrs.length),
  };
}

function portRoutes({ name, addrs, delivers }: Port): Route[] {
  return addrs.flatMap((addr) => [
    routeBy(Prefix.host(addr), name),
    ...delivers
      .filter(({ family }) => family === addr.family)
      .map((range) => routeBy(range, name, { via: addr })),
  ]);
}

function sourceCheck(family: Family, ports: readonly Port[]): SourceCheck {
  const owned = ports.map(({ name, owns = [] }) => ({
    interface: name,
    prefixes: owns.filter((prefix) => prefix.family === family),
  }));
  return { kind: 'source-check', family, owned };
}

function elasticAddresses(
  family: Family,
  gates: readonly Port[],
  machines: readonly Addressed<MachineAddresses>[],
  forwards: readonly Forward[],
): ElasticAddresses {
  const pairs = machines.flatMap((machine) => {
    const { address, elastic } = inFamily<MachineAddresses>(machine, family) ?? {};
    return elastic === undefined || address === undefined ? [] : [{ elastic, inside: address }];
  });
  const outside = gates.map(({ name }) => name);
  const addresses = { kind: 'elastic-addresses', family, outside, pairs } as const;
  const own = forwards.filter(({ elastic }) => elastic.family === family);
  return own.length === 0 ? addresses : { ...addresses, forwards: own };
}

/** A machine beside the nodes. */
export function machineHost(profile: ClusterProfile, role: HostRole, machine: MachineFacts): Host {
  return {
    ...bareHost(machine.name, role),
    interfaces: [loopback(), machineInterface(interfaceAddressesOf(machine))],
    ...machineRoutes(profile, machine),
    listeners: machine.listeners ?? [],
  };
}

/** A balancer: it forwards for others, and believes every source. */
export function balancerHost(profile: ClusterProfile, balancer: BalancerFacts): Host {
  const { keepClientAddress, listeners, ...machine } = balancer;
  const balance = (family: Family): Policy => ({
    kind: 'balance',
    family,
    keepClientAddress,
    listeners: listeners.map((listener) => ({
      ...listener,
      members: listener.members.filter(({ addr }) => addr.family === family),
    })),
  });
  return {
    ...machineHost(profile, 'balancer', machine),
    sysctls: forwardingSysctls(profile),
    policies: addressesOf(balancer).map(({ family }) => balance(family)),
  };
}
