import { Fault } from '../fault/fault.ts';
import { type Addr, type Prefix, portOf } from '../ip/ip.ts';
import type { NodeFacts } from './facts.ts';
import type { Masquerade } from './policy.ts';
import type { ClusterProfile } from './profile.ts';
import {
  bareHost,
  DEFAULT,
  ETH0,
  ETH1,
  hostAddress,
  loopback,
  macs,
  nodePodAddress,
  POD_BRIDGE,
  POD_LINK,
  portName,
  routeBy,
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

const NODE_SYSCTLS: Sysctls = { ipForward: true, rpFilter: 1, bridgeNfCallIptables: false };

/** A node without its pods. Throws {@link Fault} FE011 if the network needs a pod range and the node has none. */
export function nodeHost(profile: ClusterProfile, node: NodeFacts, peers: readonly NodeFacts[]): Host {
  const bare = bareHost(node.name, 'node');
  const host: Host = {
    ...bare,
    interfaces: [loopback(), machineInterface(node.address)],
    ...machineRoutes(profile),
    sysctls: NODE_SYSCTLS,
    policies: [masquerade(profile)],
    listeners: node.listeners ?? [],
  };
  switch (profile.network) {
    case 'tunnel':
      return withTunnel(host, node, peers);
    case 'vpc':
      return { ...host, interfaces: [...host.interfaces, podBridge(podRange(node))] };
    case 'eni':
      return withSecondInterface(profile, host, node);
  }
}

/** The interface of a machine of the VPC. Every packet goes to the router, so no other machine is on its link. */
export function machineInterface(addr: Addr, name: string = ETH0): Veth {
  return { kind: 'veth', name, mac: macs.own(addr), addresses: [hostAddress(addr)] };
}

/** The way out of a machine of the VPC: the router is its only neighbour. */
export function machineRoutes(profile: ClusterProfile): Pick<Host, 'routes' | 'neighbours'> {
  const via = vpcGateway(profile);
  return { routes: [routeBy(DEFAULT, ETH0, { via })], neighbours: [routerNeighbour(profile, ETH0)] };
}

function routerNeighbour(profile: ClusterProfile, link: string): Neighbour {
  const addr = vpcGateway(profile);
  return { interface: link, addr, mac: macs.router(addr) };
}

/** The pod range of a node whose network needs one. */
export function podRange(node: NodeFacts): Prefix {
  if (node.podCIDR !== undefined) return node.podCIDR;
  throw new Fault('FE011', `node '${node.name}' has no podCIDR`, 'set its spec.podCIDR');
}

/**
 * In a tunnel whatever leaves the container CIDR takes the node's address, for the VPC knows no pod; with VPC routes and
 * `eni` it knows them, and only what leaves the VPC does.
 */
function masquerade({ network, podCIDR, vpcCIDR }: ClusterProfile): Masquerade {
  const except = { tunnel: [podCIDR], vpc: [podCIDR, vpcCIDR], eni: [vpcCIDR] }[network];
  return { kind: 'masquerade', from: podCIDR, except };
}

function podBridge(range: Prefix): Bridge {
  const addr = nodePodAddress(range);
  return {
    kind: 'bridge',
    name: POD_BRIDGE,
    mac: macs.own(addr),
    addresses: [{ addr, length: range.length }],
  };
}

function withTunnel(host: Host, node: NodeFacts, peers: readonly NodeFacts[]): Host {
  const others = peers.filter((peer) => peer.name !== node.name);
  const device: Vxlan = {
    kind: 'vxlan',
    name: VXLAN,
    mac: macs.vxlan(node.address),
    addresses: [hostAddress(nodePodAddress(podRange(node)))],
    mtu: TUNNEL_MTU,
    vni: VNI,
    underlay: ETH0,
    local: node.address,
    port: VXLAN_PORT,
    forwarding: others.map(({ address }) => ({ mac: macs.vxlan(address), remote: address })),
  };
  const peerNeighbour = (peer: NodeFacts): Neighbour => ({
    interface: VXLAN,
    addr: nodePodAddress(podRange(peer)),
    mac: macs.vxlan(peer.address),
  });
  const peerRoute = (peer: NodeFacts) =>
    routeBy(podRange(peer), VXLAN, { via: nodePodAddress(podRange(peer)) });
  return {
    ...host,
    interfaces: [...host.interfaces, device],
    routes: [...host.routes, ...others.map(peerRoute)],
    neighbours: [...host.neighbours, ...others.map(peerNeighbour)],
  };
}

/** The own address of a node's second interface. Throws {@link Fault} FE011 if it has none. */
export function secondOf(node: NodeFacts): Addr {
  if (node.second !== undefined) return node.second;
  throw new Fault('FE011', `node '${node.name}' has no second interface`, 'give it an address of the VPC');
}

/** The router's port towards a node's second interface. */
export function secondPort(node: NodeFacts): string {
  return portName(`${node.name}-2`, secondOf(node));
}

/**
 * The rules of a pod (see `podAttachment`) send what comes from it by the second interface. What came in by the first one
 * for an address of the node, a NodePort, has to be answered by the first one again: a mark leads it back.
 */
function withSecondInterface(profile: ClusterProfile, host: Host, node: NodeFacts): Host {
  // A NodePort's packet is validated after its DNAT: its reverse path is the pod's, by the second interface.
  const loose = (each: Interface): Interface => (each.name === ETH0 ? { ...each, rpFilter: 2 } : each);
  return {
    ...host,
    interfaces: [...host.interfaces.map(loose), machineInterface(secondOf(node), ETH1)],
    routes: [...host.routes, routeBy(DEFAULT, ETH1, { via: vpcGateway(profile), table: ENI_TABLE })],
    neighbours: [...host.neighbours, routerNeighbour(profile, ETH1)],
    routingRules: [{ priority: 1024, mark: { value: ENTRY_MARK, mask: ENTRY_MARK }, table: MAIN_TABLE }],
    policies: [...host.policies, { kind: 'entry-mark', entry: ETH0, pods: POD_LINK, mark: ENTRY_MARK }],
  };
}
