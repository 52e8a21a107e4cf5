import { Fault } from '../fault/fault.ts';
import { podName, withPods } from './attachment.ts';
import { checkWorld } from './check.ts';
import { balancerHost, fabric, machineHost } from './fabric.ts';
import {
  type BalancerFacts,
  controlPlaneAddress,
  externalClient,
  inFamily,
  type MachineFacts,
  type NodeAddresses,
  type NodeFacts,
  type PodFacts,
} from './facts.ts';
import { nodeHost, podRanges } from './node-host.ts';
import type { Forward } from './policy.ts';
import { type ClusterProfile, familyText, type Network, type Ranges, rangesOf } from './profile.ts';
import { CONTROL_PLANE, EXTERNAL } from './wiring.ts';
import type { Host, HostRole, World } from './world.ts';

export interface ClusterFacts {
  readonly profile: ClusterProfile;
  readonly nodes: readonly NodeFacts[];
  readonly pods?: readonly PodFacts[];
  /** The control plane's machine; the default one unless said, none if `null`. */
  readonly controlPlane?: MachineFacts | null;
  /** Machines of the VPC outside the cluster; none unless said. */
  readonly vpcHosts?: readonly MachineFacts[];
  /** Machines outside the VPC; one named `external` unless said. */
  readonly outside?: readonly MachineFacts[];
  readonly balancers?: readonly BalancerFacts[];
  /** What NAT gateways forward from outside. */
  readonly forwards?: readonly Forward[];
}

/**
 * The World of a cluster: VPC router and gateway, machines, nodes and pods. Throws {@link Fault} FE011 for facts that
 * contradict each other.
 */
export function buildCluster(facts: ClusterFacts): World {
  const { profile, vpcHosts = [], outside = [externalClient(profile, EXTERNAL)] } = facts;
  const nodes = withSeconds(profile, facts.nodes);
  checkNodes(profile, nodes);
  const { controlPlane = { name: CONTROL_PLANE, address: controlPlaneAddress(profile) } } = facts;
  const masters = controlPlane === null ? [] : [controlPlane];
  const { balancers = [], forwards = [] } = facts;
  const around = { nodes, machines: [...masters, ...vpcHosts], balancers, outside, forwards };
  const { router, links } = fabric(profile, around);
  const machines = (role: HostRole, some: readonly MachineFacts[]) =>
    some.map((machine) => machineHost(profile, role, machine));
  const hosts = [
    router,
    ...machines('control-plane', masters),
    ...nodes.map((node) => nodeHost(profile, node, nodes)),
    ...balancers.map((balancer) => balancerHost(profile, balancer)),
    ...machines('vpc-host', vpcHosts),
    ...machines('client', outside),
  ];
  const machinesOnly: World = { profile, hosts: byName(hosts), links };
  const pods = (facts.pods ?? []).map((pod) => [nodeOf(nodes, pod), pod] as const);
  return checkWorld(withPods(machinesOnly, pods));
}

/** The nodes with what a network model needs and nobody has said: with `eni` an address for the second interface. */
export function withSeconds(profile: ClusterProfile, nodes: readonly NodeFacts[]): NodeFacts[] {
  if (profile.network !== 'eni') return [...nodes];
  const filled = (own: NodeAddresses, at: number): NodeAddresses => {
    const ranges = rangesOf(profile).find(({ vpcCIDR }) => vpcCIDR.family === own.address.family);
    return { ...own, second: own.second ?? (ranges ?? profile).vpcCIDR.last.plus(-2 - at) };
  };
  return nodes.map((node, at) => ({
    ...node,
    ...filled(node, at),
    ...(node.dual === undefined ? {} : { dual: filled(node.dual, at) }),
  }));
}

function checkNodes(profile: ClusterProfile, nodes: readonly NodeFacts[]): void {
  for (const ranges of rangesOf(profile)) {
    const there = nodes.flatMap(({ name, ...node }) => {
      const own = inFamily<NodeAddresses>(node, ranges.vpcCIDR.family);
      return own === undefined ? [] : [{ name, own }];
    });
    checkSide(profile.network, ranges, there);
  }
  for (const { name, address } of nodes) {
    if (rangesOf(profile).every(({ vpcCIDR }) => vpcCIDR.family !== address.family)) {
      const what = `node '${name}' has the address ${address}, and the cluster has no ${familyText(address.family)}`;
      throw new Fault('FE011', what, 'add the family to ipFamilies');
    }
  }
}

/** The nodes in one family. */
function checkSide(
  network: Network,
  { podCIDR, vpcCIDR }: Ranges,
  nodes: readonly { readonly name: string; readonly own: NodeAddresses }[],
): void {
  for (const [at, { name, own }] of nodes.entries()) {
    if (!vpcCIDR.contains(own.address)) {
      throw new Fault(
        'FE011',
        `node '${name}' has the address ${own.address}, which is not in the VPC ${vpcCIDR}`,
        'correct its InternalIP or the vpcCIDR',
      );
    }
    const range = own.podCIDR;
    if (range === undefined) continue;
    if (!podCIDR.covers(range)) {
      throw new Fault(
        'FE011',
        `node '${name}' has the podCIDR ${range}, which is not in the cluster's ${podCIDR}`,
        'correct one of them',
      );
    }
    const other = nodes.slice(0, at).find((each) => each.own.podCIDR?.overlaps(range));
    if (other !== undefined) {
      throw new Fault(
        'FE011',
        `the podCIDR ${range} of node '${name}' overlaps that of '${other.name}'`,
        'choose ranges apart',
      );
    }
  }
  if (network !== 'eni') for (const { name, own } of nodes) podRanges(name, own);
}

function byName(hosts: readonly Host[]): Map<string, Host> {
  const map = new Map<string, Host>();
  for (const host of hosts) {
    if (map.has(host.name)) throw new Fault('FE011', `there are two hosts '${host.name}'`, 'rename one');
    map.set(host.name, host);
  }
  return map;
}

function nodeOf(nodes: readonly NodeFacts[], pod: PodFacts): NodeFacts {
  const node = nodes.find((each) => each.name === pod.node);
  if (node !== undefined) return node;
  throw new Fault(
    'FE011',
    `pod '${podName(pod)}' is on node '${pod.node}', which does not exist`,
    `nodes: ${nodes.map((each) => each.name).join(', ')}`,
  );
}
