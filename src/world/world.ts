/**
 * The World: every fact that decides what becomes of a packet, as one immutable value. `trace` walks packets through it
 * in software, `lab` builds it out of network namespaces; whatever one knows the other knows.
 *
 * Promises: a World that {@link checkWorld} let pass can be built: names and addresses are unique, every link has both
 * ends, every route leaves by an interface that exists. Addresses are values of `ip`, never text.
 * Refuses: to hold what the kernel derives by itself. The local table, the connected route of an address with a prefix
 * shorter than the host's, the link-local addresses of IPv6 and the forwarding table a bridge learns follow from what stands here.
 *
 * @example
 * const profile = profileOf({ network: 'vpc' });
 * const world = buildCluster({ profile, nodes: defaultNodes(profile, 3) });
 * hostOf(world, 'n1').interfaces.map((each) => each.name); // ['lo', 'eth0', 'cni0']
 */
import { Fault } from '../fault/fault.ts';
import type { Addr, Family, Mac, Port, Prefix, Protocol } from '../ip/ip.ts';
import type { IpSet, IptablesRuleset, IpvsTable, NftRuleset } from '../netfilter/netfilter.ts';
import type { Policy } from './policy.ts';
import type { ClusterProfile } from './profile.ts';

export interface World {
  readonly profile: ClusterProfile;
  /** By {@link Host.name}, in the order in which they are built. */
  readonly hosts: ReadonlyMap<string, Host>;
  readonly links: readonly Link[];
}

export type HostRole =
  | 'router'
  | 'node'
  | 'pod'
  | 'control-plane'
  | 'balancer'
  | 'gateway'
  /** A machine of the VPC outside the cluster. */
  | 'vpc-host'
  /** A machine outside the VPC. */
  | 'client';

/** A network stack of its own: one network namespace when built. */
export interface Host {
  /** Unique in its World; a pod's is `namespace/name`. */
  readonly name: string;
  /** Its network namespace below /run/netns, see ip-netns(8). */
  readonly netns: string;
  readonly role: HostRole;
  /** Those with an address in the order the kernel numbers them: it looks there for a source address, first come first. */
  readonly interfaces: readonly Interface[];
  readonly routes: readonly Route[];
  /** Beside the kernel's own three (local, main, default). */
  readonly routingRules: readonly RoutingRule[];
  readonly neighbours: readonly Neighbour[];
  readonly sysctls: Sysctls;
  /** The packet policies of the network itself; Service rules are the proxy's. */
  readonly policies: readonly Policy[];
  /** The rules of whoever else is on the host: the proxy, a network plugin, its administrator. */
  readonly packetFilter?: PacketFilter;
  readonly listeners: readonly Listener[];
  /** The folder of what it printed, if it was read and not compiled: see from-nodes. */
  readonly readFrom?: string;
}

/** Rule trees, loaded after what the policies print to: what `nft -f` and `iptables-restore` are given. */
export interface PacketFilter {
  readonly nftables?: NftRuleset;
  /** At most one a family, or two where a host that was read has both kinds of iptables. */
  readonly iptables?: readonly IptablesRuleset[];
  /** Tables made after those of iptables: of two chains with one priority the later is asked first. */
  readonly laterNftables?: NftRuleset;
  /** What iptables rules ask. */
  readonly ipsets?: readonly IpSet[];
  /** With net.ipv4.vs.conntrack = 1, as kube-proxy has it. */
  readonly ipvs?: IpvsTable;
}

interface InterfaceShape {
  /** At most 15 bytes (IFNAMSIZ). */
  readonly name: string;
  readonly addresses: readonly InterfaceAddress[];
  /** The kernel takes the larger of this and the host's (Documentation/networking/ip-sysctl.rst); the host's unless said. */
  readonly rpFilter?: RpFilter;
  readonly mtu?: number;
  /** Why it is not known what becomes of a packet that passes it, such as `a device of the kind ipip`. */
  readonly unmodelled?: string;
}

export interface Loopback extends InterfaceShape {
  readonly kind: 'loopback';
}

/** One end of a {@link Link}; without one only if it is `unmodelled`. */
export interface Veth extends InterfaceShape {
  readonly kind: 'veth';
  readonly mac: Mac;
  /** The bridge of the same host whose port it is. */
  readonly bridge?: string;
}

export interface Bridge extends InterfaceShape {
  readonly kind: 'bridge';
  readonly mac: Mac;
}

/** A VXLAN device that learns nothing: what it does not find in `forwarding` it drops (RFC 7348). */
export interface Vxlan extends InterfaceShape {
  readonly kind: 'vxlan';
  readonly mac: Mac;
  readonly vni: number;
  readonly underlay: string;
  readonly local: Addr;
  readonly port: Port;
  readonly forwarding: readonly { readonly mac: Mac; readonly remote: Addr }[];
}

/** An interface to nowhere (dummy): its addresses are the host's own, such as those kube-proxy binds with IPVS. */
export interface Dummy extends InterfaceShape {
  readonly kind: 'dummy';
  readonly mac: Mac;
}

export type Interface = Loopback | Veth | Bridge | Vxlan | Dummy;

export interface InterfaceAddress {
  readonly addr: Addr;
  /** In bits; a host prefix gives no connected route. */
  readonly length: number;
}

/** 0 off, 1 strict, 2 loose (RFC 3704). */
export type RpFilter = 0 | 1 | 2;

