import { Fault } from '../fault/fault.ts';
import { type Addr, type Prefix, portOf } from '../ip/ip.ts';
import { type Addressed, inFamily, type NodeAddresses, type NodeFacts } from './facts.ts';
import type { Masquerade, Policy } from './policy.ts';
import { type ClusterProfile, familiesOf, type Network, type Ranges, rangesOf } from './profile.ts';
import { routesLocalhost } from './proxy-config.ts';
import {
  bareHost,
  DEFAULT_OF,
  ETH0,
  ETH1,
  hostAddress,
  loopback,
  macs,
  nodePodAddress,
  ofFamily,
  POD_BRIDGE,
  POD_LINK,
  portName,
  routeBy,
  routerMac,
  VXLAN,
  vpcGateway,
} from './wiring.ts';
import {
  type Bridge,
  type Host,
  type Interface,
  MAIN_TABLE,
  type Neighbour,
  type Sysctls,
  type Veth,
  type Vxlan,
} from './world.ts';

/** The table by which a node of the network `eni` routes what comes from pods. */
export const ENI_TABLE = 1001;
/** Connections that entered by the first interface of such a node; a bit kube-proxy does not use (0x4000, 0x8000). */
const ENTRY_MARK = 0x10;

/** Larger by the headers of VXLAN (RFC 7348) and the packet would not fit the VPC's 1500 bytes. */
export const TUNNEL_MTU = 1450;

const VNI = 1;
/** Linux' own choice (drivers/net/vxlan), older than the 4789 of RFC 7348; what flannel uses. */
const VXLAN_PORT = portOf(8472);

/** A node in one family: the cluster's ranges, and what the node has of them. */
interface Side {
  readonly ranges: Ranges;
  readonly own: NodeAddresses;
}

/** In the families of the cluster of which the node has an address, the primary one first. */
function sidesOf(profile: ClusterProfile, node: NodeFacts): Side[] {
  return rangesOf(profile).flatMap((ranges) => {
    const own = inFamily(node, ranges.vpcCIDR.family);
    return own === undefined ? [] : [{ ranges, own }];
  });
}

/** A node without its pods. Throws {@link Fault} FE011 if the network needs a pod range and the node has none. */
export function nodeHost(profile: ClusterProfile, node: NodeFacts, peers: readonly NodeFacts[]): Host {
  const sides = sidesOf(profile, node);
  const { hostPorts = [] } = node;
  const host: Host = {
    ...bareHost(node.name, 'node'),
    interfaces: [
      loopback(),
      machineInterface([
        ...sides.map(({ own }) => own.address),
        ...sides.flatMap(({ own }) => own.others ?? []),
      ]),
    ],
    ...machineRoutes(profile, node),
    sysctls: {
      ...forwardingSysctls(profile),
      rpFilter: 1,
      ...(profile.bridgeNetfilter ? bridgeNetfilter(profile) : {}),
      // portmap sets it as well, for the hostPorts of loopback.
      ...(routesLocalhost(profile) || hostPorts.length > 0 ? { routeLocalnet: true } : {}),
    },
    policies: sides.flatMap(({ ranges, own }): Policy[] => {
      const { family } = ranges.vpcCIDR;
      const ports = hostPorts.filter(({ to }) => to.addr.family === family);
      return [
        masquerade(profile.network, ranges, own),
        ...(ports.length === 0 ? [] : [{ kind: 'host-ports' as const, family, ports }]),
      ];
    }),
    listeners: node.listeners ?? [],
  };
  switch (profile.network) {
    case 'tunnel':
      return withTunnel(host, node, sides, peers);
    case 'vpc':
      return { ...host, interfaces: [...host.interfaces, ...podBridge(node.name, sides)] };
    case 'eni':
      return withSecondInterface(profile, host, sides);
  }
}

const bridgeNetfilter = (profile: ClusterProfile): Partial<Sysctls> => ({
  bridgeNfCallIptables: true,
  ...(familiesOf(profile).includes(6) ? { bridgeNfCallIp6tables: true } : {}),
});

/** Of a host that forwards, in every family of the cluster. */
export function forwardingSysctls(profile: ClusterProfile): Sysctls {
  const both = { ipForward: true, rpFilter: 0, bridgeNfCallIptables: false } as const;
  return familiesOf(profile).includes(6) ? { ...both, ipv6Forwarding: true } : both;
}

/**
 * The interface of a machine of the VPC, with its address of each family. Every packet goes to the router, so no other
 * machine is on its link.
 */
export function machineInterface(addrs: readonly Addr[], name: string = ETH0): Veth {
  const [first] = addrs;
  if (first === undefined) throw new TypeError(`the machine's interface ${name} has no address`);
  return { kind: 'veth', name, mac: macs.own(first), addresses: addrs.map(hostAddress) };
}

/** The way out of a machine of the VPC: the router is its only neighbour. */
export function machineRoutes(
  profile: ClusterProfile,
  machine: Addressed<{ readonly address: Addr }>,
): Pick<Host, 'routes' | 'neighbours'> {
  const own = rangesOf(profile).filter(({ vpcCIDR }) => inFamily(machine, vpcCIDR.family) !== undefined);
  return {
    routes: own.map((ranges) =>
      routeBy(DEFAULT_OF[ranges.vpcCIDR.family], ETH0, { via: vpcGateway(ranges) }),
    ),
    neighbours: own.map((ranges) => routerNeighbour(profile, ranges, ETH0)),
  };
}

function routerNeighbour(profile: ClusterProfile, ranges: Ranges, link: string): Neighbour {
  return { interface: link, addr: vpcGateway(ranges), mac: routerMac(profile) };
}

