import { Fault } from '../fault/fault.ts';
import { Addr, type Prefix } from '../ip/ip.ts';
import type { BalancerListener } from './policy.ts';
import type { ClusterProfile } from './profile.ts';
import type { Listener } from './world.ts';

/** What is known of a node. */
export interface NodeFacts {
  readonly name: string;
  /** Its address in the VPC (InternalIP). */
  readonly address: Addr;
  /** Its elastic address (ExternalIP), 1:1 at the gateway. */
  readonly elastic?: Addr;
  /** Its part of the container CIDR. `tunnel` and `vpc` need one; with `eni` each pod has a route instead if there is none. */
  readonly podCIDR?: Prefix;
  /** With `eni`: the own address of its second interface. */
  readonly second?: Addr;
  /** Processes on the node, such as pods of the host network. */
  readonly listeners?: readonly Listener[];
}

/** What is known of a pod with an address of its own; one of the host network is its node's {@link NodeFacts.listeners}. */
export interface PodFacts {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly address: Addr;
  /** The network namespace to build it in, if not the one its name gives. */
  readonly netns?: string;
  readonly listeners?: readonly Listener[];
}

/** A machine beside the nodes: in the VPC, or outside of it. */
export interface MachineFacts {
  readonly name: string;
  readonly address: Addr;
  readonly elastic?: Addr;
  readonly listeners?: readonly Listener[];
}

/** A load balancer: a machine of the VPC that hands connections on. */
export interface BalancerFacts {
  readonly name: string;
  readonly address: Addr;
  readonly elastic?: Addr;
  /** It changes the destination alone, and the VPC leads the answers back through it. */
  readonly keepClientAddress: boolean;
  readonly listeners: readonly BalancerListener[];
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
  return {
    name: `n${ordinal}`,
    address: profile.vpcCIDR.at(10 + ordinal),
    elastic: ELASTIC.plus(ordinal),
    podCIDR: profile.podCIDR.subnet(24, profile.podCIDR.length > 16 ? ordinal - 1 : ordinal),
  };
}

const ELASTIC = Addr.parse('100.64.1.0');
/** The one client outside of the VPC (documentation range of RFC 5737). */
export const EXTERNAL_CLIENT = Addr.parse('203.0.113.10');

/** The control plane's machine: 192.168.0.127 in the default VPC. */
export function controlPlaneAddress(profile: ClusterProfile): Addr {
  return profile.vpcCIDR.at(127);
}