export interface Sysctls {
  /** net.ipv4.ip_forward */
  readonly ipForward: boolean;
  /** net.ipv6.conf.all.forwarding; not, unless said. */
  readonly ipv6Forwarding?: boolean;
  /** net.ipv4.conf.all.rp_filter; IPv6 has nothing of the kind. */
  readonly rpFilter: RpFilter;
  /** net.bridge.bridge-nf-call-iptables: whether what a bridge switches passes netfilter. */
  readonly bridgeNfCallIptables: boolean;
  /** net.bridge.bridge-nf-call-ip6tables, the same for IPv6; not, unless said. */
  readonly bridgeNfCallIp6tables?: boolean;
  /** net.ipv4.conf.all.route_localnet: whether 127.0.0.0/8 may come in and go out by links; not, unless said. */
  readonly routeLocalnet?: boolean;
}

/** A veth pair. */
export interface Link {
  readonly a: LinkEnd;
  readonly b: LinkEnd;
}

export interface LinkEnd {
  readonly host: string;
  readonly interface: string;
}

export const MAIN_TABLE = 254;

export type Route = UnicastRoute | DiscardRoute | UnmodelledRoute;

export interface UnicastRoute {
  readonly kind: 'unicast';
  /** The length 0 is the default route. */
  readonly to: Prefix;
  readonly interface: string;
  /** The next hop, taken to be on the link (`onlink`); without it the destination itself is. */
  readonly via?: Addr;
  /** The source address of what the host sends itself by this route. */
  readonly source?: Addr;
  readonly table: number;
}

/**
 * What is silently dropped (blackhole) or answered with an ICMP error (unreachable, prohibit). `throw` ends the lookup in its
 * table, and the next rule is asked.
 */
export interface DiscardRoute {
  readonly kind: Discard | 'throw';
  readonly to: Prefix;
  readonly table: number;
}

/** What becomes of a packet instead of a way. */
export type Discard = 'blackhole' | 'unreachable' | 'prohibit';

/** A route that was read and is not modelled, such as one of several next hops: what it leads is not known. */
export interface UnmodelledRoute {
  readonly kind: 'unmodelled';
  readonly to: Prefix;
  readonly table: number;
  /** As `ip route` has it. */
  readonly text: string;
  /** `file:line` */
  readonly place: string;
}

/** One rule of `ip rule`; every condition that is given must hold. */
export interface RoutingRule {
  /** That of its prefixes unless said; IPv4 if it has none. */
  readonly family?: Family;
  /** Lower is looked at first; the kernel's main table stands at 32766. */
  readonly priority: number;
  readonly from?: Prefix;
  readonly to?: Prefix;
  readonly mark?: { readonly value: number; readonly mask: number };
  /** The interface it came in by (`iif`); what the host sends itself comes by its loopback interface. */
  readonly input?: string;
  /** The interface that a socket is bound to (`oif`): those of a World are bound to none, so it holds for nothing. */
  readonly output?: string;
  /** It holds for just what its conditions do not hold for. */
  readonly isInverted?: true;
  readonly table: number;
  /** Instead of a lookup. */
  readonly discard?: Discard;
  /** A way to a network of no greater prefix length than this counts for nothing (`suppress_prefixlength`). */
  readonly suppress?: number;
  /** A rule that was read and has more to it than this. */
  readonly unmodelled?: { readonly text: string; readonly place: string };
}

/** A permanent entry of the neighbour table, so that nobody has to be asked (ARP, neighbour discovery). */
export interface Neighbour {
  readonly interface: string;
  readonly addr: Addr;
  readonly mac: Mac;
}

/** A process that answers. */
export interface Listener {
  readonly protocol: Protocol;
  readonly port: Port;
  /** Every address of the host unless said; the unspecified one (`0.0.0.0`, `::`) is every one of its family. */
  readonly addr?: Addr;
  /** Nobody said so: it is taken to be there because somebody sends to it. */
  readonly isGuess?: true;
}

/** Throws {@link Fault} FE011 for a name that is not in the World, with the names that are. */
export function hostOf(world: World, name: string): Host {
  const host = world.hosts.get(name);
  if (host !== undefined) return host;
  throw new Fault('FE011', `there is no host '${name}'`, `hosts: ${[...world.hosts.keys()].join(', ')}`);
}

export function hostsOf(world: World, role: HostRole): readonly Host[] {
  return [...world.hosts.values()].filter((host) => host.role === role);
}

/** Of packets of which family the rule is asked. */
export function familyOfRule({ family, from, to }: RoutingRule): Family {
  return family ?? from?.family ?? to?.family ?? 4;
}

/** Whether the host has IPv6 at all; without an address of it, it is switched off there. */
export function hasIpv6(host: Host): boolean {
  return host.interfaces.some(({ addresses }) => addresses.some(({ addr }) => addr.family === 6));
}

/**
 * The host's own address (of the family, where one is said): the first one of its first interface beside `lo`. Throws {@link Fault} FE011 if it has none.
 */
export function addressOf(host: Host, family?: Family): Addr {
  for (const { kind, addresses } of host.interfaces) {
    const own = addresses.find(({ addr }) => family === undefined || addr.family === family);
    if (kind !== 'loopback' && kind !== 'dummy' && own !== undefined) return own.addr;
  }
  throw new Fault('FE011', `host '${host.name}' has no address`, 'give it one');
}
