import { Addr, type Family, Mac, Prefix } from '../ip/ip.ts';
import type { ClusterProfile, Ranges } from './profile.ts';
import {
  type Host,
  type HostRole,
  type InterfaceAddress,
  type Loopback,
  MAIN_TABLE,
  type Sysctls,
  type UnicastRoute,
} from './world.ts';

/*
 * The names and Ethernet addresses of the World's parts. All are functions of addresses, so that whoever adds a pod, now
 * or after a restart, comes to the same ones without asking.
 */

/** Where a machine has its first interface, and a pod its only one. */
export const ETH0 = 'eth0';
/** The second interface of a node with the network `eni`. */
export const ETH1 = 'eth1';
export const POD_BRIDGE = 'cni0';
export const VXLAN = 'vxlan0';
/** What the names of the node's ends of its pods' links begin with. */
export const POD_LINK = 'veth';
export const ROUTER = 'router';
export const EXTERNAL = 'external';
export const CONTROL_PLANE = 'control-plane';

/** The next hop of a pod on a routed link: it only has to exist in the pod's neighbour table (RFC 3927, RFC 4291 2.5.6). */
export const POD_GATEWAY: Readonly<Record<Family, Addr>> = {
  4: Addr.parse('169.254.1.1'),
  6: Addr.parse('fe80::1'),
};
/** Where a default route of IPv4 leads. */
export const DEFAULT = Prefix.parse('0.0.0.0/0');
export const DEFAULT_OF: Readonly<Record<Family, Prefix>> = { 4: DEFAULT, 6: Prefix.parse('::/0') };

/** The VPC router's address of a family, the next hop of every machine of the VPC. */
export function vpcGateway({ vpcCIDR }: Ranges): Addr {
  return vpcCIDR.at(1);
}

/** The Ethernet address of every port of the router: each port is a link of its own. */
export function routerMac(profile: ClusterProfile): Mac {
  return Mac.forAddr(vpcGateway(profile), 3);
}

/** The node's own address in its pod range: that of its bridge or VXLAN device. */
export function nodePodAddress(podCIDR: Prefix): Addr {
  return podCIDR.at(1);
}

/**
 * The Ethernet addresses, by what they belong to: whoever has addresses of two families is known by the first. The last four
 * bytes stand for the address (see {@link Mac.forAddr}).
 */
export const macs = {
  own: (addr: Addr) => Mac.forAddr(addr),
  /** The node's end of a pod's link. */
  podLink: (pod: Addr) => Mac.forAddr(pod, 1),
  vxlan: (node: Addr) => Mac.forAddr(node, 2),
  /** The interface that holds the addresses of Services with IPVS. */
  ipvs: (node: Addr) => Mac.forAddr(node, 4),
} as const;

/** The name of the node's end of a pod's link, such as `vethac10010a`. */
export function podLinkName(pod: Addr): string {
  return `${POD_LINK}${pod.word.toString(16).padStart(8, '0')}`;
}

/**
 * The name of the router's port towards a machine: the machine's name where an interface can bear it (IFNAMSIZ), else
 * one made of its address.
 */
export function portName(name: string, addr: Addr): string {
  const reserved = ['lo', 'all', 'default'].includes(name);
  if (name.length <= 15 && !reserved) return name;
  return `port-${addr.word.toString(16).padStart(8, '0')}`;
}

/** The network namespace of a host. No Kubernetes name holds `_`, so no two hosts share one. */
export function netnsOf(name: string): string {
  return name.replace('/', '_');
}

/** The 32 or 128 bits of one address. */
export function hostAddress(addr: Addr): InterfaceAddress {
  return { addr, length: Prefix.host(addr).length };
}

export function loopback(addresses: readonly InterfaceAddress[] = []): Loopback {
  return { kind: 'loopback', name: 'lo', addresses };
}

/** For a routing rule without prefixes: IPv4 is what it has unless it says so. */
export const ofFamily = (family: Family): { family?: Family } => (family === 4 ? {} : { family });

export function routeBy(to: Prefix, link: string, more: { via?: Addr; table?: number } = {}): UnicastRoute {
  return {
    kind: 'unicast',
    to,
    interface: link,
    table: more.table ?? MAIN_TABLE,
    ...(more.via === undefined ? {} : { via: more.via }),
  };
}

/** A machine that forwards nothing and believes every source: what a host is unless it says otherwise. */
export const ENDPOINT_SYSCTLS: Sysctls = { ipForward: false, rpFilter: 0, bridgeNfCallIptables: false };

/** A host with nothing but its name, to be filled in. */
export function bareHost(name: string, role: HostRole): Host {
  return {
    name,
    netns: netnsOf(name),
    role,
    interfaces: [loopback()],
    routes: [],
    routingRules: [],
    neighbours: [],
    sysctls: ENDPOINT_SYSCTLS,
    policies: [],
    listeners: [],
  };
}
