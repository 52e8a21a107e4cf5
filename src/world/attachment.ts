import { Fault } from '../fault/fault.ts';
import { type Addr, Prefix } from '../ip/ip.ts';
import { addressesOf, inFamily, type NodeAddresses, type NodeFacts, type PodFacts } from './facts.ts';
import { ENI_TABLE, podRanges, secondOf, secondPort, TUNNEL_MTU } from './node-host.ts';
import type { ClusterProfile, Network } from './profile.ts';
import {
  bareHost,
  DEFAULT_OF,
  ETH0,
  hostAddress,
  loopback,
  macs,
  netnsOf,
  nodePodAddress,
  POD_BRIDGE,
  POD_GATEWAY,
  podLinkName,
  ROUTER,
  routeBy,
} from './wiring.ts';
import {
  type Host,
  type Interface,
  type Link,
  MAIN_TABLE,
  type Neighbour,
  type Route,
  type RoutingRule,
  type Veth,
  type World,
} from './world.ts';

/** What an existing host gains. */
export interface Addition {
  readonly interfaces: readonly Interface[];
  readonly routes: readonly Route[];
  readonly routingRules: readonly RoutingRule[];
  readonly neighbours: readonly Neighbour[];
}

/** One pod, and what its coming changes elsewhere. */
export interface PodAttachment {
  readonly pod: Host;
  readonly link: Link;
  readonly node: Addition;
  /** Empty where the VPC routes ranges or nothing of pods. */
  readonly router: Addition;
}

/** As much of a profile as a pod's attachment depends on. */
export type AttachmentProfile = Pick<ClusterProfile, 'network' | 'podCIDR'> &
  Partial<Pick<ClusterProfile, 'secondary'>>;

const NOTHING: Addition = { interfaces: [], routes: [], routingRules: [], neighbours: [] };

/** `namespace/name`, the pod's name in a World. */
export function podName(pod: Pick<PodFacts, 'namespace' | 'name'>): string {
  return `${pod.namespace}/${pod.name}`;
}

/**
 * All that has to be added for one pod: a function of its arguments alone, so whoever removes or adopts the pod later
 * comes to the same. Throws {@link Fault} FE011 for an address the node cannot carry.
 */
export function podAttachment(profile: AttachmentProfile, node: NodeFacts, pod: PodFacts): PodAttachment {
  const sides = sidesOf(profile, node, pod);
  const name = podName(pod);
  const end = podLinkName(pod.address);
  return {
    pod: podHost(profile.network, node, pod, sides),
    link: { a: { host: node.name, interface: end }, b: { host: name, interface: ETH0 } },
    node: onNode(profile.network, node, pod, end),
    router: onRouter(profile.network, node, sides),
  };
}

/** The World with one more pod. Throws {@link Fault} FE011 if its name or address is taken or its node is unknown. */
export function withPod(world: World, node: NodeFacts, pod: PodFacts): World {
  return withPods(world, [[node, pod]]);
}

/** The World with these pods, each beside its node. Throws {@link Fault} FE011 as {@link withPod} does. */
export function withPods(world: World, pods: Iterable<readonly [NodeFacts, PodFacts]>): World {
  const hosts = new Map(world.hosts);
  const links = [...world.links];
  for (const [node, pod] of pods) {
    const attachment = podAttachment(world.profile, node, pod);
    const { name } = attachment.pod;
    if (hosts.has(name)) throw new Fault('FE011', `there are two pods '${name}'`, 'give one another name');
    const on = hosts.get(node.name);
    if (on === undefined) {
      throw new Fault('FE011', `pod '${name}' is on the unknown node '${node.name}'`, 'add the node');
    }
    const { a } = attachment.link;
    // Named by the pod's address, so one that is there is another pod's with the same.
    if (on.interfaces.some((each) => each.name === a.interface)) {
      throw new Fault('FE011', `the address ${pod.address} of pod '${name}' is taken`, 'give it another');
    }
    change(hosts, node.name, attachment.node, grown);
    change(hosts, ROUTER, attachment.router, grown);
    hosts.set(name, attachment.pod);
    links.push(attachment.link);
  }
  return { ...world, hosts, links };
}

/** The World without the pod; the same World if there is no such pod. */
export function withoutPod(world: World, node: NodeFacts, pod: PodFacts): World {
  const attachment = podAttachment(world.profile, node, pod);
  const { name } = attachment.pod;
  if (!world.hosts.has(name)) return world;
  const hosts = new Map(world.hosts);
  hosts.delete(name);
  change(hosts, node.name, attachment.node, shrunk);
  change(hosts, ROUTER, attachment.router, shrunk);
  return { ...world, hosts, links: world.links.filter(({ b }) => b.host !== name) };
}

function change(
  hosts: Map<string, Host>,
  name: string,
  by: Addition,
  how: (host: Host, by: Addition) => Host,
): void {
  const host = hosts.get(name);
  if (host !== undefined && by !== NOTHING) hosts.set(name, how(host, by));
}

function grown(host: Host, by: Addition): Host {
  return {
    ...host,
    interfaces: [...host.interfaces, ...by.interfaces],
    routes: [...host.routes, ...by.routes],
    routingRules: [...host.routingRules, ...by.routingRules],
    neighbours: [...host.neighbours, ...by.neighbours],
  };
}

