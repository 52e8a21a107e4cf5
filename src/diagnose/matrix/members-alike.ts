import type { Addr, Endpoint } from '../../ip/ip.ts';
import type { Weigh } from '../../trace/trace.ts';
import type { NodeFacts } from '../../world/facts.ts';
import type { Cluster } from '../../world/from-objects/from-objects.ts';

/** The members of a balancer that one of them stands for. */
export interface MembersAlike {
  readonly weigh: Weigh;
  /** By each address of who stands for others, theirs. */
  readonly twins: ReadonlyMap<string, readonly Addr[]>;
}

/** Which members of which balancer may be taken for one another, and what tells them apart. */
export interface Members {
  readonly cluster: Cluster;
  readonly balancer: string;
  readonly members: readonly Endpoint[];
  /** Nodes that are none of many: those that run an endpoint, and the client's. */
  readonly apart: ReadonlySet<string>;
  readonly signatureOf: (node: string) => string;
}

/**
 * Nodes that run no endpoint of a Service treat its packets alike, each with its own addresses; so one member of a balancer
 * stands for the others of its kind. `undefined`: no member is like another.
 */
export function membersAlike({
  cluster,
  balancer,
  members,
  apart,
  signatureOf,
}: Members): MembersAlike | undefined {
  const nodes = new Map(cluster.nodes.map(({ facts }) => [facts.address.text, facts]));
  const kinds = Map.groupBy(members.keys(), (at) => {
    const member = members[at];
    const node = member && nodes.get(member.addr.text);
    return node === undefined || apart.has(node.name) ? at : `${member?.port} ${signatureOf(node.name)}`;
  });
  if (kinds.size === members.length) return undefined;
  const addressesAt = (at: number) => {
    const node = nodes.get(members[at]?.addr.text ?? '');
    return node === undefined ? [] : addressesOf(cluster, node);
  };
  const twins = new Map<string, Addr[]>();
  for (const [first = 0, ...others] of kinds.values()) {
    const theirs = others.map(addressesAt);
    for (const [place, addr] of addressesAt(first).entries()) {
      if (others.length > 0)
        twins.set(
          addr.text,
          theirs.flatMap((addresses) => addresses[place] ?? []),
        );
    }
  }
  const weigh: Weigh = (host, weights) => {
    if (host !== balancer || weights.length !== members.length) return weights;
    const together = new Array<number>(weights.length).fill(0);
    for (const [first = 0, ...others] of kinds.values()) {
      together[first] = [first, ...others].reduce((sum, at) => sum + (weights[at] ?? 0), 0);
    }
    return together;
  };
  return { weigh, twins };
}

/** In the same order for every node of a kind. */
function addressesOf({ world }: Cluster, { name, elastic, dual }: NodeFacts): Addr[] {
  const own = (world.hosts.get(name)?.interfaces ?? []).flatMap(({ kind, addresses }) =>
    kind === 'dummy' || kind === 'loopback' ? [] : addresses.map(({ addr }) => addr),
  );
  return [...own, ...[elastic, dual?.elastic].flatMap((addr) => addr ?? [])];
}
