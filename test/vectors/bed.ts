/**
 * The one node the vectors are about, and everybody who talks through it: a star, so that every answer comes back by the
 * node and what is seen is the node's doing alone, not a routing accident.
 *
 *   pod, near, near2 ──── n1 ──── distant, far, far2     pods of this node; pods of other nodes
 *                         │
 *                   n2 ───┴─── outside                   another node; a client outside the cluster
 *
 * Each of n1's interfaces towards pods elsewhere and clients has an address of its own, so that a masqueraded source is
 * told from n1's own one. What no rule takes leaves for n2, which forwards nothing: silence. As a World it is walked, and
 * as namespaces it is dialled.
 */
import { Addr, type Family, Mac, type Port, Prefix, portOf } from '../../src/ip/ip.ts';
import { IPVS_INTERFACE, type NodeFacts } from '../../src/proxy/proxy.ts';
import { profileOf } from '../../src/world/profile.ts';
import {
  type Host,
  type HostRole,
  type Interface,
  type InterfaceAddress,
  type Listener,
  MAIN_TABLE,
  type PacketFilter,
  type UnicastRoute,
  type Veth,
  type World,
} from '../../src/world/world.ts';

export type Addresses = Readonly<Record<Family, Addr>>;

const pair = (v4: string, v6: string): Addresses => ({ 4: Addr.parse(v4), 6: Addr.parse(v6) });
const FAMILIES: readonly Family[] = [4, 6];
const EVERYWHERE: Readonly<Record<Family, Prefix>> = {
  4: Prefix.parse('0.0.0.0/0'),
  6: Prefix.parse('::/0'),
};

/** Every machine beside n1 by its name, with the prefix of n1's interface towards it. */
export const PEERS = {
  pod: { role: 'pod', towards: 'cali-', addresses: pair('172.16.0.2', 'fd00:172:16::2') },
  near: { role: 'pod', towards: 'cali-', addresses: pair('172.16.0.3', 'fd00:172:16::3') },
  near2: { role: 'pod', towards: 'cali-', addresses: pair('172.16.0.4', 'fd00:172:16::4') },
  distant: { role: 'pod', towards: 'to-', addresses: pair('172.16.1.2', 'fd00:172:16:1::2') },
  far: { role: 'pod', towards: 'to-', addresses: pair('172.16.1.3', 'fd00:172:16:1::3') },
  far2: { role: 'pod', towards: 'to-', addresses: pair('172.16.2.3', 'fd00:172:16:2::3') },
  n2: { role: 'node', towards: 'to-', addresses: pair('192.168.0.12', 'fd00:192::12') },
  outside: { role: 'client', towards: 'to-', addresses: pair('203.0.113.9', '2001:db8::9') },
} as const satisfies Record<string, { role: HostRole; towards: string; addresses: Addresses }>;

export type PeerName = keyof typeof PEERS;
export type HostName = PeerName | 'n1';

/** n1's own address: that of its interface towards n2, by which its default route leaves. */
export const NODE = pair('192.168.0.11', 'fd00:192::11');
/** A further address of n1, outside the range that `nodePortAddresses` names in the vectors. */
export const SECOND = pair('172.31.0.11', 'fd00:31::11');
export const LOOPBACK = pair('127.0.0.1', '::1');
const TOWARDS_PODS = pair('172.16.0.1', 'fd00:172:16::1');
const TOWARDS_OTHERS = pair('192.168.9.1', 'fd00:192:9::1');

/** Where pods answer. */
export const TARGET_PORT = 8080;
/** Where a process of n1 answers by TCP at every address n1 has. */
export const OWN_PORT = 8081;

export const FACTS: NodeFacts = {
  name: 'n1',
  ips: [NODE[4], NODE[6]],
  addresses: [NODE, SECOND, TOWARDS_PODS, TOWARDS_OTHERS, LOOPBACK].flatMap((each) => [each[4], each[6]]),
  podCIDRs: [Prefix.parse('172.16.0.0/24'), Prefix.parse('fd00:172:16::/64')],
  zone: 'a',
};

export const isPeer = (name: string): name is PeerName => name in PEERS;

export const addressesOf = (host: HostName): Addresses => (host === 'n1' ? NODE : PEERS[host].addresses);

/** The node a pod runs on, as slices name it. */
export function nodeOf(host: HostName): string {
  return host === 'n1' || PEERS[host].towards === 'cali-' ? 'n1' : 'n2';
}

/** The address n1 gives what it masquerades towards a host. */
export function masqueradeTowards(host: HostName): Addresses {
  return host === 'n1' || host === 'n2' ? NODE : nodeOf(host) === 'n1' ? TOWARDS_PODS : TOWARDS_OTHERS;
}