function shrunk(host: Host, by: Addition): Host {
  const links = new Set(by.interfaces.map((each) => each.name));
  const to = new Set(by.routes.map((route) => route.to.text));
  const ruled = new Set(by.routingRules.map((rule) => JSON.stringify(rule)));
  return {
    ...host,
    interfaces: host.interfaces.filter((each) => !links.has(each.name)),
    routes: host.routes.filter((route) => !to.has(route.to.text)),
    routingRules: host.routingRules.filter((rule) => !ruled.has(JSON.stringify(rule))),
    neighbours: host.neighbours.filter((each) => !links.has(each.interface)),
  };
}

/** A pod in one family: its address, what its node has of the family, and the range of all pods. */
interface Side {
  readonly address: Addr;
  readonly node: NodeAddresses;
}

/** Throws {@link Fault} FE011 for an address that is not of its node's range. */
function sidesOf(profile: AttachmentProfile, node: NodeFacts, pod: PodFacts): Side[] {
  return addressesOf(pod).map((address) => {
    const own = inFamily(node, address.family);
    const all = [profile.podCIDR, profile.secondary?.podCIDR].find((one) => one?.family === address.family);
    const range = profile.network === 'eni' ? [own?.podCIDR ?? all] : own && podRanges(node.name, own);
    if (own !== undefined && range?.some((one) => one?.contains(address))) return { address, node: own };
    const what = `pod '${podName(pod)}' has the address ${address}`;
    const where = own === undefined ? `of a family that node '${node.name}' has no address of` : '';
    throw new Fault(
      'FE011',
      where === ''
        ? `${what}, which is not in ${range?.join(', ')} of node '${node.name}'`
        : `${what}, ${where}`,
      'give it an address of its node',
    );
  });
}

function podHost(network: Network, node: NodeFacts, pod: PodFacts, sides: readonly Side[]): Host {
  const name = podName(pod);
  const ways = sides.map(({ address, node: own }) => {
    const bridged = network === 'vpc' ? bridgedRange(own) : undefined;
    const gateway = bridged === undefined ? POD_GATEWAY[address.family] : nodePodAddress(bridged);
    const at = bridged === undefined ? hostAddress(address) : { addr: address, length: bridged.length };
    return { at, gateway };
  });
  const [first] = ways;
  const isBridged = network === 'vpc' && first !== undefined && bridgedRange(node) !== undefined;
  const mac = isBridged ? macs.own(first.gateway) : macs.podLink(pod.address);
  const eth0: Veth = {
    kind: 'veth',
    name: ETH0,
    mac: macs.own(pod.address),
    addresses: ways.map(({ at }) => at),
    ...mtuOf(network),
  };
  return {
    ...bareHost(name, 'pod'),
    netns: pod.netns ?? netnsOf(name),
    interfaces: [loopback(), eth0],
    routes: ways.map(({ gateway }) => routeBy(DEFAULT_OF[gateway.family], ETH0, { via: gateway })),
    neighbours: ways.map(({ gateway }) => ({ interface: ETH0, addr: gateway, mac })),
    listeners: pod.listeners ?? [],
  };
}

/** The range whose addresses share the node's bridge; none where the node has blocks. */
const bridgedRange = ({ podCIDR, blocks }: NodeAddresses): Prefix | undefined =>
  blocks === undefined ? podCIDR : undefined;

function mtuOf(network: Network): { mtu?: number } {
  return network === 'tunnel' ? { mtu: TUNNEL_MTU } : {};
}

function onNode(network: Network, node: NodeFacts, pod: PodFacts, name: string): Addition {
  const mac = macs.podLink(pod.address);
  const end: Veth = { kind: 'veth', name, mac, addresses: [], ...mtuOf(network) };
  // A bridge's port: the neighbour is asked for, so that a pod that is gone is missed, as on a real bridge.
  if (network === 'vpc' && bridgedRange(node) !== undefined)
    return { ...NOTHING, interfaces: [{ ...end, bridge: POD_BRIDGE }] };
  const addresses = addressesOf(pod);
  return {
    interfaces: [end],
    routes: addresses.map((addr) => routeBy(Prefix.host(addr), name)),
    neighbours: addresses.map((addr) => ({ interface: name, addr, mac: macs.own(pod.address) })),
    routingRules: network === 'eni' ? addresses.flatMap((addr) => eniRules(Prefix.host(addr))) : [],
  };
}

/** What goes to the pod looks up main, what comes from it the second interface's table; the entry mark stands between. */
function eniRules(own: Prefix): RoutingRule[] {
  return [
    { priority: 512, to: own, table: MAIN_TABLE },
    { priority: 2048, from: own, table: ENI_TABLE },
  ];
}

/** With `eni` and no range for the node, the VPC delivers each pod's address to the node's second interface. */
function onRouter(network: Network, node: NodeFacts, sides: readonly Side[]): Addition {
  const single = network === 'eni' ? sides.filter((side) => side.node.podCIDR === undefined) : [];
  if (single.length === 0) return NOTHING;
  const delivered = single.map((side) =>
    routeBy(Prefix.host(side.address), secondPort(node), { via: secondOf(node.name, side.node) }),
  );
  return { ...NOTHING, routes: delivered };
}
