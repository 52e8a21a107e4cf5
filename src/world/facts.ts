import { Fault } from '../fault/fault.ts';
import { Addr, type Family, type Prefix } from '../ip/ip.ts';
import type { BalancerListener, HostPort } from './policy.ts';
import { type ClusterProfile, type Network, type Ranges, rangesOf } from './profile.ts';
import type { Listener } from './world.ts';

/**
 * Whoever has addresses: of one family, and in a dual-stack cluster of the other one as well. The first family is the one by
 * which its links are named.
 */
export type Addressed<A extends { readonly address: Addr }> = A & {
  /** The same of the other family. */
  readonly dual?: A;
};

/** What a node has of one family. */
export interface NodeAddresses {
  /** Its address in the VPC (InternalIP). */
  readonly address: Addr;
  /** Its elastic address (ExternalIP), 1:1 at the gateway. */
  readonly elastic?: Addr;
  /** Its part of the container CIDR. `tunnel` and `vpc` need one; with `eni` each pod has a route instead if there is none. */
  readonly podCIDR?: Prefix;
  /**
   * Its parts of the container CIDR where it has no range: blocks or single addresses, as Calico gives them out. Its pods are
   * then on routed links.
   */
  readonly blocks?: readonly Prefix[];
  /** With `tunnel` and blocks: the address of its tunnel's device. */
  readonly tunnel?: Addr;
  /** With `eni`: the own address of its second interface. */
  readonly second?: Addr;
  /** Further addresses of the VPC on its first interface. */
  readonly others?: readonly Addr[];
}

/** What is known of a node. */
export interface NodeFacts extends Addressed<NodeAddresses> {
  readonly name: string;
  /** Processes on the node, such as pods of the host network. */
  readonly listeners?: readonly Listener[];
  /** Of its pods. */
  readonly hostPorts?: readonly HostPort[];
}

/** What is known of a pod with an address of its own; one of the host network is its node's {@link NodeFacts.listeners}. */
export interface PodFacts extends Addressed<{ readonly address: Addr }> {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  /** The network namespace to build it in, if not the one its name gives. */
  readonly netns?: string;
  readonly listeners?: readonly Listener[];
}

export interface MachineAddresses {
  readonly address: Addr;
  readonly elastic?: Addr;
  /** Further addresses of the VPC. */
  readonly others?: readonly Addr[];
}

/** A machine beside the nodes: in the VPC, or outside of it. */
export interface MachineFacts extends Addressed<MachineAddresses> {
  readonly name: string;
  readonly listeners?: readonly Listener[];
}

/** A load balancer: a machine of the VPC that hands connections on, each to members of the family it came by. */
export interface BalancerFacts extends Addressed<MachineAddresses> {
  readonly name: string;
  /** It changes the destination alone, and the VPC leads the answers back through it. */
  readonly keepClientAddress: boolean;
  readonly listeners: readonly BalancerListener[];
}

/** What it has of a family; `undefined` if that is nothing. */
export function inFamily<A extends { readonly address: Addr }>(
  facts: Addressed<A>,
  family: Family,
): A | undefined {
  if (facts.address.family === family) return facts;
  return facts.dual?.address.family === family ? facts.dual : undefined;
}

/** Every address of its first interface, those by which it is known before others. */
export function interfaceAddressesOf(facts: Addressed<MachineAddresses>): Addr[] {
  return [...addressesOf(facts), ...(facts.others ?? []), ...(facts.dual?.others ?? [])];
}

/** The range of which a further pod of the node would have its address; `undefined` if it carries single addresses only. */
export function roomOf(
  { podCIDR, blocks }: NodeAddresses,
  network: Network,
  all: Prefix,
): Prefix | undefined {
  if (network === 'eni') return podCIDR ?? all;
  return podCIDR ?? blocks?.find((block) => !block.isHost);
}

/** Every address by which it is dialled: {@link interfaceAddressesOf}, and the elastic ones. */
export function dialledAddressesOf(facts: Addressed<MachineAddresses>): Addr[] {
  const elastic = [facts.elastic, facts.dual?.elastic].flatMap((one) => one ?? []);
  return [...interfaceAddressesOf(facts), ...elastic];
}

/** Its address of each family, the primary one first. */
export function addressesOf({ address, dual }: Addressed<{ readonly address: Addr }>): Addr[] {
  return dual === undefined ? [address] : [address, dual.address];
}

/** Node `n1` has 192.168.0.11, 100.64.1.1 and the range 172.16.1.0/24, and so on. */
export function defaultNodes(profile: ClusterProfile, count: number): NodeFacts[] {
  // 192.168.0.127 is the control plane's, and .10 to .126 would not hold more.
  if (!Number.isInteger(count) || count < 1 || count > 100) {
    throw new Fault('FE011', `${count} nodes cannot be had`, 'choose 1 to 100');
  }
  return Array.from({ length: count }, (_, at) => defaultNode(profile, at + 1));
}

function defaultNode(profile: ClusterProfile, ordinal: number): NodeFacts {
  const [first = profile, second] = rangesOf(profile);
  const own = { name: `n${ordinal}`, ...defaultAddresses(first, ordinal) };
  return second === undefined ? own : { ...own, dual: defaultAddresses(second, ordinal) };
}

function defaultAddresses({ vpcCIDR, podCIDR }: Ranges, ordinal: number): NodeAddresses {
  const { length, least } = podCIDR.family === 4 ? { length: 24, least: 16 } : { length: 64, least: 48 };
  return {
    address: vpcCIDR.at(10 + ordinal),
    elastic: ELASTIC[vpcCIDR.family].plus(ordinal),
    podCIDR: podCIDR.subnet(length, podCIDR.length > least ? ordinal - 1 : ordinal),
  };
}

const ELASTIC: Readonly<Record<Family, Addr>> = {
  4: Addr.parse('100.64.1.0'),
  6: Addr.parse('2001:db8:64:1::'),
};
/** The one client outside of the VPC (documentation ranges of RFC 5737 and RFC 3849). */
export const EXTERNAL_CLIENT = Addr.parse('203.0.113.10');
const EXTERNAL_CLIENTS: Readonly<Record<Family, Addr>> = {
  4: EXTERNAL_CLIENT,
  6: Addr.parse('2001:db8::10'),
};

/** The client outside of the VPC, with an address of each of the cluster's families. */
export function externalClient(profile: ClusterProfile, name: string): MachineFacts {
  const [first, second] = rangesOf(profile).map(({ vpcCIDR }) => EXTERNAL_CLIENTS[vpcCIDR.family]);
  const own = { name, address: first ?? EXTERNAL_CLIENT };
  return second === undefined ? own : { ...own, dual: { address: second } };
}

/** The control plane's machine: 192.168.0.127 in the default VPC. */
export function controlPlaneAddress(profile: ClusterProfile): Addr {
  return profile.vpcCIDR.at(127);
}