/** What n1 has beside its links. */
export interface NodeState {
  readonly packetFilter: PacketFilter;
  /** Where it answers about its health, by TCP. */
  readonly healthPorts: readonly Port[];
  /** As kube-proxy sets it for node ports on localhost. */
  readonly routeLocalnet?: boolean;
  /** What IPVS mode binds to kube-ipvs0. */
  readonly bound?: readonly Addr[];
}

/** The star as a World. */
export function worldOf(node: NodeState): World {
  const peers = Object.keys(PEERS).filter(isPeer);
  const hosts = [nodeHost(peers, node), ...peers.map(peerHost)];
  return {
    profile: profileOf({}),
    hosts: new Map(hosts.map((host) => [host.name, host])),
    links: peers.map((peer) => ({
      a: { host: 'n1', interface: interfaceTowards(peer) },
      b: { host: peer, interface: 'eth0' },
    })),
  };
}

const interfaceTowards = (peer: PeerName): string => `${PEERS[peer].towards}${peer}`;

const alone = (addr: Addr): InterfaceAddress => ({ addr, length: Prefix.host(addr).length });
const single = (addresses: Addresses): InterfaceAddress[] =>
  FAMILIES.map((family) => alone(addresses[family]));

function nodeHost(peers: readonly PeerName[], node: NodeState): Host {
  const { packetFilter, healthPorts, routeLocalnet = false, bound = [] } = node;
  const links = peers.map((peer, at) =>
    veth(interfaceTowards(peer), `02:00:00:00:01:${hex(at)}`, masqueradeTowards(peer)),
  );
  // A bridge without ports stands in for a second network; not every kernel has dummies.
  const second = {
    kind: 'bridge',
    name: 'second',
    mac: Mac.parse('02:00:00:00:02:01'),
    addresses: single(SECOND),
  } as const;
  const virtual: Interface[] =
    bound.length === 0
      ? []
      : [
          {
            kind: 'dummy',
            name: IPVS_INTERFACE,
            mac: Mac.parse('02:00:00:00:03:01'),
            addresses: bound.map(alone),
          },
        ];
  const answering = FAMILIES.flatMap((family) => responders(NODE[family]));
  return {
    ...bareHost('n1', 'node'),
    interfaces: [LO, ...links, second, ...virtual],
    routes: [
      ...peers.flatMap((peer) => FAMILIES.map((family) => hostRoute(peer, family))),
      ...defaultRoutes('to-n2', PEERS.n2.addresses),
    ],
    sysctls: {
      ipForward: true,
      ipv6Forwarding: true,
      rpFilter: 0,
      bridgeNfCallIptables: false,
      routeLocalnet,
    },
    packetFilter,
    listeners: [
      ...answering,
      ...[portOf(OWN_PORT), ...healthPorts].map((port) => ({ protocol: 'TCP', port }) as const),
    ],
  };
}

function peerHost(peer: PeerName, at: number): Host {
  const { role, addresses } = PEERS[peer];
  return {
    ...bareHost(peer, role),
    interfaces: [LO, veth('eth0', `02:00:00:00:00:${hex(at)}`, addresses)],
    routes: defaultRoutes('eth0', masqueradeTowards(peer)),
    listeners: role === 'pod' ? responders(undefined) : [],
  };
}

const LO = { kind: 'loopback', name: 'lo', addresses: [] } as const;
const hex = (at: number): string => (at + 1).toString(16).padStart(2, '0');

function bareHost(name: HostName, role: HostRole): Omit<Host, 'interfaces' | 'routes'> {
  return {
    name,
    netns: name,
    role,
    routingRules: [],
    neighbours: [],
    sysctls: { ipForward: false, rpFilter: 0, bridgeNfCallIptables: false },
    policies: [],
    listeners: [],
  };
}

function veth(name: string, mac: string, addresses: Addresses): Veth {
  return { kind: 'veth', name, mac: Mac.parse(mac), addresses: single(addresses) };
}

function hostRoute(peer: PeerName, family: Family): UnicastRoute {
  const to = Prefix.host(PEERS[peer].addresses[family]);
  return { kind: 'unicast', to, interface: interfaceTowards(peer), table: MAIN_TABLE };
}

function defaultRoutes(by: string, via: Addresses): UnicastRoute[] {
  return FAMILIES.map((family) => ({
    kind: 'unicast',
    to: EVERYWHERE[family],
    interface: by,
    via: via[family],
    table: MAIN_TABLE,
  }));
}

function responders(addr: Addr | undefined): Listener[] {
  const where = { port: portOf(TARGET_PORT), ...(addr === undefined ? {} : { addr }) };
  return (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => ({ protocol, ...where }));
}