/** What a node carries of the container CIDR. Throws {@link Fault} FE011 if its network needs that and nobody says. */
export function podRanges(name: string, own: NodeAddresses): readonly Prefix[] {
  return own.podCIDR === undefined && own.blocks !== undefined ? own.blocks : [podRange(name, own)];
}

/** The node's own address on its tunnel's device. */
const tunnelAddress = (name: string, own: NodeAddresses): Addr =>
  own.tunnel ?? nodePodAddress(podRange(name, own));

/** The pod range of a node whose network needs one. */
export function podRange(name: string, { podCIDR, address }: NodeAddresses): Prefix {
  if (podCIDR !== undefined) return podCIDR;
  const what = address.family === 4 ? 'podCIDR' : 'podCIDR of IPv6';
  throw new Fault('FE011', `node '${name}' has no ${what}`, 'set its spec.podCIDR and spec.podCIDRs');
}

/**
 * In a tunnel whatever leaves the container CIDR takes the node's address, for the VPC knows no pod; with VPC routes and
 * `eni` it knows them, and only what leaves the VPC does. Who gives out blocks masquerades what leaves them (natOutgoing).
 */
function masquerade(network: Network, { podCIDR, vpcCIDR }: Ranges, own: NodeAddresses): Masquerade {
  const isPooled = network === 'vpc' && own.podCIDR === undefined;
  const except = isPooled
    ? [podCIDR]
    : { tunnel: [podCIDR], vpc: [podCIDR, vpcCIDR], eni: [vpcCIDR] }[network];
  return { kind: 'masquerade', family: podCIDR.family, from: podCIDR, except };
}

/** None where pods have addresses of blocks. */
function podBridge(name: string, sides: readonly Side[]): Bridge[] {
  const addresses = sides.flatMap(({ own }) => {
    if (own.podCIDR === undefined && own.blocks !== undefined) return [];
    const range = podRange(name, own);
    return [{ addr: nodePodAddress(range), length: range.length }];
  });
  const [first] = addresses;
  if (first === undefined) return [];
  return [{ kind: 'bridge', name: POD_BRIDGE, mac: macs.own(first.addr), addresses }];
}

/** One VXLAN device carries both families, over the primary one. */
function withTunnel(host: Host, node: NodeFacts, sides: readonly Side[], peers: readonly NodeFacts[]): Host {
  const others = peers.filter((peer) => peer.name !== node.name);
  const device: Vxlan = {
    kind: 'vxlan',
    name: VXLAN,
    mac: macs.vxlan(node.address),
    addresses: sides.map(({ own }) => hostAddress(tunnelAddress(node.name, own))),
    mtu: TUNNEL_MTU,
    vni: VNI,
    underlay: ETH0,
    local: node.address,
    port: VXLAN_PORT,
    forwarding: others.map(({ address }) => ({ mac: macs.vxlan(address), remote: address })),
  };
  const ways = sides.flatMap(({ ranges }) =>
    others.flatMap((peer) => {
      const there = inFamily(peer, ranges.vpcCIDR.family);
      if (there === undefined) return [];
      const via = tunnelAddress(peer.name, there);
      return [{ ranges: podRanges(peer.name, there), via, mac: macs.vxlan(peer.address) }];
    }),
  );
  return {
    ...host,
    interfaces: [...host.interfaces, device],
    routes: [
      ...host.routes,
      ...ways.flatMap((way) => way.ranges.map((range) => routeBy(range, VXLAN, { via: way.via }))),
    ],
    neighbours: [
      ...host.neighbours,
      ...ways.map(({ via, mac }): Neighbour => ({ interface: VXLAN, addr: via, mac })),
    ],
  };
}

/** The own address of a node's second interface. Throws {@link Fault} FE011 if it has none. */
export function secondOf(name: string, { second }: NodeAddresses): Addr {
  if (second !== undefined) return second;
  throw new Fault('FE011', `node '${name}' has no second interface`, 'give it an address of the VPC');
}

/** The router's port towards a node's second interface. */
export function secondPort(node: NodeFacts): string {
  return portName(`${node.name}-2`, secondOf(node.name, node));
}

/**
 * The rules of a pod (see `podAttachment`) send what comes from it by the second interface. What came in by the first one
 * for an address of the node, a NodePort, has to be answered by the first one again: a mark leads it back.
 */
function withSecondInterface(profile: ClusterProfile, host: Host, sides: readonly Side[]): Host {
  // A NodePort's packet is validated after its DNAT: its reverse path is the pod's, by the second interface.
  const loose = (each: Interface): Interface => (each.name === ETH0 ? { ...each, rpFilter: 2 } : each);
  const seconds = sides.map(({ own }) => secondOf(host.name, own));
  const ranges = sides.map((side) => side.ranges);
  const families = ranges.map(({ vpcCIDR }) => vpcCIDR.family);
  const byMark = { priority: 1024, mark: { value: ENTRY_MARK, mask: ENTRY_MARK }, table: MAIN_TABLE };
  const wayOut = (each: Ranges) =>
    routeBy(DEFAULT_OF[each.vpcCIDR.family], ETH1, { via: vpcGateway(each), table: ENI_TABLE });
  return {
    ...host,
    interfaces: [...host.interfaces.map(loose), machineInterface(seconds, ETH1)],
    routes: [...host.routes, ...ranges.map(wayOut)],
    neighbours: [...host.neighbours, ...ranges.map((each) => routerNeighbour(profile, each, ETH1))],
    routingRules: families.map((family) => ({ ...byMark, ...ofFamily(family) })),
    policies: [
      ...host.policies,
      ...families.map((family) => ({
        kind: 'entry-mark' as const,
        family,
        entry: ETH0,
        pods: POD_LINK,
        mark: ENTRY_MARK,
      })),
    ],
  };
}
