import { Addr, bitsOf, type Family, Prefix } from '../../ip/ip.ts';
import { type Node, nameOf, type Pod } from '../../kube/objects.ts';
import type { NodeAddresses } from '../facts.ts';
import type { ClusterProfile, Ranges } from '../profile.ts';
import { podIPsOf } from './pod-addresses.ts';

/** What each node carries of a family's container CIDR, by the node's name. */
export type BlocksByNode = ReadonlyMap<string, Pick<NodeAddresses, 'blocks' | 'tunnel'>>;

/** How large a block is: 64 addresses, as Calico has it. */
const BLOCK_BITS = 6;

/** By which Calico says what address its tunnel's device has on a node. */
const TUNNEL_KEYS: Readonly<Record<Family, readonly string[]>> = {
  4: ['projectcalico.org/IPv4VXLANTunnelAddr', 'projectcalico.org/IPv4IPIPTunnelAddr'],
  6: ['projectcalico.org/IPv6VXLANTunnelAddr'],
};

/**
 * The blocks of nodes whose network plugin does not go by Node.spec.podCIDRs: of those without a range, and of all where most
 * pods have addresses outside of their node's. A block whose addresses are all of one node is that node's, other addresses
 * are routed one by one. A node without any gets a block to give out.
 */
export function blocksOf(
  { network }: ClusterProfile,
  ranges: Ranges,
  nodes: readonly Node[],
  pods: readonly Pod[],
): BlocksByNode {
  if (network === 'eni') return new Map();
  const { podCIDR } = ranges;
  const all = placedIn(podCIDR, pods);
  const kept = keptRanges(podCIDR.family, nodes, all);
  const wanting = nodes.filter((node) => !kept.has(nameOf(node)));
  const placed = all.filter(({ node }) => !kept.has(node));
  const tunnels = wanting.flatMap((node) => {
    const address = tunnelOf(node, podCIDR);
    return address === undefined ? [] : [{ node: nameOf(node), address }];
  });
  const length = Math.max(bitsOf(podCIDR.family) - BLOCK_BITS, podCIDR.length);
  const taken = new Set<string>();
  const own = new Map<string, Prefix[]>(wanting.map((node) => [nameOf(node), []]));
  for (const some of Map.groupBy(
    [...placed, ...tunnels],
    ({ address }) => Prefix.of(address, length).text,
  ).values()) {
    const [first, ...more] = some;
    if (first === undefined) continue;
    const block = Prefix.of(first.address, length);
    taken.add(block.text);
    const isShared = more.some(({ node }) => node !== first.node);
    for (const { node, address } of isShared ? some : [first]) {
      own.get(node)?.push(isShared ? Prefix.host(address) : block);
    }
  }
  const isTaken = (block: Prefix) =>
    taken.has(block.text) || [...kept.values()].some((range) => range.overlaps(block));
  const spare = spareBlocks(podCIDR, length, isTaken);
  const used = new Set([...placed, ...tunnels].map(({ address }) => address.text));
  return new Map(
    [...own].map(([node, blocks]) => {
      const whole = blocks.find((block) => !block.isHost) ?? spare();
      const carried = whole === undefined || blocks.includes(whole) ? blocks : [...blocks, whole];
      const tunnel = tunnels.find((one) => one.node === node)?.address ?? freeIn(whole, used);
      return [node, { blocks: carried, ...(tunnel === undefined ? {} : { tunnel }) }];
    }),
  );
}

interface Placed {
  readonly node: string;
  readonly address: Addr;
}

/** The pods that have an address of the container CIDR and run somewhere. */
function placedIn(podCIDR: Prefix, pods: readonly Pod[]): Placed[] {
  return pods.flatMap((pod) => {
    const { nodeName, hostNetwork } = pod.spec ?? {};
    if (nodeName === undefined || hostNetwork) return [];
    const all = podIPsOf(pod).flatMap((text) => (Addr.isAddr(text) ? [Addr.parse(text)] : []));
    const address = all.find((addr) => podCIDR.contains(addr));
    return address === undefined ? [] : [{ node: nodeName, address }];
  });
}

/** The ranges of nodes, by their names; none of them where pods do not keep to them. */
function keptRanges(family: Family, nodes: readonly Node[], placed: readonly Placed[]): Map<string, Prefix> {
  const ranges = new Map(
    nodes.flatMap((node) => {
      const range = podRangeOf(node, family);
      return range === undefined ? [] : [[nameOf(node), range] as const];
    }),
  );
  const strays = placed.filter(({ node, address }) => ranges.get(node)?.contains(address) === false);
  // One of many is a mistake of somebody's; most of them are a plugin's own way.
  return strays.length * 2 > placed.length ? new Map() : ranges;
}

/** A node's range of a family, as its object has it. */
export function podRangeOf({ spec }: Node, family: Family): Prefix | undefined {
  const all = spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR]);
  return all.map((text) => Prefix.parse(text)).find((range) => range.family === family);
}

function tunnelOf({ metadata }: Node, podCIDR: Prefix): Addr | undefined {
  const texts = TUNNEL_KEYS[podCIDR.family].flatMap((key) => metadata?.annotations?.[key] ?? []);
  return texts
    .flatMap((text) => (Addr.isAddr(text) ? [Addr.parse(text)] : []))
    .find((addr) => podCIDR.contains(addr));
}

/** Blocks that hold nobody, one after the other; `undefined` when there is none left. */
function spareBlocks(
  podCIDR: Prefix,
  length: number,
  isTaken: (block: Prefix) => boolean,
): () => Prefix | undefined {
  let at = 0;
  const count = 2 ** Math.min(length - podCIDR.length, 20);
  return () => {
    while (at < count) {
      const block = podCIDR.subnet(length, at);
      at += 1;
      if (!isTaken(block)) return block;
    }
    return undefined;
  };
}

/** From its end: plugins begin at the other one. */
function freeIn(block: Prefix | undefined, used: ReadonlySet<string>): Addr | undefined {
  if (block === undefined) return undefined;
  for (let addr = block.last.plus(-1); block.contains(addr); addr = addr.plus(-1)) {
    if (!used.has(addr.text)) return addr;
  }
  return undefined;
}
