import { type Addr, Prefix } from '../ip/ip.ts';
import type { MachineFacts, NodeFacts } from './facts.ts';
import { machineInterface, machineRoutes, secondOf, secondPort } from './node-host.ts';
import type { ElasticAddresses, SourceCheck } from './policy.ts';
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
import { type Host, type HostRole, type Link, MAIN_TABLE, type Neighbour, type Route } from './world.ts';

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

/**
 * The VPC router and internet gateway: every packet between machines crosses it. It drops what a machine sends from a
 * source it does not own, routes pod ranges only where the network model says so, and holds the elastic addresses.
 */
export function fabric(
  profile: ClusterProfile,
  nodes: readonly NodeFacts[],
  vpcMachines: readonly MachineFacts[],
  outside: readonly MachineFacts[],
): Fabric {
  const inside = [...nodes.flatMap((node) => nodePorts(profile, node)), ...vpcMachines.map(machinePort)];
  const gates = outside.map((machine) => ({ ...machinePort(machine), owns: undefined }));
  const ports = [...inside, ...gates];
  const gateway = vpcGateway(profile);
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
    routes: [...ports.flatMap(portRoutes), SILENCE],
    neighbours: ports.map(
      (port): Neighbour => ({ interface: port.name, addr: port.addr, mac: macs.own(port.addr) }),
    ),
    sysctls: { ipForward: true, rpFilter: 0, bridgeNfCallIptables: false },
    policies: [sourceCheck(inside), elasticAddresses(gates, [...nodes, ...vpcMachines])],
  };
  const link = ({ name, machine }: Port): Link => ({ a: { host: ROUTER, interface: name }, b: machine });
  return { router, links: ports.map(link) };
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
  machines: readonly (NodeFacts | MachineFacts)[],
): ElasticAddresses {
  const pairs = machines.flatMap(({ elastic, address }) =>
    elastic === undefined ? [] : [{ elastic, inside: address }],
  );
  return { kind: 'elastic-addresses', outside: gates.map(({ name }) => name), pairs };
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
