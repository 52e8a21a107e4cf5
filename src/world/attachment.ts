import { Fault } from '../fault/fault.ts';
import { Prefix } from '../ip/ip.ts';
import type { NodeFacts, PodFacts } from './facts.ts';
import { ENI_TABLE, podRange, secondOf, secondPort, TUNNEL_MTU } from './node-host.ts';
import type { ClusterProfile, Network } from './profile.ts';
import {
  bareHost,
  DEFAULT,
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
export type AttachmentProfile = Pick<ClusterProfile, 'network' | 'podCIDR'>;

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
  checkAddress(profile, node, pod);
  const name = podName(pod);
  const end = podLinkName(pod.address);
  return {
    pod: podHost(profile.network, node, pod),
    link: { a: { host: node.name, interface: end }, b: { host: name, interface: ETH0 } },
    node: onNode(profile.network, pod, end),
    router: onRouter(profile.network, node, pod),
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

function checkAddress({ network, podCIDR }: AttachmentProfile, node: NodeFacts, pod: PodFacts): void {
  const range = network === 'eni' ? (node.podCIDR ?? podCIDR) : podRange(node);
  if (range.contains(pod.address)) return;
  throw new Fault(
    'FE011',
    `pod '${podName(pod)}' has the address ${pod.address}, which is not in ${range} of node '${node.name}'`,
    'give it an address of its node',
  );
}

function podHost(network: Network, node: NodeFacts, pod: PodFacts): Host {
  const name = podName(pod);
  const bridged = network === 'vpc' ? podRange(node) : undefined;
  const gateway = bridged === undefined ? POD_GATEWAY : nodePodAddress(bridged);
  const mac = bridged === undefined ? macs.podLink(pod.address) : macs.own(gateway);
  const eth0: Veth = {
    kind: 'veth',
    name: ETH0,
    mac: macs.own(pod.address),
    addresses: [
      bridged === undefined ? hostAddress(pod.address) : { addr: pod.address, length: bridged.length },
    ],
    ...mtuOf(network),
  };
  return {
    ...bareHost(name, 'pod'),
    netns: pod.netns ?? netnsOf(name),
    interfaces: [loopback(), eth0],
    routes: [routeBy(DEFAULT, ETH0, { via: gateway })],
    neighbours: [{ interface: ETH0, addr: gateway, mac }],
    listeners: pod.listeners ?? [],
  };
}

function mtuOf(network: Network): { mtu?: number } {
  return network === 'tunnel' ? { mtu: TUNNEL_MTU } : {};
}

function onNode(network: Network, pod: PodFacts, name: string): Addition {
  const mac = macs.podLink(pod.address);
  const end: Veth = { kind: 'veth', name, mac, addresses: [], ...mtuOf(network) };
  // A bridge's port: the neighbour is found by ARP, so that a pod that is gone is missed, as on a real bridge.
  if (network === 'vpc') return { ...NOTHING, interfaces: [{ ...end, bridge: POD_BRIDGE }] };
  const own = Prefix.host(pod.address);
  return {
    interfaces: [end],
    routes: [routeBy(own, name)],
    neighbours: [{ interface: name, addr: pod.address, mac: macs.own(pod.address) }],
    routingRules: network === 'eni' ? eniRules(own) : [],
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
function onRouter(network: Network, node: NodeFacts, pod: PodFacts): Addition {
  if (network !== 'eni' || node.podCIDR !== undefined) return NOTHING;
  return {
    ...NOTHING,
    routes: [routeBy(Prefix.host(pod.address), secondPort(node), { via: secondOf(node) })],
  };
}
